"""Images of several readers, or of several splits, one after another."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.splits import (
    Images,
    Indices,
    LazyPixels,
    LoosePixels,
    Pixels,
    Reader,
    Splits,
    Whole,
)


class ConcatReader:
    """Several readers of images of one shape, one after another."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self.readers = readers
        self.ends = np.cumsum([reader.shape[0] for reader in readers])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (int(self.ends[-1]), *self.readers[0].shape[1:])

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        parts = [reader.read(indices[:0]) for reader in self.readers[:1]]
        pixels = parts[0].new_empty(len(indices), *self.shape[1:])
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


def join(splits: Splits) -> Whole:
    """The images to fit, to choose by and to report on, as one piece in that order."""
    parts = [splits.train, splits.validation, splits.test]
    labels = [part.labels for part in parts if part.labels is not None]
    images = Images(
        _join_pixels([part.pixels for part in parts]), torch.cat(labels) if labels else None
    )
    names = splits.class_names, splits.level_count, splits.level_names
    return Whole(images, *names, splits.notes)


def _join_pixels(parts: list[Pixels]) -> Pixels:
    tensors = [part for part in parts if isinstance(part, Tensor)]
    loose = [part for part in parts if isinstance(part, LoosePixels)]
    if tensors:
        return torch.cat(tensors)
    if loose:
        return LoosePixels([image for part in loose for image in part.images], loose[0].crop)
    return LazyPixels(ConcatReader([part for part in parts if isinstance(part, LazyPixels)]))
