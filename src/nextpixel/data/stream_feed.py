"""Batches of a stream, shuffled in a buffer, shared out over processes, and resumed exactly.

Rows are read into a buffer until it is full or the epoch over, put into an order that is a function
of (seed, number of the buffer), and used up before more are read. So the place where the buffer was
begun and the number of images used of it are the whole state: going back reads the buffer again,
and a checksum says whether the same rows have come.

The last rows of an epoch and the first of the next may share a batch: every batch is full.

Where processes divide the number of shards, each reads shards of its own. Else each reads all rows,
but decodes and trains on every so manieth only, as one process with the same batch would.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.protocols import to_levels
from nextpixel.data.seeds import rng_of
from nextpixel.data.shards import Row, ShardReader
from nextpixel.data.stream import Stream
from nextpixel.errors import NextPixelError
from nextpixel.runtime.distributed import Processes


class Buffer:
    """Rows of a stream but for those held out, in shuffled buffers, epoch after epoch.

    Attributes:
        epoch: Of the last row given.

    Args:
        stream: The stream.
        seed: Fixes the orders.
        part: Which of the readers that share out the shards this is.
        parts: How many they are.
    """

    def __init__(self, stream: Stream, *, seed: int, part: int = 0, parts: int = 1) -> None:
        self.stream, self.seed, self.part = stream, seed, part
        self.reader = ShardReader(stream.flow.rows, stream.name, seed=seed, part=part, parts=parts)
        self.epoch = 0
        self._count, self._used, self._checksum = 0, 0, 0
        self._begun = self.reader.place()
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

    def state(self) -> dict[str, Any]:
        """Where it stands, as plain values."""
        return {
            "begun": self._begun,
            "count": self._count,
            "used": self._used,
            "checksum": self._checksum,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`.

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
        self.reader.go_to({"epoch": epoch, "shard": 0, "row": 0})
        self._begun = self.reader.place()
        self._rows, self._used, self.epoch = [], 0, epoch

    def _again(self, state: Mapping[str, Any], *, count: bool) -> bool:
        """Read the buffer of a state, and say whether it is the same."""
        self.reader.go_to(state["begun"], count=count)
        self._count = state["count"] - 1
        self._fill()
        self._count, self._used = state["count"], state["used"]
        return bool(self._checksum == state["checksum"])

    def _fill(self) -> None:
        self._begun, self._checksum, self._used = self.reader.place(), 0, 0
        rows = self._read()
        if not rows:  # the epoch ended with the buffer before
            self._begun = self.reader.place()
            rows = self._read()
        if not rows:
            raise NextPixelError(
                f"{self.stream.name}: must hold images to train on, got none beside the "
                f"{len(self.stream.held)} held out"
            )
        self.epoch = self._begun["epoch"]
        rng = rng_of(self.seed, "buffer", self._count, self.part)
        self._rows = [rows[place] for place in torch.randperm(len(rows), generator=rng).tolist()]

    def _read(self) -> list[Row]:
        """Rows until the buffer is full or the epoch over."""
        rows: list[Row] = []
        while len(rows) < self.stream.buffer and (row := self.reader.next()) is not None:
            mark = self.stream.flow.mark(row, len(rows))
            if mark not in self.stream.held:
                rows.append(row)
                self._checksum = zlib.crc32(mark, self._checksum)
        return rows


class StreamFeed:
    """A `Feed` of the images of a stream; those of other processes are black.

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
        self.buffer = Buffer(stream, seed=seed, part=part, parts=parts)
        self.read = 0  # images, for errors

    @property
    def epoch(self) -> int:
        """See `Feed`; of this process, where each has its own shards."""
        return self.buffer.epoch

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """See `Feed`."""
        pixels, labels = self.processes.each(self._batch)
        levels = to_levels(pixels, self.stream.level_count, self.stream.protocol, rng)
        return levels.long(), labels if self.stream.has_labels else None

    def state(self) -> dict[str, Any]:
        """See `Feed`."""
        parts = self.processes.all_gather(self.buffer.state())
        return {"by_shards": self.by_shards, "epoch": self.epoch, "parts": parts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Feed`; where shards are handed out otherwise than before, the next epoch begins."""
        alike = len(state["parts"]) == self.processes.world_size or not self.by_shards
        if state["by_shards"] == self.by_shards and alike:
            own = state["parts"][self.processes.rank if self.by_shards else 0]
            self.processes.each(lambda: self.buffer.restore(own))
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
                pixels[place] = self.stream.flow.pixels(row, self.read)
                labels[place] = self.stream.label(row, self.read)
        return torch.from_numpy(pixels), torch.from_numpy(labels)
