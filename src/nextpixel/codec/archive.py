"""Images to archives and back, chunk by chunk: memory stays flat, whatever their number."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec.bands import BandCoder
from nextpixel.codec.chunks import Chunk, ChunkCoder, Size, Tiles
from nextpixel.codec.container import Archive, write_archive
from nextpixel.codec.header import MOST_VALUES, Header, fingerprint
from nextpixel.codec.mixture import coder_for
from nextpixel.engine.cpu.mixture import is_tied
from nextpixel.engine.cpu.window import prepare_window
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

BANDS = "bands"
"""Set in the metadata to true where tiles are bands, which a net of one window codes."""
BAND_ROWS = 256
"""Rows of a band, at most: fewer let more threads work, and lose more of what lies above."""
BANDS_CHUNK = 1 << 18
"""Sub-pixels in a chunk of several bands."""

Image = NDArray[np.int64]
Coder = ChunkCoder | BandCoder
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
    same = set(source.sizes) == {model.shape[1:]}  # such images go through a net together
    window = None if orders or same else prepare_window(model)
    tile = tile_for(model, source.sizes) if window is None else band_for(source.sizes)
    tiles = Tiles(source.sizes, source.count, tile)
    if tiles.count and tiles.count != source.count and model.conditioner.conditions:
        raise ValueError("a model with a condition codes images of its own size only")
    model.conditioner.checked(source.condition, source.count)
    more: dict[str, Any] = {ORDERS: "best"} if orders else {}
    coder: Coder
    if window is None:
        coder = coder_for(model, tile, orders=orders)
    else:
        coder, more = BandCoder(model, window), {BANDS: True}
    header = _header(model, source, tiles, per_chunk, more)
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
    most = BANDS_CHUNK if more.get(BANDS) else LARGEST_CHUNK
    return Header(
        fingerprint(model),
        (model.colors, *tile),
        model.levels,
        tiles.count,
        per_chunk or max(1, min(PER_CHUNK, most // steps)),
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


def band_for(sizes: list[Size]) -> Size:
    """Rows of a band, even in the tallest image, and columns of the widest image."""
    tallest, widest = (max(side) for side in zip(*sizes, strict=True))
    return -(-tallest // -(-tallest // BAND_ROWS)), widest


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


def _encode(coder: Coder, source: Source, tiles: Tiles, part: range) -> Chunk:
    cuts = _cuts(source, tiles, part, coder.model)
    if isinstance(coder, BandCoder):
        return coder.encode(list(cuts))
    needless = tiles.needless(part.start, part.stop, coder.model.colors)
    levels = np.zeros(needless.shape, np.int64)
    for tile, seen in zip(levels, cuts, strict=True):
        tile[:, : seen.shape[1], : seen.shape[2]] = seen
    return coder.encode(levels, needless, _condition(source.condition, part))


def _cuts(source: Source, tiles: Tiles, part: range, model: PixelModel) -> Iterator[Image]:
    """What images have of each tile, (C, h, w)."""
    height, width = tiles.tile
    kept, image = -1, np.zeros((0, 0, 0), np.int64)
    for number in part:
        which, top, left = tiles.place(number)
        if which != kept:
            kept, image = which, _checked(source.image(which), tiles.size(which), model)
        yield image[:, top : top + height, left : left + width]


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
            self.coder = self._coder()
        except (ValueError, TypeError, OverflowError) as error:
            raise NextPixelError(f"the header of the archive makes no sense: {error}") from error
        if not self.coder.classes:
            model.conditioner.checked(condition, header.images)

    def _coder(self) -> Coder:
        metadata = self.archive.header.metadata
        if not metadata.get(BANDS):
            best = metadata.get(ORDERS) == "best"
            return coder_for(self.model, self.tiles.tile, orders=best)
        window = prepare_window(self.model)
        if window is None:
            raise ValueError("it holds bands, and the model reads more than one window")
        return BandCoder(self.model, window)

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

    def _decode(self, chunk: tuple[int, bytes]) -> tuple[Sequence[Image], Value | None]:
        """Tiles (C, h, w) of a chunk by its number and bytes, and their condition, checked."""
        number, payload = chunk
        part = self.archive.header.images_in(number)
        condition, levels = _condition(self.condition, part), []
        try:
            if isinstance(self.coder, BandCoder):
                shapes = [self.tiles.shape(tile) for tile in part]
                bands, crc = self.coder.decode(payload, shapes)
                levels = bands
            else:
                needless = self.tiles.needless(part.start, part.stop, self.model.colors)
                whole, condition, crc = self.coder.decode(payload, needless, condition)
                levels = list(whole)
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
