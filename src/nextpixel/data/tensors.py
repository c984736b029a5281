"""Images in memory -> a data set for `fit` and `evaluate`."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.data.config import DataConfig, check_number
from nextpixel.data.dataset import Dataset, make_dataset
from nextpixel.data.splits import (
    Images,
    Splits,
    hold_out_test,
    hold_out_validation,
    tenth,
)
from nextpixel.images import level_dtype

Array = Tensor | NDArray[Any]
HeldOut = int | Array | tuple[Array, Array] | None
"""How many images to hold out, or the images themselves, or these with labels; None: a tenth."""


def from_tensors(
    levels: Array,
    labels: Array | None = None,
    *,
    level_count: int | None = None,
    validation: HeldOut = None,
    test: HeldOut = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Dataset:
    """Make a data set of levels in memory, tensors or NumPy arrays.

    Args:
        levels: Integers 0..K-1 or truth values, (N, C, H, W): images to divide by `seed`, but for
            those that are handed in as `validation` and `test`.
        labels: Classes, integers from 0, (N,), or None.
        level_count: K, 2 to 65,536. May be left out for truth values (2), and where 255 is the
            highest level that occurs (256); nothing else says how many levels there are.
        validation: Images to choose by: how many to hold out, or levels, (n, C, H, W), or a pair of
            levels and labels. None holds out a tenth.
        test: Images to report on, likewise.
        class_names: What the labels mean; None numbers them, up to the largest that occurs.
        seed: Of the division.

    Raises:
        TypeError: If something is no tensor or array, or of another type of numbers.
        ValueError: If shapes do not fit, a level or a label is out of range, K cannot be inferred,
            or there is too little to divide.

    Example:
        >>> levels = torch.arange(20).remainder(3).view(20, 1, 1, 1).expand(20, 1, 4, 4)
        >>> data = from_tensors(levels, labels=torch.arange(20) % 2, level_count=3)
        >>> [len(part) for part in (data.train, data.validation, data.test)]
        [16, 2, 2]
        >>> data.shape, data.level_count, data.classes
        ((1, 4, 4), 3, 2)
    """
    handed = {"validation": validation, "test": test}
    counts = {name: value for name, value in handed.items() if isinstance(value, int | None)}
    parts = {"": _Arrays("", levels, labels)} | {
        name: _Arrays(f" of {name}", *(value if isinstance(value, tuple) else (value, None)))
        for name, value in handed.items()
        if not isinstance(value, int | None)
    }
    _check_alike(list(parts.values()))
    count = _count_levels(list(parts.values()), level_count)
    names = _name_classes(list(parts.values()), class_names)
    images = {name: arrays.to_images(count) for name, arrays in parts.items()}
    splits = Splits(*_divide(images, counts, seed), names, count)
    return make_dataset(DataConfig(name="tensors", levels=count, seed=seed), splits)


class _Arrays:
    """Levels and labels as they were handed in, of the right types and shapes.

    Args:
        of: How errors go on after "levels" or "labels".
        levels: (N, C, H, W).
        labels: (N,), or None.
    """

    def __init__(self, of: str, levels: object, labels: object) -> None:
        self.of, self.levels, self.labels = of, _to_array(levels, f"levels{of}"), None
        if self.levels.ndim != 4 or not self.levels.size:
            gray = "; levels[:, None] has it, of one color" if self.levels.ndim == 3 else ""
            raise ValueError(
                f"levels{of} must have shape (N, C, H, W), none 0, got {self.levels.shape}{gray}"
            )
        _warn_of_channels(self.levels.shape, f"levels{of}")
        if labels is not None:
            self.labels = _to_array(labels, f"labels{of}")
            self._check_labels(self.labels)
        self.lowest, self.highest = int(self.levels.min()), int(self.levels.max())

    def to_images(self, level_count: int) -> Images:
        """A copy, as a source would give it."""
        for level in (self.lowest, self.highest):
            if not 0 <= level < level_count:
                image = int((self.levels == level).any((1, 2, 3)).argmax())
                raise ValueError(
                    f"levels{self.of} must be 0 to {level_count - 1}, got {level} in image {image} "
                    "(from 0)"
                )
        labels = None if self.labels is None else torch.from_numpy(self.labels.astype(np.int64))
        return Images(
            torch.from_numpy(self.levels.astype(np.int64)).to(level_dtype(level_count)), labels
        )

    def _check_labels(self, labels: NDArray[Any]) -> None:
        if labels.shape != self.levels.shape[:1]:
            raise ValueError(
                f"labels{self.of} must be one for each of {len(self.levels)} images, "
                f"got shape {labels.shape}"
            )
        if int(labels.min()) < 0:
            raise ValueError(f"labels{self.of} must be from 0, got {labels.min()}")


def _warn_of_channels(shape: tuple[int, ...], name: str) -> None:
    """Say how images are read whose colors seem to come last."""
    _, colors, height, width = shape
    if width in (3, 4) and min(colors, height) > 8:
        warnings.warn(
            f"{name} of shape {shape} are read as {colors} colors of {height} x {width}; if colors "
            f"come last, pass torch's {name.split()[0]}.permute(0, 3, 1, 2)",
            stacklevel=4,
        )


def _to_array(value: object, name: str) -> NDArray[Any]:
    if not isinstance(value, Tensor | np.ndarray):
        remedy = "; torch.tensor makes one of a list" if isinstance(value, list | tuple) else ""
        if hasattr(value, "tensors"):
            remedy = "; its tensors are some: from_tensors(*dataset.tensors, level_count=...)"
        raise TypeError(f"{name} must be a tensor or an array, got {type(value).__name__}{remedy}")
    if isinstance(value, Tensor):
        is_integer = not (value.is_floating_point() or value.is_complex())
    else:
        is_integer = value.dtype.kind in "biu"
    if not is_integer:
        found = str(value.dtype).removeprefix("torch.")
        remedy = (
            "of K levels, (levels * (K - 1)).round() as integers are some of numbers from 0 to 1"
        )
        raise TypeError(f"{name} must be integers, got {found}; {remedy}")
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _check_alike(arrays: Sequence[_Arrays]) -> None:
    whole = arrays[0]
    for other in arrays[1:]:
        if other.levels.shape[1:] != whole.levels.shape[1:]:
            raise ValueError(
                f"levels{other.of} must have images of shape {whole.levels.shape[1:]}, "
                f"got {other.levels.shape[1:]}"
            )
        if (other.labels is None) != (whole.labels is None):
            raise ValueError(f"labels{other.of} must be there if, and only if, those of levels are")


def _count_levels(arrays: Sequence[_Arrays], level_count: int | None) -> int:
    check_number("level_count", level_count, 2, 65536)
    if level_count is not None:
        return level_count
    if all(some.levels.dtype.kind == "b" for some in arrays):
        return 2
    lowest, highest = min(some.lowest for some in arrays), max(some.highest for some in arrays)
    if lowest < 0 or highest == 255:
        return 256  # or a level is out of range, whatever their number
    raise ValueError(
        f"level_count must be passed, at least {highest + 1}: level {highest} is the highest that "
        "occurs, but there may be higher ones"
    )


def _name_classes(arrays: Sequence[_Arrays], names: Sequence[str] | None) -> tuple[str, ...]:
    labels = [some.labels for some in arrays if some.labels is not None]
    highest = max((int(some.max()) for some in labels), default=-1)
    if names is None:
        return tuple(map(str, range(highest + 1)))
    if not labels:
        raise ValueError("class_names must be left out without labels")
    if len(names) <= highest:
        raise ValueError(f"class_names must name labels 0 to {highest}, got {len(names)} names")
    return tuple(names)


def _divide(
    images: Mapping[str, Images], counts: Mapping[str, int | None], seed: int
) -> tuple[Images, Images, Images]:
    """Train, validation and test: those that were handed in, else held out of the others."""
    for name, count in counts.items():
        check_number(name, count, 1, None)
    whole = rest = images[""]
    if "test" in counts:
        rest, test = hold_out_test(whole, counts["test"], seed=seed)
    else:
        test = images["test"]
    if "validation" not in counts:
        return rest, images["validation"], test
    default = tenth(whole)
    return *hold_out_validation(rest, counts["validation"], default=default, seed=seed), test
