"""Pixels that stay where they lie, in files larger than memory: images are read when asked for.

Splits of them are indices, not copies. What knows a file's form is a `Reader`.
"""

import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.int64]


class Reader(Protocol):
    """Images in some place that can be read in any order, by several threads."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""

    def read(self, indices: Indices) -> Tensor:
        """Pixels of the images at `indices`, 0..N-1, (n,): uint8, (n, C, H, W).

        Raises:
            NextPixelError: If they cannot be read any more.
        """

    def checksum(self) -> int:
        """What tells these images from others, 32 bits."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Images of a reader, all or some, in any order; indexed as a tensor is.

    Args:
        reader: Reads them.
        indices: Which, int64, (N,); None means all in their order.
    """

    reader: Reader
    indices: Tensor | None = None

    def __len__(self) -> int:
        return self.reader.shape[0] if self.indices is None else len(self.indices)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Read the images at `indices` (integers, (n,)): uint8, (n, C, H, W)."""
        return self.reader.read(self._own(indices).numpy())

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (len(self), *self.reader.shape[1:])

    def select(self, indices: Tensor) -> "Rows":
        """The images at `indices`; nothing is read."""
        return Rows(self.reader, self._own(indices))

    def load(self) -> Tensor:
        """Read all: uint8, (N, C, H, W)."""
        return self[torch.arange(len(self))]

    def checksum(self) -> int:
        """What tells these images, in this order, from others: 32 bits."""
        base = self.reader.checksum()
        return base if self.indices is None else zlib.crc32(self.indices.numpy().data, base)

    def _own(self, indices: Tensor) -> Tensor:
        return indices if self.indices is None else self.indices[indices]


class Joined:
    """Several readers of images of one shape, one after another."""

    def __init__(self, readers: list[Reader]) -> None:
        self.readers = readers
        self.ends = np.cumsum([reader.shape[0] for reader in readers])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (int(self.ends[-1]), *self.readers[0].shape[1:])

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        pixels = torch.empty(len(indices), *self.shape[1:], dtype=torch.uint8)
        which = np.searchsorted(self.ends, indices, side="right")
        for number in np.unique(which):
            here = which == number
            start = self.ends[number - 1] if number else 0
            pixels[torch.from_numpy(here)] = self.readers[number].read(indices[here] - start)
        return pixels

    def checksum(self) -> int:
        """See `Reader`."""
        sums = [reader.checksum() for reader in self.readers]
        return zlib.crc32(np.array(sums, "<u4").tobytes())


Pixels = Tensor | Rows
"""uint8, (N, C, H, W), in memory or not."""


def select(pixels: Pixels, indices: Tensor) -> Pixels:
    """The images at `indices` (integers, (n,)): a copy of those in memory, else nothing is read."""
    return pixels[indices] if isinstance(pixels, Tensor) else pixels.select(indices)


def checksum(pixels: Pixels) -> int:
    """What tells these images, in this order, from others: 32 bits."""
    if isinstance(pixels, Rows):
        return pixels.checksum()
    return zlib.crc32(pixels.contiguous().numpy().data)
