"""Images into archives, chunk by chunk: memory stays flat, whatever their number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nextpixel.codec.bands import BandCoder
from nextpixel.codec.chunks import Chunk, Size, Tiles
from nextpixel.codec.container import open_archive, replacing, write_archive
from nextpixel.codec.header import ADAPT, BANDS, GRAY, ORDERS, Header, fingerprint
from nextpixel.codec.learning import check_learning
from nextpixel.codec.mixture import coder_for
from nextpixel.codec.reader import (
    MOST_PIXELS,
    Coder,
    OnChunk,
    Reader,
    condition_in,
    interruptible,
    values_in,
)
from nextpixel.codec.source import Checked, Image, Source
from nextpixel.engine.cpu.window import prepare_window
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.models.sizes import tied_by
from nextpixel.runtime.threads import Threads

PER_CHUNK = 256
"""Images in a chunk, unless they are large."""
LARGEST_CHUNK = 1 << 20
"""Sub-pixels in a chunk of large images."""

BAND_ROWS = 256
"""Rows of a band, at most: fewer let more threads work, and lose more of what lies above."""
BANDS_CHUNK = 1 << 18
"""Sub-pixels in a chunk of several bands."""


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
    def bytes(self) -> int:
        """All of them."""
        return self.payload_bytes + self.header_bytes

    @property
    def bits_per_dim(self) -> float:
        """All bytes, in bits a sub-pixel."""
        return 8 * self.bytes / max(1, self.values)


@dataclass(frozen=True)
class Plan:
    """How the images of a source are coded.

    Attributes:
        source: The images.
        coder: What codes a chunk of them.
        tiles: How they are cut.
        header: What the archive says of it.
    """

    source: Source
    coder: Coder
    tiles: Tiles
    header: Header


def write(
    target: Path | BinaryIO,
    model: PixelModel,
    source: Source,
    *,
    per_chunk: int | None = None,
    orders: bool = False,
    adapt: bool = False,
    on_chunk: OnChunk | None = None,
) -> Report:
    """Code images into an archive.

    Args:
        target: A file, which is replaced when all is done, or a stream.
        model: The model.
        source: The images.
        per_chunk: Images (or tiles) in a chunk: more are smaller, fewer quicker to get at.
        orders: Code each image (or tile) in the best of the model's mirror orders, which is kept.
        adapt: Let the net go on learning in each image, from its top to its bottom; the decoder
            learns the same.
        on_chunk: Called with the number of chunks done.

    Raises:
        ValueError: If the images are not the model's, or one is too large.
        NextPixelError: If a file cannot be written, or the model is broken.
    """
    model.check_weights()
    plan = _plan(model, source, per_chunk, orders=orders, adapt=adapt)
    if not isinstance(target, Path):
        return _write(target, plan, on_chunk)
    with replacing(target) as stream:
        return _write(stream, plan, on_chunk)


def _write(stream: BinaryIO, plan: Plan, on_chunk: OnChunk | None) -> Report:
    coded: list[tuple[int, float]] = []
    source = plan.source

    def chunks() -> Iterator[tuple[bytes, int]]:
        for chunk in _chunks(plan):
            coded.append((len(chunk.payload), chunk.ideal_bits))
            yield chunk.payload, chunk.crc
            if on_chunk is not None:
                on_chunk(len(coded))

    write_archive(stream, plan.header, chunks())
    payload = sum(length for length, _ in coded)
    ideal = sum(bits for _, bits in coded)
    values = values_in(plan.header, plan.tiles)
    return Report(source.count, values, ideal, payload, len(plan.header.pack()))


def verify(stream: BinaryIO, model: PixelModel, source: Source) -> None:
    """Decode the archive that a stream holds from its place on, and compare.

    Raises:
        NextPixelError: If an image differs from that of the source, or its label.
    """
    opened = open_archive(stream, model=fingerprint(model))
    for number, (image, label) in enumerate(Reader(opened, model, source.condition).images()):
        wanted = None if label is None else int(source.condition[number])  # type: ignore[index]
        if label != wanted or not np.array_equal(image, source.image(number)):
            raise NextPixelError(f"image {number} did not come back as it was: nothing is written")


def _plan(
    model: PixelModel, source: Source, per_chunk: int | None, *, orders: bool, adapt: bool
) -> Plan:
    _check_sizes(source.sizes)
    same = set(source.sizes) == {model.shape[1:]} and not len(source.gray) and not adapt
    window = None if orders or same else prepare_window(model)  # `same` go through a net together
    if adapt:
        check_learning(model)
        if per_chunk not in (None, 1):
            raise ValueError(f"chunk must be left out with adapt, which codes 1, got {per_chunk}")
    tile = tile_for(model, source.sizes) if window is None else band_for(source.sizes, adapt=adapt)
    tiles = Tiles(source.sizes, source.count, tile)
    if tiles.count and tiles.count != source.count and model.conditioner.conditions:
        raise ValueError("a model with a condition codes images of its own size only")
    model.conditioner.checked(source.condition, source.count)
    coder: Coder
    if window is None:
        coder = coder_for(model, tile, orders=orders)
        more: dict[str, Any] = {ORDERS: "best"} if orders else {}
    else:
        coder = BandCoder(model, window, learns=adapt)
        more = {BANDS: True, **({ADAPT: 1} if adapt else {}), **_gray_as_metadata(source)}
    per_chunk = 1 if adapt else per_chunk
    return Plan(source, coder, tiles, _header(model, source, tiles, per_chunk, more))


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


def _check_sizes(sizes: list[Size]) -> None:
    largest = max(height * width for height, width in sizes)
    if largest > MOST_PIXELS:
        raise ValueError(f"an image must have at most {MOST_PIXELS} pixels, got {largest}")


def tile_for(model: PixelModel, sizes: list[Size]) -> Size:
    """The size of a tile: that of the images where all have one that the model takes."""
    own: Size = (model.shape[1], model.shape[2])
    one = sizes[0] if len(set(sizes)) == 1 else own
    if one != own and tied_by(model):
        return own
    return one


def band_for(sizes: list[Size], *, adapt: bool = False) -> Size:
    """Rows of a band, even in the tallest image, and columns of the widest image.

    A net that goes on learning does so in all of an image, which is one band.
    """
    tallest, widest = (max(side) for side in zip(*sizes, strict=True))
    return tallest if adapt else -(-tallest // -(-tallest // BAND_ROWS)), widest


def _sizes_as_metadata(source: Source, tile: Size) -> dict[str, Any]:
    sizes = sorted(set(source.sizes))
    if sizes == [tile]:
        return {}
    listed = source.sizes if len(sizes) > 1 else sizes
    return {"images": source.count, "sizes": [list(size) for size in listed]}


def _gray_as_metadata(source: Source) -> dict[str, Any]:
    gray = list(source.gray)
    if not gray:
        return {}
    return {GRAY: True if len(gray) == source.count else gray}


def _chunks(plan: Plan) -> Iterator[Chunk]:
    """Chunks in order, as many at a time as there are threads."""
    threads, images = Threads(), Checked(plan.source, plan.coder.model)

    def job(part: range) -> Chunk:
        return _encode(plan, list(_cuts(images, plan.tiles, part)), part)

    with threads.alone(), interruptible(plan.coder):
        yield from threads.in_turns(job, map(plan.header.images_in, range(plan.header.chunks)))


def _encode(plan: Plan, cuts: list[Image], part: range) -> Chunk:
    if isinstance(plan.coder, BandCoder):
        return plan.coder.encode(cuts)
    needless = plan.tiles.needless(part.start, part.stop, plan.coder.model.colors)
    levels = np.zeros(needless.shape, np.int64)
    for tile, seen in zip(levels, cuts, strict=True):
        tile[:, : seen.shape[1], : seen.shape[2]] = seen
    return plan.coder.encode(levels, needless, condition_in(plan.source.condition, part))


def _cuts(images: Checked, tiles: Tiles, part: range) -> Iterator[Image]:
    """What images have of each tile, (C, h, w)."""
    height, width = tiles.tile
    for number in part:
        which, top, left = tiles.place(number)
        yield images.image(which)[:, top : top + height, left : left + width]
