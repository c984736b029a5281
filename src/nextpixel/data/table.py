"""The pictures in a column of a Hugging Face data set, decoded when asked for.

The library itself is not imported here.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.column import Form, Pixels, decode
from nextpixel.data.rows import Indices

_PROBES = 32  # images that tell a set from others


class Table(Protocol):
    """What is used of a `datasets.Dataset`."""

    features: Mapping[str, Any]
    column_names: list[str]
    cache_files: list[Any]

    def __len__(self) -> int: ...

    def __getitem__(self, key: int | slice) -> dict[str, Any]: ...

    def with_format(self, kind: str | None, /) -> "Table":
        """The same rows as other types; None: as plain values."""

    def select_columns(self, names: list[str], /) -> "Table":
        """These columns only."""

    def cast_column(self, name: str, feature: object, /) -> "Table":
        """A column of another type."""

    def to_iterable_dataset(self, *, num_shards: int) -> object:
        """The same rows without random access."""


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
        self._form = Form(self._decode(0), where)
        self.shape = (len(found), *self._form.shape)

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for place, index in zip(pixels, indices.tolist(), strict=True):
            place[:] = self._form.planes(self._decode(index), index)
        return torch.from_numpy(pixels)

    def checksum(self) -> int:
        """CRC-32 of a few images spread over the set, since decoding all takes long."""
        count = self.shape[0]
        chosen = np.unique(np.linspace(0, count - 1, _PROBES).astype(np.int64))
        return zlib.crc32(self.read(chosen).numpy().data, count)

    def _decode(self, index: int) -> Pixels:
        """(H, W) or (H, W, 3)."""
        where = f"{self._where}: image {index}"
        return decode(lambda: self._rows[index][self._column], self._size, where)
