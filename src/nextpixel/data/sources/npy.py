"""The images of a `.npy`, read from the file one by one, so that it may be larger than memory.

Reading at a place, unlike mapping, takes no address space and outlives a file that is cut short:
that is an error of ours and not the end of the process. Every number is looked at once when the
file is opened, a block at a time, and again when it is read.
"""

import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.data.splits import Indices
from nextpixel.errors import NextPixelError

Array = NDArray[np.generic]

DAMAGE = (OSError, ValueError, EOFError, OverflowError, TokenError)
"""What NumPy's reader raises for a file that is none of its own."""

_BLOCK = 4 * 2**20  # bytes looked at together


@dataclass(frozen=True)
class Header:
    """What the head of a `.npy` says.

    Attributes:
        dtype: Of its numbers.
        shape: Of the array.
        start: Where the numbers begin, in bytes.
        fortran: Whether the first index runs fastest, so that images do not lie in one piece.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    start: int
    fortran: bool


def read_header(path: Path) -> Header:
    """The head of a `.npy`, checked against the file's length.

    Raises:
        NextPixelError: If it is not a whole file of numbers.
    """
    try:
        with path.open("rb") as file:
            return _read_header(file)
    except DAMAGE as error:
        raise NextPixelError(f"{path}: not a whole .npy file of numbers: {error}") from error


def _read_header(file: BinaryIO) -> Header:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"it is of version {version}")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, and reading those would run what they say")
    start, size = file.tell(), os.fstat(file.fileno()).st_size
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if size < expected:
        raise ValueError(f"{size} bytes, its header states {expected}")
    return Header(dtype, shape, start, fortran)


def as_several(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array of images: a single gray one, (H, W), is (1, H, W)."""
    return (1, *shape) if len(shape) == 2 else shape


def colors_first(
    array: Array, channels: str | None = None, *, colors: int | None = None, where: object = "array"
) -> Array:
    """(N, H, W), (N, C, H, W) or (N, H, W, C) -> (N, C, H, W), a view.

    Args:
        array: Images.
        channels: Where the colors are, "first" or "last"; None: as their sizes say it.
        colors: C of a model that the images are for, which then says it.
        where: What errors call the array.

    Raises:
        NextPixelError: If nothing says where the colors are, or there are none to be somewhere.

    Example:
        >>> colors_first(np.zeros((9, 32, 24, 4))).shape, colors_first(np.zeros((9, 4, 5))).shape
        ((9, 4, 32, 24), (9, 1, 4, 5))
    """
    if array.ndim == 3:
        if channels is not None:
            raise NextPixelError(
                f"{where}: channels must be left out for shape (N, H, W), got {channels!r}; one "
                "picture in color is an array of shape (1, H, W, C)"
            )
        return array[:, None]
    channels = channels or find_channels(array.shape[1:], colors, where)
    return np.moveaxis(array, 3, 1) if channels == "last" else array


def archived_channels(shape: Sequence[int]) -> str | None:
    """Where archives take the colors of an array of `shape` to be: a part of their format.

    Example:
        >>> archived_channels((9, 32, 24, 3)), archived_channels((9, 32, 24, 4))
        ('last', 'first')
    """
    if len(shape) != 4:
        return None
    return "last" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "first"


def find_channels(shape: Sequence[int], colors: int | None, where: object) -> str:
    """Where the colors of images of three sides are, "first" or "last"; see `colors_first`."""
    first, middle, last = shape
    if colors in (first, last):
        return "first" if colors == first else "last"
    readings = _readings(first, middle, last)
    if len(readings) == 1:
        return readings[0]
    if colors is not None:
        return "first"  # it is refused for its number of colors, either way
    raise NextPixelError(
        f"{where}: images of {first} x {middle} x {last} can be read in two ways; give `channels` "
        f"as first ({first} colors of {middle} x {last}) or as last ({last} colors of {first} x "
        f"{middle})"
    )


def come_last(shape: Sequence[int], channels: str | None) -> bool:
    """Whether `colors_first` moves the colors of an array of `shape`."""
    return len(shape) == 4 and (channels or find_channels(shape[1:], None, "array")) == "last"


def _readings(first: int, middle: int, last: int) -> list[str]:
    """Where the colors of images of three sides may be: 1 or 3, or no more than either side."""
    usual = (1, 3)
    is_first = first in usual or first <= min(middle, last) or middle == last
    is_first |= first <= 8 and last not in usual
    is_last = last <= min(first, middle) or (last in usual and first not in usual)
    readings = {"first": is_first, "last": is_last and first > 1}
    return [channels for channels, plausible in readings.items() if plausible]


