"""The column `image` of a Hugging Face set -> 8-bit pixels: pictures, or arrays of numbers.

The first picture of a set says whether it has one color or three, and how large its images are. The
library itself is not imported here.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nextpixel.data.sources.npy import colors_first
from nextpixel.data.sources.pictures import DAMAGE, check_depth, to_pixels, would_lose
from nextpixel.data.splits import Indices
from nextpixel.errors import NextPixelError
from nextpixel.order import Shape

Pixels = NDArray[np.uint8]

_PROBES = 32  # images that tell a set from others


class Columns(NamedTuple):
    """Names of columns.

    Args:
        image: Of pictures, or of arrays (H, W), (C, H, W) or (H, W, C) of 8-bit pixels.
        label: Of labels; a set without it, or None, has none.
    """

    image: str = "image"
    label: str | None = "label"


class Form(NamedTuple):
    """How images are made of what a column holds.

    Args:
        size: Cut the largest centered square and resize it to size x size; None leaves the size.
        channels: Where the colors of arrays are, "first" or "last"; None: as their sizes say it.
    """

    size: int | None = None
    channels: str | None = None


class MapStyleDataset(Protocol):
    """What is used of a `datasets.Dataset`."""

    features: Mapping[str, Any]
    column_names: list[str]
    cache_files: list[Any]

    def __len__(self) -> int: ...

    def __getitem__(self, key: int | slice) -> dict[str, Any]: ...

    def with_format(self, kind: str | None, /) -> "MapStyleDataset":
        """The same rows as other types; None: as plain values."""

    def select_columns(self, names: list[str], /) -> "MapStyleDataset":
        """These columns only."""

    def cast_column(self, name: str, feature: object, /) -> "MapStyleDataset":
        """A column of another type."""

    def to_iterable_dataset(self, *, num_shards: int) -> object:
        """The same rows without random access."""


class ColumnReader:
    """A `Reader` of the pictures in a column of a `datasets.Dataset`, decoded when asked for.

    Args:
        dataset: The data set.
        where: What errors call it.
        column: The column.
        form: How images are made.

    Raises:
        NextPixelError: If the first picture cannot be decoded.
    """

    def __init__(self, dataset: MapStyleDataset, where: str, column: str, form: Form) -> None:
        feature = dataset.features[column]
        self._decoder: Callable[[Any], object] | None = None
        if (
            getattr(feature, "decode", None) is not None
        ):  # decoded here, once its bits are looked at
            dataset = dataset.cast_column(column, replace(feature, decode=False))
            self._decoder = type(feature)().decode_example
        self._rows = dataset.with_format(None).select_columns([column])
        self._where, self._column, self._form = where, column, form
        self._format = ImageFormat(self._decode(0), where)
        self.shape = (len(dataset), *self._format.shape)

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for place, index in zip(pixels, indices.tolist(), strict=True):
            place[:] = self._format.planes(self._decode(index), index)
        return torch.from_numpy(pixels)

    def checksum(self) -> int:
        """CRC-32 of a few images spread over the set, since decoding all takes long."""
        count = self.shape[0]
        chosen = np.unique(np.linspace(0, count - 1, _PROBES).astype(np.int64))
        return zlib.crc32(self.read(chosen).numpy().data, count)

    def _decode(self, index: int) -> Pixels:
        """(H, W) or (H, W, 3)."""
        where = f"{self._where}: image {index}"

        def read() -> object:
            value = self._rows[index][self._column]
            return value if self._decoder is None else decoded(value, self._decoder, where)

        return decode(read, self._form, where)


def decoded(encoded: Any, decoder: Callable[[Any], object], where: str) -> object:  # noqa: ANN401
    """A picture of its bytes, or of its path.

    Raises:
        NextPixelError: If decoding would lose bits.
    """
    content = encoded.get("bytes") if isinstance(encoded, dict) else None
    if content is None and isinstance(encoded, dict) and encoded.get("path"):
        content = Path(encoded["path"]).read_bytes()
    if content is not None:
        check_depth(BytesIO(content), where)
        with Image.open(BytesIO(content)) as picture:
            if would_lose(picture):
                raise NextPixelError(f"{where}: must have 8 bits a color, got more")
    return decoder(encoded)


class ImageFormat:
    """What all images of a set must be like: the first.

    Attributes:
        shape: Colors, height and width.

    Args:
        first: Pixels of the first image, as `decode` gives them.
        where: What errors call the set.
    """

    def __init__(self, first: Pixels, where: str) -> None:
        height, width = first.shape[:2]
        self.shape: Shape = (1 if first.ndim == 2 else 3, height, width)
        self._where = where

    def planes(self, pixels: Pixels, index: int) -> Pixels:
        """Pixels of an image, as `decode` gives them, in the format of the first: (C, H, W).

        Raises:
            NextPixelError: If it has another size, or colors where the first has none.
        """
        found, gray = (*pixels.shape[:2],), self.shape[0] == 1
        if found != self.shape[1:]:
            raise NextPixelError(
                f"{self._where}: image {index} is {found[1]} x {found[0]} pixels and image 0 is "
                f"{self.shape[2]} x {self.shape[1]}; give `size` to resize all"
            )
        if gray and pixels.ndim == 3:
            raise NextPixelError(
                f"{self._where}: image {index} has colors and image 0 has none; make all alike"
            )
        if pixels.ndim == 2:  # a gray one among colored ones has three equal colors
            return np.broadcast_to(pixels, self.shape)
        return np.moveaxis(pixels, 2, 0)


def decode(read: Callable[[], object], form: Form, where: str) -> Pixels:
    """Make pixels of one image.

    Args:
        read: Gives what the column holds: a picture, or numbers.
        form: How the image is made.
        where: What errors call the image.

    Returns:
        (H, W) of an image without colors, else (H, W, 3).

    Raises:
        NextPixelError: If it is neither a whole picture nor 8-bit numbers.
    """
    try:
        value = read()
        if isinstance(value, Image.Image):
            return _of_picture(value, form.size, where)
    except DAMAGE as error:
        raise NextPixelError(f"{where}: not a whole picture: {error}") from error
    return _of_numbers(value, form, where)


def _of_picture(picture: Image.Image, size: int | None, where: str) -> Pixels:
    """Unlike in a folder, a picture in color stays one though all of its pixels be gray."""
    pixels = to_pixels(picture, size, where)
    if pixels.dtype != np.uint8:
        raise NextPixelError(f"{where}: must have 8 bits a color in a set of datasets, got 16")
    is_gray = picture.mode in ("1", "L", "LA", "La")
    if is_gray or pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[:, :, None], 3, axis=2)


def _of_numbers(value: object, form: Form, where: str) -> Pixels:
    numbers = colors_first(_checked(value, where)[None], form.channels, where=where)[0]
    if numbers.shape[0] not in (1, 3):
        raise NextPixelError(f"{where}: must have 1 or 3 colors, got {numbers.shape[0]}")
    numbers = numbers[0] if numbers.shape[0] == 1 else np.moveaxis(numbers, 0, 2)
    pixels = np.ascontiguousarray(numbers, np.uint8)
    return pixels if form.size is None else _of_picture(Image.fromarray(pixels), form.size, where)


def _checked(value: object, where: str) -> NDArray[Any]:
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
    return numbers
