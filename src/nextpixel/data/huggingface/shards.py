"""Batches of a stream, shuffled in a buffer, shared out over processes, and resumed exactly.

Each epoch takes the shards in an order of its own, a function of (seed, epoch); within a shard rows
come as they lie. They are read into a buffer until it is full or the epoch over, put into an order
that is a function of (seed, number of the buffer), and used up before more are read. So the place
where the buffer was begun and the number of images used of it are the whole state: going back reads
the buffer again, and a checksum says whether the same rows have come.

The last rows of an epoch and the first of the next may share a batch: every batch is full.

Where processes divide the number of shards, each reads shards of its own. Else each reads all rows,
but decodes and trains on its own part of each batch, as one process with the same batch would.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.huggingface.streams import IterableDataset, Row, Stream, next_row
from nextpixel.data.protocols import to_levels
from nextpixel.data.splits import rng_of
from nextpixel.errors import NextPixelError
from nextpixel.runtime.distributed import Processes


class ShardReader:
    """Reads a stream, epoch after epoch, or some of the shards of each epoch's order.

    Attributes:
        epoch: Of the next row.

    Args:
        dataset: The stream.
        where: What errors call it.
        seed: Fixes the order of shards.
        part: Takes the shards part, part + parts, ... of each epoch's order.
        parts: How many readers share the shards.
    """

    def __init__(
        self, dataset: IterableDataset, where: str, *, seed: int, part: int = 0, parts: int = 1
    ) -> None:
        self._dataset, self._where, self._seed = dataset, where, seed
        self._part, self._parts = part, parts
        self._row = 0  # of the shard
        self._inner: dict[str, Any] | None = None  # where to open the shard
        self._enter(epoch=0, shard=0)

    def next(self) -> Row | None:
        """The next row; None once at the end of each epoch."""
        while self._shard < len(self._order):
            name = f"{self._where}: shard {self._order[self._shard]}"
            row = next_row(self._open, name, self._row)
            if row is not None:
                self._row += 1
                return row
            self._enter(epoch=self.epoch, shard=self._shard + 1)
        self._enter(epoch=self.epoch + 1, shard=0)
        return None

    def state_dict(self) -> dict[str, Any]:
        """Where reading stands, as plain values."""
        inner = self._inner if self._rows is None or not self._row else self._rows.state_dict()
        return {"epoch": self.epoch, "shard": self._shard, "row": self._row, "inner": inner}

    def load_state_dict(self, state: Mapping[str, Any], *, count: bool = False) -> None:
        """Go on from a state.

        Args:
            state: Of a reader with the same arguments.
            count: Read the shard again from its beginning and count rows, in place of trusting the
                library to find the row: what it shuffled in a buffer, say, it does not find.
        """
        self._enter(epoch=state["epoch"], shard=state["shard"])
        if count:
            while self._row < state["row"] and self.next() is not None:
                pass
        elif state["row"]:
            self._row, self._inner = state["row"], state["inner"]

    def enter(self, epoch: int) -> None:
        """Begin an epoch."""
        self._enter(epoch=epoch, shard=0)

    def _enter(self, *, epoch: int, shard: int) -> None:
        self.epoch, self._shard, self._row = epoch, shard, 0
        self._rows: IterableDataset | None = None
        self._iterator: Iterator[Row] | None = None
        self._inner = None
        rng = rng_of(self._seed, "shards", epoch)
        order = torch.randperm(self._dataset.num_shards, generator=rng).tolist()
        self._order = order[self._part :: self._parts]

    def _open(self) -> Iterator[Row]:
        if self._iterator is None:
            count = self._dataset.num_shards
            rows = self._dataset.shard(num_shards=count, index=self._order[self._shard])
            if self._inner is not None:
                rows.load_state_dict(self._inner)
            self._rows, self._iterator = rows, iter(rows)
        return self._iterator


class ShuffleBuffer:
    """Rows of a stream but for those held out, in shuffled buffers, epoch after epoch.

    Attributes:
        epoch: Of the last row.

    Args:
        stream: The stream.
        seed: Fixes the orders.
        part: Which of the readers that share out the shards this is.
        parts: How many they are.
    """

    def __init__(self, stream: Stream, *, seed: int, part: int = 0, parts: int = 1) -> None:
        self.stream, self.seed, self.part = stream, seed, part
        self.reader = ShardReader(
            stream.images.rows, stream.name, seed=seed, part=part, parts=parts
        )
        self.epoch = 0
        self._count, self._used, self._checksum = 0, 0, 0
        self._begun = self.reader.state_dict()
        self._rows: list[Row] = []

    def next(self) -> Row:
        """The next row.

        Raises:
            NextPixelError: If it cannot be read, or an epoch holds no row.
        """
        if self._used == len(self._rows):
            self._fill()
            self._count += 1
        row = self._rows[self._used]
        self._used += 1
        return row

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain values."""
        return {
            "begun": self._begun,
            "count": self._count,
            "used": self._used,
            "checksum": self._checksum,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            NextPixelError: If the stream does not give the same rows again.
        """
        self.enter(state["begun"]["epoch"])
        if state["used"] and not any(self._again(state, count=count) for count in (False, True)):
            raise NextPixelError(
                f"{self.stream.name}: the stream does not give the images again that it gave "
                "before the stop; it has changed, or its order is not fixed by a seed"
            )

    def enter(self, epoch: int) -> None:
        """Begin an epoch."""
        self.reader.enter(epoch)
        self._begun = self.reader.state_dict()
        self._rows, self._used, self.epoch = [], 0, epoch

    def _again(self, state: Mapping[str, Any], *, count: bool) -> bool:
        """Read the buffer of a state, and say whether it is the same."""
        self.reader.load_state_dict(state["begun"], count=count)
        self._count = state["count"] - 1
        self._fill()
        self._count, self._used = state["count"], state["used"]
        return bool(self._checksum == state["checksum"])

    def _fill(self) -> None:
        rows = self._read() or self._read()  # the epoch may have ended with the buffer before
        if not rows:
            raise NextPixelError(
                f"{self.stream.name}: must hold images to train on, got none but the "
                f"{len(self.stream.held_out)} held out"
            )
        self.epoch, self._used = self._begun["epoch"], 0
        rng = rng_of(self.seed, "buffer", self._count, self.part)
        self._rows = [rows[place] for place in torch.randperm(len(rows), generator=rng).tolist()]

    def _read(self) -> list[Row]:
        """Rows until the buffer is full or the epoch over."""
        self._begun, self._checksum = self.reader.state_dict(), 0
        rows: list[Row] = []
        while len(rows) < self.stream.buffer and (row := self.reader.next()) is not None:
            fingerprint = self.stream.images.fingerprint(row, len(rows))
            if fingerprint not in self.stream.held_out:
                rows.append(row)
                self._checksum = zlib.crc32(fingerprint, self._checksum)
        return rows


class StreamBatches:
    """`LevelBatches` of the images of a stream; those of other processes are black.

    Args:
        stream: The stream.
        batch_size: Images a batch, a multiple of the number of processes.
        seed: Fixes the order.
        processes: Those of the run.
    """

    def __init__(self, stream: Stream, batch_size: int, *, seed: int, processes: Processes) -> None:
        self.stream, self.batch_size, self.processes = stream, batch_size, processes
        self.by_shards = processes.world_size > 1 and stream.shards % processes.world_size == 0
        part, parts = (processes.rank, processes.world_size) if self.by_shards else (0, 1)
        self.buffer = ShuffleBuffer(stream, seed=seed, part=part, parts=parts)
        self.read = 0  # images, for errors

    @property
    def epoch(self) -> int:
        """See `LevelBatches`; of this process, where each has its own shards."""
        return self.buffer.epoch

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """See `LevelBatches`."""
        pixels, labels = self.processes.each(self._batch)
        levels = to_levels(pixels, self.stream.level_count, self.stream.protocol, rng)
        return levels.long(), labels if self.stream.has_labels else None

    def state(self) -> dict[str, Any]:
        """See `LevelBatches`."""
        parts = self.processes.all_gather(self.buffer.state_dict())
        return {"by_shards": self.by_shards, "epoch": self.epoch, "parts": parts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `LevelBatches`; where shards are shared otherwise than before, an epoch begins."""
        alike = len(state["parts"]) == self.processes.world_size or not self.by_shards
        if state["by_shards"] == self.by_shards and alike:
            own = state["parts"][self.processes.rank if self.by_shards else 0]
            self.processes.each(lambda: self.buffer.load_state_dict(own))
        else:
            self.buffer.enter(1 + max(part["begun"]["epoch"] for part in state["parts"]))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Pixels, (B, C, H, W), and labels, (B,), of which this process's are read."""
        pixels = np.zeros((self.batch_size, *self.stream.shape), np.uint8)
        labels = np.zeros(self.batch_size, np.int64)
        for place in range(self.batch_size):
            is_own = place % self.processes.world_size == self.processes.rank
            if is_own or not self.by_shards:
                row, self.read = self.buffer.next(), self.read + 1
            if is_own:
                pixels[place] = self.stream.images.pixels(row, self.read)
                labels[place] = self.stream.label(row, self.read)
        return torch.from_numpy(pixels), torch.from_numpy(labels)
