"""Endless batches that can go on where they stopped, whatever the images lie in.

The order of an epoch is a function of (seed, epoch) alone, so two integers are the whole state.
Every process of a run asks for the same batches. Of a set with random access each gets all of a
batch; of a stream, see `nextpixel.data.huggingface.shards`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from nextpixel.data.dataset import Split
from nextpixel.data.huggingface.shards import StreamBatches
from nextpixel.data.huggingface.streams import Stream
from nextpixel.data.splits import rng_of
from nextpixel.runtime.distributed import Processes


class Batches:
    """Batches of indices, epoch after epoch; each epoch gives every image once, in its own order.

    The last batch of an epoch is short where `batch_size` does not divide `count`.

    Args:
        count: Number of images.
        batch_size: Images a batch.
        seed: With the epoch's number, fixes the epoch's order.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> batches = Batches(5, 2, seed=0)
        >>> epoch = [batches.next() for _ in range(3)]
        >>> [len(batch) for batch in epoch], sorted(torch.cat(epoch).tolist())
        ([2, 2, 1], [0, 1, 2, 3, 4])
        >>> batches.state()
        {'epoch': 0, 'position': 5}
    """

    def __init__(self, count: int, batch_size: int, *, seed: int) -> None:
        _check_least("count", count, 1)
        _check_least("batch_size", batch_size, 1)
        _check_least("seed", seed, 0)
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._enter(epoch=0, position=0)

    def next(self) -> Tensor:
        """Indices of the next batch, int64, (batch_size,) or shorter at the end of an epoch."""
        if self._position == self.count:
            self._enter(epoch=self.epoch + 1, position=0)
        batch = self._order[self._position : self._position + self.batch_size]
        self._position += len(batch)
        return batch

    @property
    def epoch(self) -> int:
        """Number of epochs finished before the one that the last batch came from."""
        return self._epoch

    def state(self) -> dict[str, int]:
        """Where the batches stand; `restore` goes on from there."""
        return {"epoch": self._epoch, "position": self._position}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on from a `state` of batches of the same count and seed.

        Raises:
            ValueError: If `state` is not one of these batches.
        """
        epoch, position = state.get("epoch", -1), state.get("position", -1)
        if epoch < 0 or not 0 <= position <= self.count:
            raise ValueError(
                f"state must have an epoch, and a position 0 to {self.count}, got {dict(state)}"
            )
        self._enter(epoch=epoch, position=position)

    def _enter(self, *, epoch: int, position: int) -> None:
        self._epoch, self._position = epoch, position
        self._order = torch.randperm(self.count, generator=rng_of(self.seed, "epoch", epoch))


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


class LevelBatches(Protocol):
    """Endless batches of levels and labels for training."""

    @property
    def epoch(self) -> int:
        """Number of epochs finished before the one that the last batch came from."""

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The next batch; all processes call this together.

        Args:
            rng: Draws the levels of `dynamic`.

        Returns:
            Levels, int64, (B, C, H, W), and labels, int64, (B,), or None. Of the images that other
            processes train on (all but rank, rank + world size, ...) they may be zero.

        Raises:
            NextPixelError: If an image cannot be read, in every process.
        """

    def state(self) -> dict[str, Any]:
        """Where the batches stand, for `restore`; all processes call this together."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` of the same images, batch size and seed."""


class SplitBatches:
    """`LevelBatches` of the images of a split, each epoch in an order of its own; see `Batches`.

    Args:
        images: The split.
        batch_size: Images a batch.
        seed: With the epoch's number, fixes the epoch's order.
        processes: Those of the run.
    """

    def __init__(self, images: Split, batch_size: int, *, seed: int, processes: Processes) -> None:
        self.images, self.processes = images, processes
        self.indices = Batches(len(images), batch_size, seed=seed)

    @property
    def epoch(self) -> int:
        """See `LevelBatches`."""
        return self.indices.epoch

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """See `LevelBatches`."""
        indices, images = self.indices.next(), self.images
        labels = None if images.labels is None else images.labels[indices]
        if images.in_memory:
            return images.draw(indices, rng), labels
        return self.processes.each(lambda: images.draw(indices, rng)), labels

    def state(self) -> dict[str, Any]:
        """See `LevelBatches`."""
        return dict(self.indices.state())

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `LevelBatches`."""
        self.indices.restore(state)


def level_batches(
    images: Split | Stream, batch_size: int, *, seed: int, processes: Processes
) -> LevelBatches:
    """The batches of a split or of a stream."""
    made = StreamBatches if isinstance(images, Stream) else SplitBatches
    return made(images, batch_size, seed=seed, processes=processes)  # type: ignore[arg-type]
