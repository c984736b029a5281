"""The pictures in a column of a Hugging Face data set, decoded when asked for.

The first picture says whether the set has one color or three, and how large its images are. The
library itself is not imported here.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nextpixel.data.pictures import DAMAGE, to_pixels
from nextpixel.data.rows import Indices
from nextpixel.errors import NextPixelError

_PROBES = 32  # images that tell a set from others


class Table(Protocol):
    """What is used of a `datasets.Dataset`."""

    features: Mapping[str, Any]
    column_names: list[str]

    def __len__(self) -> int: ...

    def __getitem__(self, key: int | slice) -> dict[str, Any]: ...

    def with_format(self, kind: str | None, /) -> "Table":
        """The same rows as other types; None: as plain values."""

    def select_columns(self, names: list[str], /) -> "Table":
        """These columns only."""

    def cast_column(self, name: str, feature: object, /) -> "Table":
        """A column of another type."""


class DatasetRows:
    """A `Reader` of the pictures in a column of a `datasets.Dataset`.

    Args:
        found: The data set.
        where: What errors call it.
        column: The column.
        size: Cut the largest centered square of pictures and resize it to size x size; None leaves
            the size.

    Raises:
        NextPixelError: If the first picture cannot be decoded.
    """

    def __init__(self, found: Table, where: str, column: str, size: int | None) -> None:
        feature = found.features[column]
        if getattr(feature, "decode", None) is False:
            found = found.cast_column(column, type(feature)())
        self._rows = found.with_format(None).select_columns([column])
        self._where, self._column, self._size = where, column, size
        first = self._decode(0)
        self._gray = first.ndim == 2
        height, width = first.shape[:2]
        self.shape = (len(found), 1 if self._gray else 3, height, width)

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for place, index in zip(pixels, indices.tolist(), strict=True):
            place[:] = self._planes(index)
        return torch.from_numpy(pixels)

    def checksum(self) -> int:
        """CRC-32 of a few images spread over the set, since decoding all takes long."""
        count = self.shape[0]
        chosen = np.unique(np.linspace(0, count - 1, _PROBES).astype(np.int64))
        return zlib.crc32(self.read(chosen).numpy().data, count)

    def _planes(self, index: int) -> NDArray[np.uint8]:
        """(C, H, W)."""
        pixels = self._decode(index)
        found = (*pixels.shape[:2],)
        if found != self.shape[2:]:
            raise NextPixelError(
                f"{self._where}: image {index} is {found[1]} x {found[0]} pixels and image 0 is "
                f"{self.shape[3]} x {self.shape[2]}; give `size` to resize all"
            )
        if self._gray and pixels.ndim == 3:
            raise NextPixelError(
                f"{self._where}: image {index} has colors and image 0 has none; make all alike"
            )
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)

    def _decode(self, index: int) -> NDArray[np.uint8]:
        """(H, W) or (H, W, 3)."""
        where = f"{self._where}: image {index}"
        try:
            value = self._rows[index][self._column]
            if isinstance(value, Image.Image):
                return _of_picture(value, self._size, where)
        except DAMAGE as error:
            raise NextPixelError(f"{where}: not a whole picture: {error}") from error
        return _of_numbers(value, self._size, where)


def _of_picture(picture: Image.Image, size: int | None, where: str) -> NDArray[np.uint8]:
    """Unlike in a folder, a picture in color stays one though all of its pixels be gray."""
    pixels = to_pixels(picture, size, where)
    is_gray = picture.mode in ("1", "L", "LA", "La")
    if is_gray or pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[:, :, None], 3, axis=2)


def _of_numbers(value: object, size: int | None, where: str) -> NDArray[np.uint8]:
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise NextPixelError(f"{where}: neither a picture nor an array of numbers") from error
    if numbers.dtype.kind not in "biu" or numbers.ndim not in (2, 3) or not numbers.size:
        raise NextPixelError(
            f"{where}: must be a picture, or integers of shape (H, W), (C, H, W) or (H, W, C), "
            f"got {numbers.dtype} of shape {numbers.shape}"
        )
    if int(numbers.min()) < 0 or int(numbers.max()) > 255:
        raise NextPixelError(
            f"{where}: numbers must be 0 to 255, got {numbers.min()} to {numbers.max()}"
        )
    if numbers.ndim == 3 and numbers.shape[0] in (1, 3) and numbers.shape[2] not in (1, 3):
        numbers = np.moveaxis(numbers, 0, 2)
    if numbers.ndim == 3 and numbers.shape[2] not in (1, 3):
        raise NextPixelError(f"{where}: must have 1 or 3 colors, got shape {numbers.shape}")
    if numbers.ndim == 3 and numbers.shape[2] == 1:
        numbers = numbers[:, :, 0]
    pixels = np.ascontiguousarray(numbers, np.uint8)
    return pixels if size is None else _of_picture(Image.fromarray(pixels), size, where)
