"""Images to archives and back, chunk by chunk: memory stays flat, whatever their number."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec.chunks import Chunk, ChunkCoder, Size, Tiles
from nextpixel.codec.container import Archive, write_archive
from nextpixel.codec.header import MOST_VALUES, Header, fingerprint
from nextpixel.codec.mixture import coder_for
from nextpixel.engine.cpu.mixture import is_tied
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.runtime.threads import Threads

PER_CHUNK = 256
"""Images in a chunk, unless they are large."""
LARGEST_CHUNK = 1 << 20
"""Sub-pixels in a chunk of large images."""

ORDERS = "orders"
"""Set in the metadata to "best" where each image was coded in the best of the mirror orders."""

Image = NDArray[np.int64]
OnChunk = Callable[[int], None]


class Source(Protocol):
    """Images to be coded."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def sizes(self) -> list[Size]:
        """Height and width of each, or one for all."""

    @property
    def condition(self) -> Value | None:
        """What the model is conditioned on, one entry an image."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it takes to write them back."""

    def image(self, number: int) -> Image:
        """Levels of one image, shape (C, H, W)."""


@dataclass(frozen=True)
class Report:
    """What an archive came to.

    Attributes:
        images: How many.
        values: Their sub-pixels.
        ideal_bits: What the model says they cost, labels with them.
        payload_bytes: What they cost.
        header_bytes: What else there is: header and index.
    """

    images: int
    values: int
    ideal_bits: float
    payload_bytes: int
    header_bytes: int

    @property
    def bits_per_dim(self) -> float:
        """All bytes, in bits a sub-pixel."""
        return 8 * (self.payload_bytes + self.header_bytes) / max(1, self.values)


def write(
    target: Path | BinaryIO,
    model: PixelModel,
    source: Source,
    *,
    per_chunk: int | None = None,
    orders: bool = False,
    on_chunk: OnChunk | None = None,
) -> Report:
    """Code images into an archive.

    Args:
        target: A file, which is replaced when all is done, or a stream.
        model: The model.
        source: The images.
        per_chunk: Images (or tiles) in a chunk: more are smaller, fewer quicker to get at.
        orders: Code each image (or tile) in the best of the model's mirror orders, which is kept.
        on_chunk: Called with the number of chunks done.

    Raises:
        ValueError: If the images are not the model's, or one is too large.
        NextPixelError: If a file cannot be written, or the model is broken.
    """
    _check_sizes(source.sizes, model.colors)
    tile = tile_for(model, source.sizes)
    tiles = Tiles(source.sizes, source.count, tile)
    if tiles.count and tiles.count != source.count and model.conditioner.conditions:
        raise ValueError("a model with a condition codes images of its own size only")
    model.conditioner.checked(source.condition, source.count)
    coder = coder_for(model, tile, orders=orders)
    header = _header(model, source, tiles, per_chunk, {ORDERS: "best"} if orders else {})
    coded: list[tuple[int, float]] = []

    def chunks() -> Iterator[tuple[bytes, int]]:
        for chunk in _in_turns(lambda part: _encode(coder, source, tiles, part), header):
            coded.append((len(chunk.payload), chunk.ideal_bits))
            yield chunk.payload, chunk.crc
            if on_chunk is not None:
                on_chunk(len(coded))

    write_archive(target, header, chunks())
    values = model.colors * tiles.pixels
    payload = sum(length for length, _ in coded)
    ideal = sum(bits for _, bits in coded)
    return Report(source.count, values, ideal, payload, len(header.pack()))


