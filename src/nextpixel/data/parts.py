"""Images as a source has them, in their three parts: train, validation and test.

Nothing here knows about levels a model asks for, or about files.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextpixel.data.flow import Flow
from nextpixel.data.rows import Pixels, select
from nextpixel.data.seeds import rng_of
from nextpixel.order import Shape


@dataclass(frozen=True, eq=False)
class Images:
    """Pixels with their labels.

    Args:
        pixels: uint8, (N, C, H, W), in memory or not.
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
        """The images at `indices` (integers, (n,)); those in memory are copied."""
        labels = None if self.labels is None else self.labels[indices]
        return Images(select(self.pixels, indices), labels)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a source gives.

    Args:
        train: Images to fit.
        validation: Images to choose by.
        test: Images to report on.
        class_names: What the labels mean; empty where there are none.
        level_count: K where `pixels` are levels 0..K-1 already; None where they are 8-bit.
    """

    train: Images
    validation: Images
    test: Images
    class_names: tuple[str, ...]
    level_count: int | None


@dataclass(frozen=True, eq=False)
class StreamParts:
    """What a source gives whose training images come one after another.

    Args:
        train: Images to fit.
        held: Marks of images that are not to be trained on.
        validation: Images to choose by, in memory.
        test: Images to report on, in memory.
        class_names: What the labels mean; empty where there are none.
    """

    train: Flow
    held: frozenset[bytes]
    validation: Images
    test: Images
    class_names: tuple[str, ...]


def hold_out(count: int, held: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Shuffle the indices 0..count-1 and hold some out for validation.

    Args:
        count: Number of images.
        held: How many of them to hold out.
        seed: Fixes the choice.

    Returns:
        Indices that stay, (count - held,), and indices held out, (held,).

    Raises:
        ValueError: If nothing would stay.

    Example:
        >>> stay, held = hold_out(10, 3, seed=0)
        >>> sorted(stay.tolist() + held.tolist()) == list(range(10)), len(held)
        (True, 3)
    """
    if held >= count:
        raise ValueError(
            f"validation must leave images to train on: at most {count - 1}, got {held}"
        )
    order = torch.randperm(count, generator=rng_of(seed, "hold out"))
    return order[held:], order[:held]


def hold_out_validation(
    images: Images, held: int | None, *, default: int | None = None, seed: int
) -> tuple[Images, Images]:
    """Divide training images into those to fit and those to choose by.

    Args:
        images: All training images.
        held: How many to hold out; None means `default`.
        default: The set's own number; None means a tenth.
        seed: Fixes the choice.
    """
    if held is None:
        held = max(1, len(images) // 10) if default is None else default
    stay, away = hold_out(len(images), held, seed=seed)
    return images.select(stay), images.select(away)


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
    tenth = max(1, len(images) // 10)
    order = torch.randperm(len(images), generator=rng_of(seed, "split"))
    rest, test = images.select(order[tenth:]), images.select(order[:tenth])
    train, held = hold_out_validation(rest, validation, default=tenth, seed=seed)
    return train, held, test


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
