"""Batches of levels and labels for training, whatever the images lie in.

Every process of a run asks for the same batches. Of a set with random access each gets all of a
batch; of a stream, see `nextpixel.data.stream_feed`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from nextpixel.data.batches import Batches
from nextpixel.data.dataset import Split
from nextpixel.data.stream import Stream
from nextpixel.data.stream_feed import StreamFeed
from nextpixel.runtime.distributed import Processes


class Feed(Protocol):
    """Endless batches that can go on where they stopped."""

    @property
    def epoch(self) -> int:
        """Number of epochs finished before the one that the last batch came from."""

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The next batch; all processes call this together.

        Args:
            rng: Draws the levels of `dynamic`.

        Returns:
            Levels, int64, (B, C, H, W), and labels, int64, (B,), or None. Of the images that other
            processes train on (all but rank, rank + world_size, ...) they may be zero.

        Raises:
            NextPixelError: If an image cannot be read, in every process.
        """

    def state(self) -> dict[str, Any]:
        """Where the batches stand, for `restore`; all processes call this together."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state` of the same images, batch size and seed."""


class SplitFeed:
    """A `Feed` of the images of a split, each epoch in an order of its own; see `Batches`.

    Args:
        images: The split.
        batch_size: Images a batch.
        seed: With the epoch's number, fixes the epoch's order.
        processes: Those of the run.
    """

    def __init__(self, images: Split, batch_size: int, *, seed: int, processes: Processes) -> None:
        self.images, self.processes = images, processes
        self.batches = Batches(len(images), batch_size, seed=seed)

    @property
    def epoch(self) -> int:
        """See `Feed`."""
        return self.batches.epoch

    def next(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """See `Feed`."""
        indices, images = self.batches.next(), self.images
        labels = None if images.labels is None else images.labels[indices]
        if images.in_memory:
            return images.draw(indices, rng), labels
        return self.processes.each(lambda: images.draw(indices, rng)), labels

    def state(self) -> dict[str, Any]:
        """See `Feed`."""
        return dict(self.batches.state())

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Feed`."""
        self.batches.restore(state)


def feed_of(images: Split | Stream, batch_size: int, *, seed: int, processes: Processes) -> Feed:
    """The batches of a split or of a stream."""
    if isinstance(images, Stream):
        return StreamFeed(images, batch_size, seed=seed, processes=processes)
    return SplitFeed(images, batch_size, seed=seed, processes=processes)
