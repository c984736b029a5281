"""Chunks of images to bytes and back, by the step engine: the same scan as sampling.

A chunk is one stream of the entropy coder: labels first, if the model takes labels, each at the
same cost; then, if each image was coded in the best of the mirror orders, these; then sub-pixel by
sub-pixel in scan order, of all images in turn.

It holds tiles of one size. An image that the model takes as it is, is one tile. A larger one, for a
model that is tied to its size, is cut from the top left; what of a tile lies outside the image is
known to both sides, is 0, and costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec import scans
from nextpixel.codec.coder import Decoder, Encoder, no_stream
from nextpixel.codec.container import pixels_crc
from nextpixel.codec.tables import frequencies
from nextpixel.engine.cpu.executor import Prepared, open_blocks, places_of, prepared
from nextpixel.engine.cpu.fixed_order import fixed_order
from nextpixel.engine.cpu.kernels import Block, Plan
from nextpixel.engine.cpu.mixture import Members, PreparedMixture, lack
from nextpixel.engine.lowering import check_predictions
from nextpixel.errors import NextPixelError
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import Mixture, PixelModel
from nextpixel.nn import ClassCondition, MirrorOrders, Value

Size = tuple[int, int]


class Tiles:
    """Where each tile lies.

    Args:
        sizes: Height and width of every image, or one size for all.
        images: How many.
        tile: Height and width of a tile.

    Example:
        >>> tiles = Tiles([(5, 4)], images=2, tile=(4, 4))
        >>> tiles.count, tiles.place(1), tiles.of_images(1, 2)
        (4, (0, 4, 0), (2, 4))
    """

    def __init__(self, sizes: Sequence[Size], images: int, tile: Size) -> None:
        self.sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
        self.images, self.tile = images, tile
        across = -(-self.sizes // np.asarray(tile))
        counts = np.broadcast_to(across.prod(axis=1), (images,))
        self._across = across[:, 1]
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @property
    def count(self) -> int:
        """How many tiles all images have."""
        return int(self._starts[-1])

    @property
    def pixels(self) -> int:
        """How many pixels all images have."""
        return int(np.broadcast_to(self.sizes.prod(axis=1), (self.images,)).sum())

    def size(self, image: int) -> Size:
        """Height and width of an image."""
        height, width = self.sizes[image if len(self.sizes) > 1 else 0]
        return int(height), int(width)

    def place(self, number: int) -> tuple[int, int, int]:
        """The image that a tile is of, and the row and column where it begins."""
        image = int(np.searchsorted(self._starts, number, "right")) - 1
        within = number - int(self._starts[image])
        across = int(self._across[image if len(self._across) > 1 else 0])
        return image, within // across * self.tile[0], within % across * self.tile[1]

    def shape(self, number: int) -> Size:
        """Rows and columns of a tile that lie in its image."""
        image, top, left = self.place(number)
        height, width = self.size(image)
        return min(self.tile[0], height - top), min(self.tile[1], width - left)

    def of_images(self, first: int, last: int) -> tuple[int, int]:
        """The tiles of images first..last-1, as first and last + 1."""
        return int(self._starts[first]), int(self._starts[last])

    def needless(self, first: int, last: int, colors: int) -> NDArray[np.bool_]:
        """What of tiles first..last-1 lies outside their images, shape (n, colors, h, w)."""
        outside = np.zeros((last - first, colors, *self.tile), bool)
        for number in range(first, last):
            image, top, left = self.place(number)
            height, width = self.size(image)
            outside[number - first, :, max(0, height - top) :] = True
            outside[number - first, :, :, max(0, width - left) :] = True
        return outside


Levels = NDArray[np.int64]
Scan = Plan | tuple[Plan, Members]
"""What a row is carried out by: the plan of a net, or that of a mixture and its members."""
_LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class Chunk:
    """A coded chunk.

    Attributes:
        payload: Its bytes.
        crc: CRC-32 of labels and pixels.
        ideal_bits: What the model says that its images and labels cost.
    """

    payload: bytes
    crc: int
    ideal_bits: float


class ChunkCoder:
    """Codes chunks of images of one size by one model.

    Args:
        model: The model.
        size: Height and width of the images.
        orders: Take for each image that mirror order in which it is coded in fewest bits, and keep
            it, at the same cost for each.

    Raises:
        NextPixelError: If the model cannot be carried out step by step by compiled code.
        ValueError: If the model is tied to another size, or has no mirror orders to choose from.
    """

    made: Prepared | PreparedMixture
    spans_of_row = staticmethod(scans.spans_of_row)
    read_row = staticmethod(scans.read_row)

    def __init__(self, model: PixelModel, size: tuple[int, int], *, orders: bool = False) -> None:
        self.model, self.shape = model, (model.colors, *size)
        self.orders = mirror_orders(model, size) if orders else 0
        check_coding(model)
        with evaluation_mode(model), torch.inference_mode():
            self.made = self._prepared(size)
        order = model.conditioner.order
        self.places = places_of(order.read(None)) if model.any_order and order else None
        listed = self.made.lists_levels
        self.precision = scans.BY_TABLE if listed else scans.BY_CDF
        self.listed = model.levels if listed else 0
        self.classes = label_classes(model)

    def _prepared(self, size: Size) -> Prepared | PreparedMixture:
        return prepared(self.model, size)

    def encode(self, levels: Levels, needless: NDArray[np.bool_], condition: Value | None) -> Chunk:
        """Code a chunk.

        Args:
            levels: Shape (n, C, H, W); 0 where `needless`.
            needless: Which sub-pixels the decoder knows anyway, same shape.
            condition: What the model is conditioned on, one entry an image.
        """
        encoder = Encoder()
        bits = self._encode_labels(encoder, condition)
        if self.orders:
            starts, parts, log_p, orders = self._best_spans(levels, needless, condition)
            encoder.encode(orders, _evenly(len(orders), self.orders))
            bits += float(len(orders) * np.log2(self.orders))
        else:
            starts, parts, log_p = self._spans(levels, needless, condition)
        check_predictions(self.model, torch.from_numpy(log_p))
        coded = parts > 0
        encoder.encode_spans(starts[coded], parts[coded], self.precision)
        bits -= float(log_p.sum()) / _LN2
        return Chunk(encoder.finish(), self._crc(levels, condition), bits)

    def decode(
        self, payload: bytes, needless: NDArray[np.bool_], condition: Value | None
    ) -> tuple[Levels, Value | None, int]:
        """Undo `encode`.

        Returns:
            Levels, the condition (labels, where the model takes labels), and their CRC-32, which
            the caller compares with the one that was kept.

        Raises:
            NextPixelError: If no encoder can have written the bytes.
        """
        decoder = Decoder(payload)
        if self.classes:
            condition = self._decode_labels(decoder, len(needless))
        orders: Levels | None = None
        if self.orders:
            orders = decoder.decode(_evenly(len(needless), self.orders))
        levels = np.zeros(needless.shape, np.int64)
        plan, block = self._open(levels, needless, condition, orders)
        self._decode_levels(decoder, plan, block)
        decoder.finish()
        levels = levels if orders is None else self._turn(levels, orders, back=True)
        return levels, condition, self._crc(levels, condition)

    def _open(
        self,
        levels: Levels,
        needless: NDArray[np.bool_],
        condition: Value | None,
        orders: Levels | None = None,
    ) -> tuple[Scan, Block]:
        """Images before their scan; in some orders, `levels` are turned and the others are not."""
        if orders is not None:
            each = torch.from_numpy(orders)
            needless = self._turn(needless, orders)
            condition = self.model.conditioner.with_order(condition, each)
        with evaluation_mode(self.model), torch.inference_mode():
            assert isinstance(self.made, Prepared)
            with fixed_order():
                embedding = self.model.condition(condition, len(levels))
            nothing = np.zeros((len(levels), 1, 1, 1))
            blocks = open_blocks(self.made, levels, needless, nothing, embedding, 1)
        return self.made.plan, blocks[0]

    def _turn(self, images: NDArray[Any], orders: Levels, *, back: bool = False) -> NDArray[Any]:
        kinds = self.model.conditioner.order
        assert kinds is not None
        made = kinds.turn(torch.from_numpy(images), torch.from_numpy(orders), back=back).numpy()
        return np.ascontiguousarray(made)

    def _spans(
        self,
        levels: Levels,
        needless: NDArray[np.bool_],
        condition: Value | None,
        orders: Levels | None = None,
    ) -> tuple[Levels, Levels, NDArray[np.float64]]:
        """Start and parts of every level, shape (steps, images); log-probabilities of images."""
        plan, block = self._open(levels, needless, condition, orders)
        starts, parts = self._no_spans(len(block.levels))
        table = np.zeros(self.listed, np.int64)  # its own: chunks are coded by several threads
        if self.places is not None:
            scans.spans_of_places(plan, block, table, starts, parts, self.places)
            return starts, parts, block.log_p
        for row in range(self.shape[1]):
            self.spans_of_row(plan, block, table, starts, parts, row)
        return starts, parts, block.log_p

    def _best_spans(
        self, levels: Levels, needless: NDArray[np.bool_], condition: Value | None
    ) -> tuple[Levels, Levels, NDArray[np.float64], Levels]:
        """As `_spans`, of each image in its best order; and these orders."""
        starts, parts = self._no_spans(len(levels))
        best, chosen = np.full(len(levels), -np.inf), np.zeros(len(levels), np.int64)
        for order in range(self.orders):
            orders = np.full(len(levels), order)
            turned = self._turn(levels, orders)
            found = self._spans(turned, needless, condition, orders)
            better = found[2] > best
            starts[:, better], parts[:, better] = found[0][:, better], found[1][:, better]
            best[better], chosen[better] = found[2][better], order
        return starts, parts, best, chosen

    def _decode_levels(self, decoder: Decoder, plan: Scan, block: Block) -> None:
        starts, parts = self._no_spans(len(block.levels))
        coder = (decoder.state, decoder.words)
        table = np.zeros(self.listed, np.int64)
        spans = (starts, parts)
        if self.places is not None:
            whole = scans.read_places(plan, block, table, coder, spans, self.places)
        else:
            rows = range(self.shape[1])
            whole = all(self.read_row(plan, block, table, coder, spans, row) for row in rows)
        if not whole:
            raise no_stream()
        coded = parts > 0
        decoder.confirm(starts[coded], parts[coded], self.precision)

    def _no_spans(self, images: int) -> tuple[Levels, Levels]:
        """Zeros for the start and parts of every level, shape (steps, images)."""
        starts, parts = np.zeros((2, int(np.prod(self.shape)), images), np.int64)
        return starts, parts

    def _encode_labels(self, encoder: Encoder, condition: Value | None) -> float:
        if not self.classes:
            return 0.0
        labels = _labels(condition)
        if len(labels) and labels.min() < 0:
            raise ValueError(f"condition must be labels 0..{self.classes - 1}, got {labels.min()}")
        encoder.encode(labels, _evenly(len(labels), self.classes))
        return float(len(labels) * np.log2(self.classes))

    def _decode_labels(self, decoder: Decoder, count: int) -> Value:
        return torch.from_numpy(decoder.decode(_evenly(count, self.classes)))

    def _crc(self, levels: Levels, condition: Value | None) -> int:
        start = pixels_crc(_labels(condition)) if self.classes else 0
        return pixels_crc(levels, start)


def mirror_orders(model: PixelModel, size: Size) -> int:
    """How many mirror orders there are to choose from for images of a size.

    Raises:
        ValueError: If the model has none.
    """
    orders = model.conditioner.order
    if not isinstance(orders, MirrorOrders):
        raise ValueError(f"orders must be left out: this {model.name} has no mirror orders")
    return orders.classes if size[0] == size[1] else 4


def check_coding(model: PixelModel) -> None:
    """Refuse a model that cannot code: archives are read step by step, by compiled code alone.

    Raises:
        NextPixelError: Saying what it lacks.
    """
    if type(model).lower is PixelModel.lower and not isinstance(model, Mixture):
        raise NextPixelError(
            f"{model.name} cannot compress: it has no lower(), and an archive is read step by step "
            "by its program"
        )
    lacking = lack(model)
    if lacking:
        raise NextPixelError(f"{model.name} cannot compress: {lacking}")


def label_classes(model: PixelModel) -> int:
    """How many classes of labels a model takes and an archive keeps; 0 if it takes no labels.

    What a model takes otherwise, or more than one thing, the caller gives again for decoding.
    """
    conditions = model.conditioner.conditions
    only = conditions[0] if len(conditions) == 1 else None
    return only.classes if isinstance(only, ClassCondition) and only.classes > 1 else 0


def _labels(condition: Value | None) -> Levels:
    if not isinstance(condition, torch.Tensor):
        raise TypeError("condition must be labels (B,), one for each image")
    return condition.detach().cpu().numpy().astype(np.int64)


def _evenly(count: int, classes: int) -> NDArray[np.uint32]:
    return frequencies(np.ones((count, classes)))
