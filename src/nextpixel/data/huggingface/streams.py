"""Images of a `datasets.IterableDataset`, which come one after another, decoded when asked for.

What was held out for validation and test is left out wherever it comes up again, by its content: so
it stays out whatever the order, and however many processes read. The library itself is not imported
here.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nextpixel.data.huggingface.columns import Columns, Form, ImageFormat, Pixels, decode, decoded
from nextpixel.data.splits import Images
from nextpixel.errors import NextPixelError
from nextpixel.order import Shape

Row = Mapping[str, Any]


class IterableDataset(Protocol):
    """What is used of a `datasets.IterableDataset`."""

    features: Mapping[str, Any] | None
    column_names: list[str] | None
    num_shards: int

    def __iter__(self) -> Iterator[Row]: ...

    def with_format(self, kind: str | None, /) -> "IterableDataset":
        """The same rows as other types; None: as plain values."""

    def select_columns(self, names: list[str], /) -> "IterableDataset":
        """These columns only."""

    def cast_column(self, name: str, feature: object, /) -> "IterableDataset":
        """A column of another type."""

    def shard(self, *, num_shards: int, index: int) -> "IterableDataset":
        """One of its shards."""

    def state_dict(self) -> dict[str, Any]:
        """Where reading stands."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from there."""


def next_row(rows: Callable[[], Iterator[Row]], where: str, number: int) -> Row | None:
    """The next row, or None at the end.

    Args:
        rows: Gives the iterator; what it and the iterator raise may be anything.
        where: What errors call the stream.
        number: Of the row, for the error.

    Raises:
        NextPixelError: If it cannot be read.
    """
    try:
        return next(rows(), None)
    except (NextPixelError, MemoryError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise NextPixelError(
            f"{where}: row {number} cannot be read: {type(error).__name__}: {said}"
        ) from error


class ImageStream:
    """Pictures with labels that come one after another; knows no levels.

    Args:
        rows: Gives them; pictures may still be encoded.
        where: What errors call it.
        first: Its first row, whose picture says what all must be like.
        columns: Of pictures and of labels.
        form: How images are made.
        decoder: Decodes pictures that are encoded.
        class_names: What the labels mean, as far as the stream says it.

    Raises:
        NextPixelError: If the first picture cannot be decoded.
    """

    def __init__(
        self,
        rows: IterableDataset,
        where: str,
        first: Row,
        columns: Columns,
        *,
        form: Form,
        decoder: Callable[[dict[str, Any]], object],
        class_names: tuple[str, ...] = (),
    ) -> None:
        self.rows, self.where, self.class_names = rows, where, class_names
        self._columns, self._form, self._decoder = columns, form, decoder
        self._format = ImageFormat(self._decode(first, 0), where)

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        return self._format.shape

    @property
    def has_labels(self) -> bool:
        """Whether its rows have labels."""
        return self._columns.label is not None

    def pixels(self, row: Row, index: int) -> Pixels:
        """Pixels of a row, (C, H, W).

        Raises:
            NextPixelError: If it holds no picture like the first.
        """
        return self._format.planes(self._decode(row, index), index)

    def label(self, row: Row, index: int) -> int:
        """Label of a row; 0 where there are none.

        Raises:
            NextPixelError: If it is none.
        """
        if self._columns.label is None:
            return 0
        label = self._value(row, self._columns.label, index)
        if not isinstance(label, int | np.integer) or isinstance(label, bool) or label < 0:
            raise NextPixelError(
                f"{self.where}: labels must be integers from 0, got {label!r} in row {index}"
            )
        return int(label)

    def fingerprint(self, row: Row, index: int) -> bytes:
        """What tells a row from others: a checksum of its picture as it is stored."""
        value = self._value(row, self._columns.image, index)
        if isinstance(value, dict):
            content = value.get("bytes") or str(value.get("path")).encode()
        elif isinstance(value, Image.Image):
            content = value.tobytes()
        else:
            content = _bytes_of(value)
        return hashlib.blake2b(content, digest_size=16).digest()

    def _decode(self, row: Row, index: int) -> Pixels:
        value, where = self._value(row, self._columns.image, index), f"{self.where}: image {index}"
        encoded = value if isinstance(value, dict) else None
        return decode(
            lambda: value if encoded is None else decoded(encoded, self._decoder, where),
            self._form,
            where,
        )

    def _value(self, row: Row, column: str, index: int) -> object:
        if row.get(column) is None:
            raise NextPixelError(f"{self.where}: row {index} has nothing in column {column!r}")
        return row[column]


def _bytes_of(value: object) -> bytes:
    try:
        return np.asarray(value).tobytes()
    except ValueError:  # of rows of unequal length; what decodes them says so
        return repr(value).encode()


@dataclass(frozen=True, eq=False)
class StreamSplits:
    """What a source gives whose training images come one after another.

    Args:
        train: Images to fit.
        held_out: Fingerprints of images that are not to be trained on.
        validation: Images to choose by, in memory.
        test: Images to report on, in memory.
        class_names: What the labels mean; empty where there are none.
    """

    train: ImageStream
    held_out: frozenset[bytes]
    validation: Images
    test: Images
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Stream:
    """Images to train on that come one after another, and how levels are made of them.

    Args:
        name: The set's and the split's name, as in `faces/train`.
        images: Gives them.
        held_out: Fingerprints of images that are left out.
        level_count: K.
        protocol: `threshold`, `dynamic` or `quantized`.
        buffer: Images that are read together, and come out in an order of their own.
        classes: Number of classes; 0 where there are no labels.
    """

    name: str
    images: ImageStream
    held_out: frozenset[bytes]
    level_count: int
    protocol: str
    buffer: int
    classes: int

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        return self.images.shape

    @property
    def shards(self) -> int:
        """In how many pieces it can be handed out."""
        return self.images.rows.num_shards

    @property
    def has_labels(self) -> bool:
        """Whether its images have labels."""
        return self.images.has_labels

    @property
    def fingerprint(self) -> str:
        """What tells this stream from others, as far as its beginning shows."""
        left_out = hashlib.blake2b(b"".join(sorted(self.held_out)), digest_size=4).hexdigest()
        return f"a stream of {self.shards} shards, buffer {self.buffer}, without {left_out}"

    def label(self, row: Row, index: int) -> int:
        """Label of a row.

        Raises:
            NextPixelError: If there is no such class.
        """
        label = self.images.label(row, index)
        if self.has_labels and label >= self.classes:
            raise NextPixelError(
                f"{self.name}: labels must be below {self.classes}, the largest that is held out "
                f"or the number of its names, got {label} in row {index}; give the column names "
                "(ClassLabel)"
            )
        return label
