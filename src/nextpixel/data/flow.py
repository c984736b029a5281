"""Pictures with labels that come one after another, decoded when asked for; knows no levels.

The library whose rows they are is not imported here.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from nextpixel.data.column import Form, Pixels, decode
from nextpixel.data.shards import Row, RowStream
from nextpixel.errors import NextPixelError
from nextpixel.order import Shape


class Flow:
    """Pictures with labels that come one after another.

    Args:
        rows: Gives them; pictures may still be encoded.
        where: What errors call it.
        first: Its first row, whose picture says what all must be like.
        columns: Names of the columns of pictures and of labels; the latter is None where there are
            none.
        size: Resize pictures to size x size; None leaves the size.
        decoder: Decodes pictures that are encoded.
        class_names: What the labels mean, as far as the stream says it.

    Raises:
        NextPixelError: If the first picture cannot be decoded.
    """

    def __init__(
        self,
        rows: RowStream,
        where: str,
        first: Row,
        columns: tuple[str, str | None],
        *,
        size: int | None,
        decoder: Callable[[dict[str, Any]], object],
        class_names: tuple[str, ...] = (),
    ) -> None:
        self.rows, self.where, self.class_names = rows, where, class_names
        self._image, self._label = columns
        self._size, self._decoder = size, decoder
        self._form = Form(self._decode(first, 0), where)

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        return self._form.shape

    @property
    def has_labels(self) -> bool:
        """Whether its rows have labels."""
        return self._label is not None

    def pixels(self, row: Row, index: int) -> Pixels:
        """Pixels of a row, (C, H, W).

        Raises:
            NextPixelError: If it holds no picture like the first.
        """
        return self._form.planes(self._decode(row, index), index)

    def label(self, row: Row, index: int) -> int:
        """Label of a row; 0 where there are none.

        Raises:
            NextPixelError: If it is none.
        """
        if self._label is None:
            return 0
        label = self._value(row, self._label, index)
        if not isinstance(label, int | np.integer) or isinstance(label, bool) or label < 0:
            raise NextPixelError(
                f"{self.where}: labels must be integers from 0, got {label!r} in row {index}"
            )
        return int(label)

    def mark(self, row: Row, index: int) -> bytes:
        """What tells a row from others: a checksum of its picture as it is stored."""
        value = self._value(row, self._image, index)
        if isinstance(value, dict):
            content = value.get("bytes") or str(value.get("path")).encode()
        elif isinstance(value, Image.Image):
            content = value.tobytes()
        else:
            content = _bytes_of(value)
        return hashlib.blake2b(content, digest_size=16).digest()

    def _decode(self, row: Row, index: int) -> Pixels:
        value = self._value(row, self._image, index)
        if isinstance(value, dict):
            return decode(lambda: self._decoder(value), self._size, f"{self.where}: image {index}")
        return decode(lambda: value, self._size, f"{self.where}: image {index}")

    def _value(self, row: Row, column: str, index: int) -> object:
        if row.get(column) is None:
            raise NextPixelError(f"{self.where}: row {index} has nothing in column {column!r}")
        return row[column]


def _bytes_of(value: object) -> bytes:
    try:
        return np.asarray(value).tobytes()
    except ValueError:  # of rows of unequal length; what decodes them says so
        return repr(value).encode()
