"""Rows that can only be read one after another, out of shards: Hugging Face's `IterableDataset`.

Each epoch takes the shards in an order of its own, a function of (seed, epoch); within a shard rows
come as they lie. The library itself is not imported here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch

from nextpixel.data.seeds import rng_of
from nextpixel.errors import NextPixelError

Row = Mapping[str, Any]


class RowStream(Protocol):
    """What is used of a `datasets.IterableDataset`."""

    features: Mapping[str, Any] | None
    column_names: list[str] | None
    num_shards: int

    def __iter__(self) -> Iterator[Row]: ...

    def with_format(self, kind: str | None, /) -> "RowStream":
        """The same rows as other types; None: as plain values."""

    def select_columns(self, names: list[str], /) -> "RowStream":
        """These columns only."""

    def cast_column(self, name: str, feature: object, /) -> "RowStream":
        """A column of another type."""

    def shard(self, *, num_shards: int, index: int) -> "RowStream":
        """One of its shards."""

    def state_dict(self) -> dict[str, Any]:
        """Where reading stands."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from there."""


def read_row(read: Callable[[], Row | None], where: str, number: int) -> Row | None:
    """A row, or None at the end.

    Args:
        read: Gives it; what it raises may be anything.
        where: What errors call the stream.
        number: Of the row, for the error.

    Raises:
        NextPixelError: If it cannot be read.
    """
    try:
        return read()
    except (NextPixelError, MemoryError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise NextPixelError(
            f"{where}: row {number} cannot be read: {type(error).__name__}: {said}"
        ) from error


class ShardReader:
    """Reads a stream, epoch after epoch, or every so manieth shard of each epoch's order.

    Attributes:
        epoch: Of the next row.

    Args:
        found: The stream.
        where: What errors call it.
        seed: Fixes the order of shards.
        part: Takes the shards part, part + parts, ... of each epoch's order.
        parts: How many readers share the shards.
    """

    def __init__(
        self, found: RowStream, where: str, *, seed: int, part: int = 0, parts: int = 1
    ) -> None:
        self._found, self._where, self._seed = found, where, seed
        self._part, self._parts = part, parts
        self._row = 0  # of the shard
        self._inner: dict[str, Any] | None = None  # where to open the shard
        self._enter(epoch=0, shard=0)

    def next(self) -> Row | None:
        """The next row; None once at the end of each epoch."""
        while self._shard < len(self._order):
            name = f"{self._where}: shard {self._order[self._shard]}"
            row = read_row(lambda: next(self._open(), None), name, self._row)
            if row is not None:
                self._row += 1
                return row
            self._enter(epoch=self.epoch, shard=self._shard + 1)
        self._enter(epoch=self.epoch + 1, shard=0)
        return None

    def place(self) -> dict[str, Any]:
        """Where reading stands, as plain values."""
        inner = self._inner if self._rows is None or not self._row else self._rows.state_dict()
        return {"epoch": self.epoch, "shard": self._shard, "row": self._row, "inner": inner}

    def go_to(self, place: Mapping[str, Any], *, count: bool = False) -> None:
        """Go on from a `place`.

        Args:
            place: Of a reader with the same arguments.
            count: Read the shard again from its beginning and count rows, in place of trusting the
                library to find the row: what it shuffled in a buffer, say, it does not find.
        """
        self._enter(epoch=place["epoch"], shard=place["shard"])
        if count:
            while self._row < place["row"] and self.next() is not None:
                pass
        elif place["row"]:
            self._row, self._inner = place["row"], place["inner"]

    def _enter(self, *, epoch: int, shard: int) -> None:
        self.epoch, self._shard, self._row = epoch, shard, 0
        self._rows: RowStream | None = None
        self._iterator: Iterator[Row] | None = None
        self._inner = None
        rng = rng_of(self._seed, "shards", epoch)
        order = torch.randperm(self._found.num_shards, generator=rng).tolist()
        self._order = order[self._part :: self._parts]

    def _open(self) -> Iterator[Row]:
        if self._iterator is None:
            count = self._found.num_shards
            rows = self._found.shard(num_shards=count, index=self._order[self._shard])
            if self._inner is not None:
                rows.load_state_dict(self._inner)
            self._rows, self._iterator = rows, iter(rows)
        return self._iterator