def _header(
    model: PixelModel,
    source: Source,
    tiles: Tiles,
    per_chunk: int | None,
    more: Mapping[str, Any],
) -> Header:
    tile = tiles.tile
    steps = model.colors * tile[0] * tile[1]
    return Header(
        fingerprint(model),
        (model.colors, *tile),
        model.levels,
        tiles.count,
        per_chunk or max(1, min(PER_CHUNK, LARGEST_CHUNK // steps)),
        {**source.metadata, **_sizes_as_metadata(source, tile), **more},
    )


def _check_sizes(sizes: list[Size], colors: int) -> None:
    largest = max(height * width for height, width in sizes) * colors
    if largest > MOST_VALUES:
        raise ValueError(f"an image must have at most {MOST_VALUES} sub-pixels, got {largest}")


def tile_for(model: PixelModel, sizes: list[Size]) -> Size:
    """The size of a tile: that of the images where all have one that the model takes."""
    own: Size = (model.shape[1], model.shape[2])
    one = sizes[0] if len(set(sizes)) == 1 else own
    if one != own and is_tied(model):
        return own
    return one


def _sizes_as_metadata(source: Source, tile: Size) -> dict[str, Any]:
    sizes = sorted(set(source.sizes))
    if sizes == [tile]:
        return {}
    listed = source.sizes if len(sizes) > 1 else sizes
    return {"images": source.count, "sizes": [list(size) for size in listed]}


def _in_turns(job: Callable[[range], Chunk], header: Header) -> Iterator[Chunk]:
    """Chunks in order, as many at a time as there are threads."""
    threads = Threads()
    with threads.alone():
        parts = map(header.images_in, range(header.chunks))
        yield from threads.in_turns(job, parts)


def _encode(coder: ChunkCoder, source: Source, tiles: Tiles, part: range) -> Chunk:
    needless = tiles.needless(part.start, part.stop, coder.model.colors)
    levels = np.zeros(needless.shape, np.int64)
    height, width = tiles.tile
    images: dict[int, Image] = {}
    for number in part:
        image, top, left = tiles.place(number)
        if image not in images:
            images = {image: _checked(source.image(image), tiles.size(image), coder.model)}
        seen = images[image][:, top : top + height, left : left + width]
        levels[number - part.start, :, : seen.shape[1], : seen.shape[2]] = seen
    return coder.encode(levels, needless, _condition(source.condition, part))


def _checked(image: Image, size: Size, model: PixelModel) -> Image:
    if image.shape != (model.colors, *size):
        raise ValueError(f"images must have {model.colors} colors, got shape {image.shape}")
    if image.size and not 0 <= image.min() <= image.max() < model.levels:
        raise ValueError(
            f"levels must be 0..{model.levels - 1} for this model, got {image.min()}..{image.max()}"
        )
    return image


def _condition(condition: Value | None, part: range) -> Value | None:
    return take(condition, slice(part.start, part.stop), torch.device("cpu"))


class Reader:
    """Images of an archive that was opened.

    Args:
        archive: The archive.
        model: The model that it was made with.
        condition: What the model is conditioned on other than labels, one entry an image.

    Raises:
        NextPixelError: If it was made with another model, or its header does not fit this one.
        ValueError: If the condition is missing, or not one entry an image.
        TypeError: If it is of another kind.
    """

    def __init__(self, archive: Archive, model: PixelModel, condition: Value | None = None) -> None:
        archive.check_model(fingerprint(model))
        self.archive, self.model, self.condition = archive, model, condition
        header = archive.header
        if (header.shape[0], header.levels) != (model.colors, model.levels):
            raise NextPixelError("the header of the archive makes no sense for this model")
        self.tiles = tiles_of(header)
        try:
            best = header.metadata.get(ORDERS) == "best"
            self.coder = coder_for(model, self.tiles.tile, orders=best)
        except (ValueError, TypeError, OverflowError) as error:
            raise NextPixelError(f"the header of the archive makes no sense: {error}") from error
        if not self.coder.classes:
            model.conditioner.checked(condition, header.images)

    def images(
        self, first: int = 0, last: int | None = None, *, on_chunk: OnChunk | None = None
    ) -> Iterator[tuple[Image, int | None]]:
        """Images first..last-1 in order, each (C, H, W), and its label if the model takes labels.

        Only the chunks that hold them are read.

        Raises:
            ValueError: If there are no such images.
            NextPixelError: If a chunk is damaged, or does not give the pixels it was made from.
        """
        last = self.tiles.images if last is None else last
        if not 0 <= first <= last <= self.tiles.images:
            raise ValueError(
                f"range must lie in 0:{self.tiles.images}, the images there are, got {first}:{last}"
            )
        start, stop = self.tiles.of_images(first, last)
        image: Image | None = None
        for number, (tile, label) in zip(
            range(start, stop), self._decoded(start, stop, on_chunk), strict=True
        ):
            which, top, left = self.tiles.place(number)
            height, width = self.tiles.size(which)
            if image is None:
                image = np.zeros((self.model.colors, height, width), np.int64)
            seen = image[:, top : top + tile.shape[1], left : left + tile.shape[2]]
            seen[...] = tile[:, : seen.shape[1], : seen.shape[2]]
            if number + 1 == self.tiles.of_images(which, which + 1)[1]:
                yield image, label
                image = None

    def intact(self) -> list[range]:
        """Runs of images of which nothing is damaged. Reads all chunks, one at a time."""
        damaged = set(self.archive.damaged())
        per_chunk = self.archive.header.per_chunk
        runs: list[range] = []
        for image in range(self.tiles.images):
            start, stop = self.tiles.of_images(image, image + 1)
            if damaged.intersection(range(start // per_chunk, -(-stop // per_chunk))):
                continue
            if runs and runs[-1].stop == image:
                runs[-1] = range(runs[-1].start, image + 1)
            else:
                runs.append(range(image, image + 1))
        return runs

    def _decode(self, chunk: tuple[int, bytes]) -> tuple[Image, Value | None]:
        """Tiles (n, C, h, w) of a chunk by its number and bytes, and their condition, checked."""
        number, payload = chunk
        part = self.archive.header.images_in(number)
        needless = self.tiles.needless(part.start, part.stop, self.model.colors)
        condition = _condition(self.condition, part)
        try:
            levels, condition, crc = self.coder.decode(payload, needless, condition)
        except NextPixelError as error:
            raise NextPixelError(f"chunk {number} is damaged: {error}") from error
        self.archive.check_pixels(number, crc)
        return levels, condition

    def _decoded(
        self, start: int, stop: int, on_chunk: OnChunk | None
    ) -> Iterator[tuple[Image, int | None]]:
        per_chunk = self.archive.header.per_chunk
        numbers = range(start // per_chunk, -(-stop // per_chunk)) if stop > start else range(0)
        threads = Threads()
        payloads = ((number, self.archive.payload(number)) for number in numbers)
        with threads.alone():
            decoded = threads.in_turns(self._decode, payloads)
            for number, (levels, condition) in zip(numbers, decoded, strict=True):
                part = self.archive.header.images_in(number)
                for at in range(max(start, part.start), min(stop, part.stop)):
                    yield levels[at - part.start], self._label(condition, at - part.start)
                if on_chunk is not None:
                    on_chunk(number - numbers.start + 1)

    def _label(self, condition: Value | None, at: int) -> int | None:
        labelled = self.coder.classes and isinstance(condition, torch.Tensor)
        return int(condition[at]) if labelled else None  # type: ignore[index]


def tiles_of(header: Header) -> Tiles:
    """The tiles that an archive's header describes.

    Raises:
        NextPixelError: If they are not as many as it says elsewhere, or what it says is no size.
    """
    try:
        return _tiles_of(header, (header.shape[1], header.shape[2]))
    except (ValueError, TypeError, OverflowError) as error:
        raise NextPixelError(f"the header of the archive makes no sense: {error}") from error


def _tiles_of(header: Header, tile: Size) -> Tiles:
    sizes = header.metadata.get("sizes") or [list(tile)]
    images = int(header.metadata.get("images", header.images))
    pairs = [(int(height), int(width)) for height, width in sizes]
    largest = max(height * width for height, width in pairs) * header.shape[0]
    if min(map(min, pairs)) < 1 or largest > MOST_VALUES or not 0 <= images <= header.images:
        raise ValueError(f"{images} images of sizes {sizes[:3]}")
    if len(pairs) not in (1, images):
        raise ValueError(f"{len(pairs)} sizes of {images} images")
    tiles = Tiles(pairs, images, tile)
    if tiles.count != header.images:
        raise ValueError(f"{tiles.count} tiles where {header.images} are kept")
    return tiles
