"""Images as a source has them, and their division into train, validation and test.

Pixels may stay in files larger than memory: then images are read when asked for, and splits of them
are indices, not copies. Nothing here knows the levels that a model asks for, or the form of a file.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.order import Shape

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
class LazyPixels:
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
        """Read the images at `indices` (integers, (n,), or a mask, (N,)): uint8, (n, C, H, W)."""
        return self.reader.read(self._own(indices).numpy())

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (len(self), *self.reader.shape[1:])

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`, which these are as well."""
        return self[torch.from_numpy(indices)]

    def select(self, indices: Tensor) -> "LazyPixels":
        """The images at `indices`; nothing is read."""
        return LazyPixels(self.reader, self._own(indices))

    def load(self) -> Tensor:
        """Read all: uint8, (N, C, H, W)."""
        return self[torch.arange(len(self))]

    def checksum(self) -> int:
        """What tells these images, in this order, from others: 32 bits."""
        base = self.reader.checksum()
        return base if self.indices is None else zlib.crc32(self.indices.numpy().data, base)

    def _own(self, indices: Tensor) -> Tensor:
        if self.indices is None:
            return _places(indices, len(self))
        return self.indices[indices]


def _places(indices: Tensor, count: int) -> Tensor:
    """Places 0..count-1 of what a tensor may be indexed by: indices from either end, or a mask."""
    if indices.dtype == torch.bool:
        return torch.arange(count)[indices]
    wrong = indices[(indices < -count) | (indices >= count)]
    if len(wrong):
        raise IndexError(f"index must be {-count} to {count - 1}, got {int(wrong[0])}")
    return torch.where(indices < 0, indices + count, indices)


@dataclass(frozen=True, eq=False)
class LoosePixels:
    """Images that may differ in size; indexed as a tensor is, they give their top left parts.

    Args:
        images: Each (C, H, W).
        crop: Height and width of the parts; None: the images must have one size.
    """

    images: Sequence[Tensor]
    crop: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Top left parts of the images at `indices`, (n,): (n, C, crop, crop).

        Raises:
            ValueError: If they differ in size, and no crop is stated.
        """
        parts = [self._part(int(n), 0, 0) for n in torch.arange(len(self))[indices]]
        if len({part.shape for part in parts}) > 1:
            raise ValueError("images must have one size to be read together: give `crop`")
        return torch.stack(parts)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W) of the parts."""
        colors, height, width = self.images[0].shape
        return (len(self), colors, self.crop or height, self.crop or width)

    @property
    def sub_pixels(self) -> int:
        """Of all images, each counted once, however often it is drawn from."""
        return sum({id(image): image.numel() for image in self.images}.values())

    @property
    def shapes(self) -> list[Shape]:
        """(C, H, W) of each image, or one for all where they are alike."""
        found = [(image.shape[0], image.shape[1], image.shape[2]) for image in self.images]
        alike = self.crop is not None or len(set(found)) == 1
        return [(self.shape[1], self.shape[2], self.shape[3])] if alike else found

    def draw(self, indices: Tensor, rng: torch.Generator) -> Tensor:
        """Random parts of the images at `indices`, (n,): (n, C, crop, crop)."""
        parts = []
        shares = torch.rand(len(indices), 2, generator=rng)
        for n, share in zip(indices.tolist(), shares, strict=True):
            _, height, width = self.images[n].shape
            room = torch.tensor([height - self.shape[2] + 1, width - self.shape[3] + 1])
            top, left = (share * room).long().minimum(room - 1).tolist()
            parts.append(self._part(n, top, left))
        return torch.stack(parts)

    def select(self, indices: Tensor) -> "LoosePixels":
        """The images at `indices`."""
        chosen = torch.arange(len(self))[indices].tolist()
        return LoosePixels([self.images[n] for n in chosen], self.crop)

    def load(self) -> Tensor:
        """The top left part of each."""
        return self[torch.arange(len(self))]

    def checksum(self) -> int:
        """What tells these images from others, 32 bits."""
        found = 0
        for image in self.images:
            found = zlib.crc32(image.contiguous().numpy().data, found)
        return found

    def _part(self, number: int, top: int, left: int) -> Tensor:
        image, side = self.images[number], self.crop
        return image if side is None else image[:, top : top + side, left : left + side]


Pixels = Tensor | LazyPixels | LoosePixels
"""uint8, or int32 of 16 bits, (N, C, H, W), in memory or not."""


def checksum(pixels: Pixels) -> int:
    """What tells these images, in this order, from others: 32 bits."""
    if not isinstance(pixels, Tensor):
        return pixels.checksum()
    return zlib.crc32(pixels.contiguous().numpy().data)


@dataclass(frozen=True, eq=False)
class Images:
    """Pixels with their labels.

    Args:
        pixels: uint8, or int32 of 16 bits, (N, C, H, W), in memory or not.
        labels: int64, (N,), or None.
    """

    pixels: Pixels
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        colors, height, width = self.pixels.shape[1:]
        return colors, height, width

    def load(self) -> Tensor:
        """All pixels, in memory."""
        return self.pixels if isinstance(self.pixels, Tensor) else self.pixels.load()

    def select(self, indices: Tensor) -> "Images":
        """The images at `indices` (integers, (n,)); only those in memory are copied."""
        pixels, labels = self.pixels, self.labels
        chosen = pixels[indices] if isinstance(pixels, Tensor) else pixels.select(indices)
        return Images(chosen, None if labels is None else labels[indices])


