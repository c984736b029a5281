"""Archives back to images, chunk by chunk: of any range of them, and of what is whole."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from nextpixel.codec.bands import BandCoder
from nextpixel.codec.chunks import ChunkCoder, Size, Tiles
from nextpixel.codec.container import Archive
from nextpixel.codec.header import (
    ADAPT,
    BANDS,
    GRAY,
    ORDERS,
    Header,
    check_fingerprint,
    fingerprint,
)
from nextpixel.codec.mixture import coder_for
from nextpixel.codec.source import Image
from nextpixel.engine.cpu.window import prepare_window
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.runtime.threads import Threads

MOST_PIXELS = 1 << 28
"""Pixels of an image: more than 16,000 x 16,000."""

Coder = ChunkCoder | BandCoder
OnChunk = Callable[[int], None]


@contextmanager
def interruptible(coder: Coder) -> Iterator[None]:
    """Let Ctrl-C end what other threads code of bands, instead of waiting for it."""
    if isinstance(coder, BandCoder):
        coder.stopped[0] = False
    try:
        yield
    except KeyboardInterrupt:
        if isinstance(coder, BandCoder):
            coder.stopped[0] = True
        raise


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
        check_fingerprint(archive.header.fingerprint, fingerprint(model))
        self.archive, self.model, self.condition = archive, model, condition
        header = archive.header
        if (header.shape[0], header.levels) != (model.colors, model.levels):
            raise NextPixelError("the header of the archive makes no sense for this model")
        self.tiles = tiles_of(header)
        try:
            self.coder = self._coder()
            self.gray = gray_images(header, self.tiles.images)
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
        learns = metadata.get(ADAPT, 0)
        if type(learns) is not int or learns not in (0, 1):
            raise ValueError(f"nets learn in way {learns!r}, which this version does not know")
        return BandCoder(self.model, window, learns=learns == 1)

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
                image = np.zeros((len(tile), height, width), self._dtype)
            seen = image[:, top : top + tile.shape[1], left : left + tile.shape[2]]
            seen[...] = tile[:, : seen.shape[1], : seen.shape[2]]
            if number + 1 == self.tiles.of_images(which, which + 1)[1]:
                yield image, label
                image = None

    @property
    def _dtype(self) -> type[np.uint8 | np.int64]:
        return np.uint8 if self.model.levels <= 256 else np.int64

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
        condition = condition_in(self.condition, part)
        levels: list[Image]
        try:
            if isinstance(self.coder, BandCoder):
                levels, crc = self.coder.decode(payload, [self._shape(tile) for tile in part])
            else:
                needless = self.tiles.needless(part.start, part.stop, self.model.colors)
                whole, condition, crc = self.coder.decode(payload, needless, condition)
                levels = list(whole)
        except NextPixelError as error:
            raise NextPixelError(f"chunk {number} is damaged: {error}") from error
        self.archive.check_pixels(number, crc)
        return levels, condition

    def _shape(self, tile: int) -> tuple[int, int, int]:
        """(C, h, w) of a band."""
        gray = self.tiles.place(tile)[0] in self.gray
        return (1 if gray else self.model.colors, *self.tiles.shape(tile))

    def _decoded(
        self, start: int, stop: int, on_chunk: OnChunk | None
    ) -> Iterator[tuple[Image, int | None]]:
        per_chunk = self.archive.header.per_chunk
        numbers = range(start // per_chunk, -(-stop // per_chunk)) if stop > start else range(0)
        threads = Threads()
        payloads = ((number, self.archive.payload(number)) for number in numbers)
        with threads.alone(), interruptible(self.coder):
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


def condition_in(condition: Value | None, part: range) -> Value | None:
    """What is the condition of some of the images."""
    return take(condition, slice(part.start, part.stop), torch.device("cpu"))


def gray_images(header: Header, images: int) -> frozenset[int]:
    """The images that an archive says are gray.

    Raises:
        ValueError: If it does not say numbers of images.
    """
    listed = header.metadata.get(GRAY, [])
    numbers = frozenset(range(images) if listed is True else map(int, listed))
    if not numbers <= frozenset(range(images)):
        raise ValueError(f"gray images {sorted(numbers)[:3]} of {images}")
    return numbers


def values_in(header: Header, tiles: Tiles) -> int:
    """Sub-pixels of all images."""
    gray = gray_images(header, tiles.images)
    less = sum(math.prod(tiles.size(number)) for number in gray)
    return header.shape[0] * tiles.pixels - (header.shape[0] - 1) * less


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
    largest = max(height * width for height, width in pairs)
    if min(map(min, pairs)) < 1 or largest > MOST_PIXELS or not 0 <= images <= header.images:
        raise ValueError(f"{images} images of sizes {sizes[:3]}")
    if len(pairs) not in (1, images):
        raise ValueError(f"{len(pairs)} sizes of {images} images")
    tiles = Tiles(pairs, images, tile)
    if tiles.count != header.images:
        raise ValueError(f"{tiles.count} tiles where {header.images} are kept")
    return tiles