class ArrayFile:
    """A `Reader` of the images of a `.npy`.

    Attributes:
        path: The file.
        shape: (N, C, H, W).
        is_boolean: Whether its numbers are truth values.
        highest: Largest number, with the offset.
        image: The first image that has it.
        is_last: Whether its colors come last in the file.
        depth: Bits that its numbers are taken to have: 16 where one is above 255, else 8.

    Args:
        path: The file.
        offset: What is added to its numbers.
        channels: Where its colors are; see `colors_first`.

    Raises:
        NextPixelError: If it is no whole file of images whose numbers are 0 to 65535.
    """

    def __init__(self, path: Path, offset: int = 0, channels: str | None = None) -> None:
        head = read_header(path)
        check_form(path, head.dtype, head.shape)
        self.path, self._head, self.offset = path, head, offset
        self.is_boolean = head.dtype.kind == "b"
        # A truth value is a byte, and a damaged file has others than 0 and 1.
        self._dtype = np.dtype(np.uint8) if self.is_boolean else head.dtype
        count, *image = as_several(head.shape)
        self._image = tuple(image)
        self._size = int(np.prod(self._image)) * self._dtype.itemsize
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()
        empty = np.empty((0, *self._image), np.uint8)
        colors, height, width = colors_first(empty, channels, where=path).shape[1:]
        self.shape, self._channels = (count, colors, height, width), channels
        self.is_last = come_last(empty.shape, channels)
        self.highest, self.image, self._checksum = 0, 0, 0
        self._written = self._last_written()
        self._look_through()
        self.depth = 16 if self.highest > 255 else 8

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        raw = np.empty((len(indices), self._size), np.uint8)
        with self._lock:
            for place, index in zip(raw, indices.tolist(), strict=True):
                self._fill(place, index)
        self._check_unchanged()
        numbers = self._numbers(raw)
        if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) > self.highest):
            raise NextPixelError(self._changed())
        return as_pixels(colors_first(numbers, self._channels), self.depth)

    def checksum(self) -> int:
        """CRC-32 of all numbers, as they were when the file was opened."""
        return self._checksum

    def _fill(self, place: NDArray[np.uint8], index: int) -> None:
        view, done = place.data, 0
        try:
            self._file.seek(self._head.start + index * self._size)
            while done < len(view) and (count := self._file.readinto(view[done:])):
                done += count
        except OSError as error:
            raise NextPixelError(f"{self.path}: image {index} cannot be read: {error}") from error
        if done < len(view):
            raise NextPixelError(
                f"{self.path}: image {index} cannot be read: the file was cut short while in use"
            )

    def _last_written(self) -> tuple[int, int]:
        state = os.fstat(self._file.fileno())
        return state.st_mtime_ns, state.st_size

    def _check_unchanged(self) -> None:
        written = self._last_written()
        if written == self._written:
            return
        if self._checksum_of_file() != self._checksum:
            raise NextPixelError(self._changed())
        self._written = written  # it was written anew, with the same numbers

    def _changed(self) -> str:
        return f"{self.path}: changed while it was in use; start anew"

    def _numbers(self, raw: NDArray[np.uint8]) -> Array:
        numbers = raw.reshape(-1).view(self._dtype).reshape(-1, *self._image)
        return moved(numbers, self.offset)

    def _checksum_of_file(self) -> int:
        found = 0
        for _, raw in self._blocks():
            found = zlib.crc32(raw.data, found)
        return found

    def _look_through(self) -> None:
        limit = 1 if self.is_boolean else 65535
        for first, raw in self._blocks():
            self._checksum = zlib.crc32(raw.data, self._checksum)
            highest, image = check_range(self.path, self._numbers(raw), first, limit)
            if highest > self.highest:
                self.highest, self.image = highest, image

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Each block of images with the index of its first."""
        count = max(1, _BLOCK // self._size)
        room = np.empty((count, self._size), np.uint8)
        for first in range(0, self.shape[0], count):
            block = room[: self.shape[0] - first]
            self._fill_block(block, first)
            yield first, block

    def _fill_block(self, block: NDArray[np.uint8], first: int) -> None:
        with self._lock:
            self._fill(block.reshape(-1), first)


def moved(numbers: Array, offset: int) -> Array:
    """Numbers with an offset added, in a type that holds them."""
    return numbers.astype(np.int64) + offset if offset else numbers


def as_pixels(numbers: Array, depth: int) -> Tensor:
    """Numbers as pixels: uint8 for 8 bits, int32 for 16."""
    kind = np.uint8 if depth == 8 else np.int32
    return torch.from_numpy(np.array(numbers, kind, order="C"))


def check_form(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    """Refuse an array that cannot be images.

    Raises:
        NextPixelError: Saying what it must be.
    """
    if dtype.kind not in "biu":
        raise NextPixelError(
            f"{path}: must hold integers, got {dtype}; scale them to 0..255 and save them as "
            "uint8, of x from 0 to 1 (x * 255).round().astype('uint8'), or to 0..65535 as uint16"
        )
    if len(shape) not in (2, 3, 4) or min(shape) < 1:
        raise NextPixelError(
            f"{path}: must have shape (H, W), (N, H, W), (N, C, H, W) or (N, H, W, C), none 0, "
            f"got {shape}"
        )
    if len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) > 8:
        height, width, colors = shape
        raise NextPixelError(
            f"{path}: shape {shape} may be one picture of {colors} colors, or {height} gray images "
            f"of {width} x {colors}: save it as (1, {height}, {width}, {colors}) or as ({height}, "
            f"1, {width}, {colors})"
        )


def check_range(path: Path, numbers: Array, first: int, limit: int = 65535) -> tuple[int, int]:
    """The largest of some images' numbers, and the first image that has it.

    Args:
        path: Their file.
        numbers: (n, ...).
        first: Index of the first image.
        limit: Largest number allowed.

    Raises:
        NextPixelError: If a number is below 0 or above `limit`, naming the image.
    """
    lowest, highest = int(numbers.min()), int(numbers.max())
    wrong = lowest if lowest < 0 else highest
    found = numbers.argmin() if lowest < 0 else numbers.argmax()
    image = first + int(found) // (numbers.size // len(numbers))
    if lowest < 0 or highest > limit:
        hint = "; offset says what to add to them" if lowest < 0 else ""
        raise NextPixelError(
            f"{path}: numbers must be 0 to {limit}, got {wrong} in image {image} (from 0){hint}"
        )
    return highest, image