@dataclass(frozen=True, eq=False)
class Splits:
    """What a source gives.

    Args:
        train: Images to fit.
        validation: Images to choose by.
        test: Images to report on.
        class_names: What the labels mean; empty where there are none.
        level_count: K where `pixels` are levels 0..K-1 already; None where they are pixels.
        level_names: What the levels are; empty where they have no names.
        notes: What was done to the images, as clauses of a sentence.
    """

    train: Images
    validation: Images
    test: Images
    class_names: tuple[str, ...]
    level_count: int | None
    level_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Whole:
    """What a source gives that comes in one piece: a file, or a folder that names no splits.

    Args:
        images: All of them, in the order of the file.
        class_names: As of `Splits`, and so are the others.
        level_count: K of levels.
        level_names: What the levels are.
        notes: What was done to the images.
    """

    images: Images
    class_names: tuple[str, ...]
    level_count: int | None
    level_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def split(self, validation: int | None, *, seed: int) -> Splits:
        """The images divided 80/10/10; see `split_images`."""
        parts = split_images(self.images, validation, seed=seed)
        drawn = "test is a tenth" if validation else "validation and test are a tenth each"
        notes = (f"{drawn}, drawn by seed {seed}", *self.notes)
        return Splits(*parts, self.class_names, self.level_count, self.level_names, notes)


def hold_out(count: int, held_out: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Shuffle the indices 0..count-1 and hold some out for validation.

    Args:
        count: Number of images.
        held_out: How many of them to hold out.
        seed: Fixes the choice.

    Returns:
        Indices that stay, (count - held_out,), and indices held out, (held_out,).

    Raises:
        ValueError: If nothing would stay.

    Example:
        >>> stay, away = hold_out(10, 3, seed=0)
        >>> sorted(stay.tolist() + away.tolist()) == list(range(10)), len(away)
        (True, 3)
    """
    if held_out >= count:
        raise ValueError(
            f"validation must leave images to train on: at most {count - 1}, got {held_out}"
        )
    order = torch.randperm(count, generator=rng_of(seed, "hold out"))
    return order[held_out:], order[:held_out]


def hold_out_validation(
    images: Images, held_out: int | None, *, default: int | None = None, seed: int
) -> tuple[Images, Images]:
    """Divide training images into those to fit and those to choose by.

    Args:
        images: All training images.
        held_out: How many to hold out; None means `default`.
        default: The set's own number; None, or more than there are, means a tenth.
        seed: Fixes the choice.
    """
    if held_out is None:
        held_out = tenth(images)
        if default is not None and default < len(images):
            held_out = default
    stay, away = hold_out(len(images), held_out, seed=seed)
    return images.select(stay), images.select(away)


def hold_out_test(images: Images, held_out: int | None, *, seed: int) -> tuple[Images, Images]:
    """Divide images into those to train and choose by, and those to report on.

    Args:
        images: All images.
        held_out: How many to report on; None means a tenth.
        seed: Fixes the choice.

    Raises:
        ValueError: If nothing would stay.
    """
    held_out = tenth(images) if held_out is None else held_out
    if held_out >= len(images):
        raise ValueError(
            f"test must leave images to train on: at most {len(images) - 1}, got {held_out}"
        )
    order = torch.randperm(len(images), generator=rng_of(seed, "split"))
    return images.select(order[held_out:]), images.select(order[:held_out])


def split_images(
    images: Images, validation: int | None, *, seed: int
) -> tuple[Images, Images, Images]:
    """Divide images that come in one piece: 80 % train, 10 % validation, 10 % test, by `seed`.

    The test images do not depend on `validation`.

    Raises:
        ValueError: If there are fewer than 3 images, or `validation` leaves none to train on.
    """
    if len(images) < 3:
        raise ValueError(f"a set to split must have at least 3 images, got {len(images)}")
    rest, test = hold_out_test(images, None, seed=seed)
    return *hold_out_validation(rest, validation, default=tenth(images), seed=seed), test


def tenth_held_out(validation: int | None) -> tuple[str, ...]:
    """The note on validation images that had to be taken from the training images."""
    return () if validation else ("a tenth of the training images held out for validation",)


def tenth(images: Images) -> int:
    """What is held out where nothing is said."""
    return max(1, len(images) // 10)


def number_names(*labels: Tensor | None) -> tuple[str, ...]:
    """Names of labels that are mere numbers: "0" up to the largest; none where there are no labels.

    Example:
        >>> number_names(torch.tensor([1, 0]), torch.tensor([2]))
        ('0', '1', '2')
        >>> number_names(None)
        ()
    """
    largest = max((int(some.max()) for some in labels if some is not None), default=-1)
    return tuple(str(label) for label in range(largest + 1))


def rng_of(*keys: int | str) -> torch.Generator:
    """A fresh CPU generator that depends on every key and on their order.

    torch's CPU generator keeps only the low 32 bits of a seed, so `seed * 2**32 + epoch` would be
    `epoch`. Keys are hashed instead: any two lists of keys give unrelated generators, on every
    machine.

    Example:
        >>> def draw(*keys: int | str) -> int:
        ...     return int(torch.randint(1000, (), generator=rng_of(*keys)))
        >>> draw(0, "epoch", 1) == draw(0, "epoch", 1), draw(0, "epoch", 1) == draw(1, "epoch", 0)
        (True, False)
    """
    digest = hashlib.sha256(repr(keys).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
