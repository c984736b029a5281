"""Splits that give levels, and the data set they make up.

A split keeps the source's pixels, a byte each, and makes levels when asked, because those of
`dynamic` are drawn anew each time. It knows nothing of files; its pixels may lie in one (see
`nextpixel.data.splits`).
"""

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import SupportsIndex, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from nextpixel.data.config import DataConfig
from nextpixel.data.crops import cut, flipped, tile
from nextpixel.data.huggingface.streams import Stream, StreamSplits
from nextpixel.data.joining import join
from nextpixel.data.protocols import depth_in, in_words, resolve, to_levels
from nextpixel.data.splits import Images, LoosePixels, Pixels, Splits, Whole, checksum, rng_of
from nextpixel.errors import check_count
from nextpixel.order import Shape, by_cross, several
from nextpixel.runtime.device import require

BUFFER = 1000
"""Images of a stream that are shuffled together, where nothing is said."""

_CHUNK = 4096  # images converted at a time, so that integers wider than a byte stay few


Item: TypeAlias = Tensor | tuple[Tensor, int]
"""An image as `Split` gives it to torch: levels, int64, (C, H, W), with its label if it has one."""


@dataclass(frozen=True, eq=False)
class Split(TorchDataset[Item]):
    """Images of one split, and how levels are made of them; a data set as torch has them.

    `split[i]` is an image's levels, int64, (C, H, W), or where there are labels the pair of these
    and its label, so that `torch.utils.data.DataLoader(split, batch_size=16)` gives batches.

    Args:
        name: The set's and the split's name, as in `mnist/test`.
        pixels: (N, C, H, W): intensities 0..255, uint8, or 0..65535, int32; or levels where
            `protocol` is `levels`. A tensor, or images that are read when asked for.
        labels: int64, (N,), or None.
        level_count: K.
        protocol: `threshold`, `dynamic`, `quantized` or `levels`.
        seed: Fixes the levels of `dynamic`.
        flip: How images that are drawn for training are mirrored and turned; None: not.

    Example:
        >>> pixels = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(1, 1, 2, 2)
        >>> split = Split("four/test", pixels, None, 2, "threshold", 0)
        >>> split.levels.tolist()
        [[[[0, 0], [1, 1]]]]
        >>> split, split[-1].shape
        (Split(four/test: 1 image of 1x2x2, 2 levels by threshold), torch.Size([1, 2, 2]))
    """

    name: str
    pixels: Pixels
    labels: Tensor | None
    level_count: int
    protocol: str
    seed: int
    flip: str | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: SupportsIndex) -> Item:
        if isinstance(index, bool) or not isinstance(index, SupportsIndex):
            raise TypeError(
                f"index must be an integer, got {type(index).__name__}; take(n) gives the first n "
                "images, levels[index] and labels[index] any"
            )
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index must be below {len(self)}, the images there are, got {number}")
        levels = self.draw(torch.tensor([number % len(self)]))[0]
        return levels if self.labels is None else (levels, int(self.labels[number]))

    def __repr__(self) -> str:
        images = f"{several(len(self), 'image')} of {by_cross(self.shape)}"
        labels = "" if self.labels is None else ", labels"
        return f"Split({self.name}: {images}, {self.in_words}{labels})"

    @property
    def in_words(self) -> str:
        """How many levels there are, and how they are made."""
        made = "" if self.protocol == "levels" else f" by {self.protocol}"
        return f"{self.level_count:,} levels{made}"

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        colors, height, width = self.pixels.shape[1:]
        return colors, height, width

    @property
    def sub_pixels(self) -> int:
        """How many there are to read; an image counts once, however many parts are drawn of it."""
        if isinstance(self.pixels, LoosePixels):
            return self.pixels.sub_pixels
        return math.prod(self.pixels.shape)

    @property
    def shapes(self) -> list[Shape]:
        """Colors, height and width of each image, or one for all where they are alike."""
        return self.pixels.shapes if isinstance(self.pixels, LoosePixels) else [self.shape]

    def image(self, number: int) -> Tensor:
        """Levels of one image of several sizes, (C, H, W); `dynamic` by the seed and the number."""
        if not isinstance(self.pixels, LoosePixels) or len(self.shapes) == 1:
            return self.draw(torch.tensor([number]))[0]
        rng = rng_of(self.seed, "dynamic", self.name.rpartition("/")[2], number)
        return to_levels(self.pixels.images[number], self.level_count, self.protocol, rng)

    @property
    def in_memory(self) -> bool:
        """Whether the pixels lie in memory; if not, `levels` of all may not fit there."""
        return isinstance(self.pixels, Tensor)

    @cached_property
    def levels(self) -> Tensor:
        """Levels of all images, `images.level_dtype(K)`, (N, C, H, W); `dynamic` by the seed.

        Raises:
            NextPixelError: If they do not fit into memory.
        """
        if not self.in_memory:
            remedy = "take a part of them, or draw() what is needed"
            require(2 * math.prod(self.pixels.shape), f"all of {self.name} at once", remedy)
        return torch.cat(list(self.pieces(_CHUNK)))

    def pieces(self, size: int) -> Iterator[Tensor]:
        """The images of `levels` in order, `size` at a time, so that never all are held."""
        rng = rng_of(self.seed, "dynamic", self.name.rpartition("/")[2])
        for indices in torch.split(torch.arange(len(self)), size):
            yield to_levels(self.pixels[indices], self.level_count, self.protocol, rng)

    def draw(self, indices: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Levels of some images, int64, (n, C, H, W).

        Args:
            indices: Which images, integers, (n,).
            rng: Of training: draws the levels of `dynamic` anew, parts of images that are cropped,
                and how they are flipped. None means what validation and test have.
        """
        if self.protocol == "dynamic" and rng is None:
            return self.levels[indices].long()
        pixels = self._pixels(indices, rng)
        rng = torch.Generator() if rng is None else rng
        return to_levels(pixels, self.level_count, self.protocol, rng).long()

    def _pixels(self, indices: Tensor, rng: torch.Generator | None) -> Tensor:
        """Pixels of some images, cropped and flipped at random where there is an `rng`."""
        if rng is None:
            return self.pixels[indices]
        if isinstance(self.pixels, LoosePixels):
            pixels = self.pixels.draw(indices, rng)
        else:
            pixels = self.pixels[indices]
        return flipped(pixels, self.flip, rng) if self.flip else pixels

    def take(self, count: int) -> "Split":
        """The first `count` images, or all where there are fewer.

        Raises:
            TypeError: If `count` is no integer.
            ValueError: If it is not at least 1.
        """
        check_count("count", count)
        labels = None if self.labels is None else self.labels[:count]
        first = torch.arange(min(count, len(self)))
        pixels = self.pixels
        pixels = pixels[:count] if isinstance(pixels, Tensor) else pixels.select(first)
        return replace(self, pixels=pixels, labels=labels)

    def checksum(self) -> int:
        """What tells these images from others, 32 bits."""
        return checksum(self.pixels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of one shape, one number of levels and one protocol.

    Args:
        name: As it was asked for.
        train: Images to fit; a stream if they come one after another.
        validation: Images to choose by; held out of the training images.
        test: Images to report on.
        class_names: What the labels mean; empty where there are none.
        level_names: What the levels are, as tiles or codes; empty where they have no names.
        notes: What was done to the images, as clauses of a sentence; see `describe`.
    """

    name: str
    train: Split | Stream
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    level_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def describe(self, *, uses_labels: bool = True) -> str:
        """What there is and what was done to it, in one line.

        Args:
            uses_labels: Whether the model that is to be trained takes the labels.

        Example:
            >>> from nextpixel.data import load_data
            >>> load_data("shapes").describe(uses_labels=False)  # doctest: +NORMALIZE_WHITESPACE
            'shapes: 6,000 training, 1,000 validation and 1,000 test images, 1 color of 20 x 20;
            2 levels as they are; labels of 4 classes not used'
        """
        colors, height, width = self.shape
        train = f"{len(self.train):,}" if isinstance(self.train, Split) else "a stream of"
        depth = depth_in(self.validation.pixels[torch.arange(1)].dtype)
        labels = f"labels of {self.classes} classes{'' if uses_labels else ' not used'}"
        clauses = (
            f"{self.name}: {train} training, {len(self.validation):,} validation and "
            f"{len(self.test):,} test images, {colors} color{'s' if colors > 1 else ''} of "
            f"{height} x {width}",
            in_words(self.protocol, self.level_count, depth),
            *self.notes,
            labels if self.classes else "no labels",
        )
        return "; ".join(clauses)

    def __repr__(self) -> str:
        parts = (self.train, self.validation, self.test)
        counts = " + ".join(
            f"{len(part):,}" if isinstance(part, Split) else "a stream" for part in parts
        )
        classes = f", {self.classes} classes" if self.classes else ""
        images = f"{counts} images of {by_cross(self.shape)}, {self.test.in_words}"
        return f"Dataset({self.name}: {images}{classes})"

    def with_level_names(self, names: Sequence[str]) -> "Dataset":
        """The same, whose levels have names: of tiles, or of codes. They are kept with the model.

        Raises:
            ValueError: If they are not K different names.
        """
        if len(names) != self.level_count or len(set(names)) != len(names):
            raise ValueError(
                f"names must be {self.level_count} different ones, one for each level, got "
                f"{len(names)} with {len(set(names))} different"
            )
        return replace(self, level_names=tuple(names))

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        return self.train.shape

    @property
    def level_count(self) -> int:
        """K."""
        return self.train.level_count

    @property
    def protocol(self) -> str:
        """How levels are made of pixels."""
        return self.train.protocol

    @property
    def classes(self) -> int:
        """Number of classes; 0 where there are no labels."""
        return len(self.class_names)


Source = Whole | Splits | StreamSplits
"""What a file, a folder or a named set holds, before levels are made of it."""


def make_dataset(config: DataConfig, source: Source) -> Dataset:
    """The data set that a source's images make, with the levels and the protocol asked for.

    Raises:
        ValueError: If what was asked for does not fit the source, or itself.
    """
    splits = (
        source.split(config.validation, seed=config.seed) if isinstance(source, Whole) else source
    )
    if isinstance(splits, Splits) and config.crop is not None:
        splits = cut(splits, config.crop, config.name, crops=config.crops or 1)
    _check_flip(config, splits)
    of_levels = _levels_of(config, splits)
    made = Dataset(
        config.name,
        _train(config, splits, of_levels),
        _split(config, "validation", splits.validation, of_levels),
        _split(config, "test", splits.test, of_levels),
        splits.class_names,
        notes=_notes(config, splits),
    )
    names = splits.level_names if isinstance(splits, Splits) else ()
    return made.with_level_names(names) if names else made


def make_part(config: DataConfig, source: Source, part: str) -> Split:
    """Some of a source's images: `all` in the order of the source, or one part of its data set.

    Raises:
        ValueError: If what was asked for does not fit the source, or itself.
    """
    if part != "all":
        found = getattr(make_dataset(config, source), part)
        if isinstance(found, Split):
            return found
    if isinstance(source, StreamSplits):
        raise ValueError(f"split must be validation or test of {config.name}, a stream, got {part}")
    whole = join(source) if isinstance(source, Splits) else source
    images, name = whole.images, f"{config.name}/{part}"
    if config.crop is not None:
        images = tile(images, config.crop, name)
    return _split(config, part, images, _levels_of(config, whole))


def _notes(config: DataConfig, splits: Splits | StreamSplits) -> tuple[str, ...]:
    """What the source says, and what was done by settings for all sources."""
    said = {
        f"{config.offset} added to each number": config.offset,
        "half of the training images mirrored, at random": config.flip == "horizontal",
        "training images turned and mirrored at random": config.flip == "dihedral",
        f"at most the first {config.limit} of each part": config.limit,
    }
    own = splits.notes if isinstance(splits, Splits) else ()
    return (*own, *(note for note, holds in said.items() if holds))


_OfLevels = tuple[int, str]  # K and the protocol


def _levels_of(config: DataConfig, source: Source) -> _OfLevels:
    """Settled by what a source says of its levels, and by the bits of one of its pixels."""
    if isinstance(source, StreamSplits):
        return resolve(config, None)
    images = source.images if isinstance(source, Whole) else source.train
    return resolve(config, source.level_count, depth_in(images.pixels[torch.arange(1)].dtype))


def _split(config: DataConfig, part: str, images: Images, of_levels: _OfLevels) -> Split:
    flip = config.flip if part == "train" else None
    name = f"{config.name}/{part}"
    whole = Split(name, images.pixels, images.labels, *of_levels, config.seed, flip)
    return whole if config.limit is None else whole.take(config.limit)


def _train(
    config: DataConfig, splits: Splits | StreamSplits, of_levels: _OfLevels
) -> Split | Stream:
    if isinstance(splits, Splits):
        return _split(config, "train", splits.train, of_levels)
    name, buffer = f"{config.name}/train", config.buffer or BUFFER
    classes = len(splits.class_names)
    return Stream(name, splits.train, splits.held_out, *of_levels, buffer, classes)


def _check_flip(config: DataConfig, splits: Splits | StreamSplits) -> None:
    """Turned images have the height of their width: both must be one.

    Raises:
        ValueError: If they are not.
    """
    if config.flip == "dihedral" and isinstance(splits, Splits):
        height, width = splits.train.pixels.shape[2:]
        if height != width:
            raise ValueError(
                f"flip must be horizontal for images of {height} x {width}: squares can be turned"
            )
