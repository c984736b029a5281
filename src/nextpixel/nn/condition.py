"""Conditions: what a model is given about an image in addition to its past, and in which form.

Three kinds of condition can be given, alone or together: a class label, a vector, a map. Each is
added in one of four forms, with learned weights of its own in each layer:

- "input": the convolution reads x + W h instead of x (near the border the zero padding stays zero);
- "bias": the convolution gives W x + b + V y;
- "gate": V h is added inside both halves of the gate, after the link between the stacks (only
  gated models have one);
- "map": a network of transposed convolutions turns the vector into a map s = m(h), which is then
  added, by a 1x1 convolution, as a bias of its own at every place. A map that is given is added so.

It is added at the hidden convolutions, in gated models at those of the two stacks or in their
gates. `condition_all` adds "input" and "bias" at every convolution, the last one included, and a
"map" too in models without gates.

A condition comes before every pixel, so all color groups may see it and nothing here is masked.

References:
    van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), Conditional Image
    Generation with PixelCNN Decoders, section 2.3, eq. 3 and 4. https://arxiv.org/abs/1606.05328
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.order import Shape

FORMS = ("input", "bias", "gate", "map")

Value: TypeAlias = Tensor | tuple[Tensor, ...]
"""What a user gives: one tensor for each condition, in a tuple where there are several."""


@dataclass(frozen=True)
class ClassCondition:
    """A class label, int64, shape (B,).

    Args:
        classes: Number of classes; labels are 0..classes-1.
        form: How layers receive it: "input", "bias", "gate" or "map".
        dropout: Share of training images whose label is hidden. Above 0 the model is conditional
            and not: label -1, or no condition at all, stands for "unknown".
        features: Features of the map that form "map" makes.

    Raises:
        ValueError: If a number or the form is invalid.
    """

    classes: int
    form: str = "bias"
    dropout: float = 0.0
    features: int = 16

    def __post_init__(self) -> None:
        """Check the values."""
        _check_least("classes", self.classes)
        _check_form(self.form, FORMS)
        _check_least("features", self.features)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    @property
    def width(self) -> int:
        """Length of the vector that a label becomes."""
        return self.classes

    def embed(self, value: Tensor) -> Tensor:
        """Labels (B,) -> one-hot vectors (B, classes, 1, 1); label -1 becomes zeros."""
        chosen = F.one_hot(value.long() + 1, self.classes + 1)[:, 1:]
        return chosen[:, :, None, None].to(torch.get_default_dtype())

    def check(self, value: object, shape: Shape) -> None:
        """Refuse what is no batch of labels."""
        del shape
        _check_tensor(value, f"labels, integers of shape (B,), 0..{self.classes - 1}", 1)
        labels: Tensor = value  # type: ignore[assignment]
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise TypeError(
                f"condition must be labels, integers, got {labels.dtype}; labels.long() are some"
            )
        least = -1 if self.dropout else 0
        if len(labels) and not least <= int(labels.min()) <= int(labels.max()) < self.classes:
            low, high = int(labels.min()), int(labels.max())
            raise ValueError(
                f"condition must be labels {least}..{self.classes - 1}, got {low}..{high}"
            )


@dataclass(frozen=True)
class VectorCondition:
    """A vector, floats, shape (B, size).

    Args:
        size: Length of the vector.
        form: How layers receive it: "input", "bias", "gate" or "map".
        features: Features of the map that form "map" makes.

    Raises:
        ValueError: If a number or the form is invalid.
    """

    size: int
    form: str = "bias"
    features: int = 16

    def __post_init__(self) -> None:
        """Check the values."""
        _check_least("size", self.size)
        _check_least("features", self.features)
        _check_form(self.form, FORMS)

    @property
    def width(self) -> int:
        """Length of the vector."""
        return self.size

    def embed(self, value: Tensor) -> Tensor:
        """(B, size) -> (B, size, 1, 1)."""
        return value[:, :, None, None]

    def check(self, value: object, shape: Shape) -> None:
        """Refuse what is no batch of vectors."""
        del shape
        _check_tensor(value, f"vectors, floats of shape (B, {self.size})", 2)
        _check_floats(value, (self.size,))


@dataclass(frozen=True)
class MapCondition:
    """A map, floats, shape (B, channels, h, w), where h and w divide the image's height and width.

    Args:
        channels: Its planes.
        form: "map" (added after each convolution), "input" (before it) or "gate".

    Raises:
        ValueError: If a number or the form is invalid.
    """

    channels: int
    form: str = "map"

    def __post_init__(self) -> None:
        """Check the values."""
        _check_least("channels", self.channels)
        _check_form(self.form, ("map", "input", "gate"))

    @property
    def width(self) -> int:
        """Planes of the map."""
        return self.channels

    def embed(self, value: Tensor) -> Tensor:
        """The map as it is; `Conditioner` widens it to the image's size."""
        return value

    def check(self, value: object, shape: Shape) -> None:
        """Refuse what is no batch of maps."""
        _, height, width = shape
        expected = (
            f"maps, floats of shape (B, {self.channels}, h, w), "
            f"h and w dividing {height} and {width}"
        )
        _check_tensor(value, expected, 4)
        maps: Tensor = value  # type: ignore[assignment]
        _check_floats(maps, (self.channels, *maps.shape[2:]))
        for have, full in zip(maps.shape[2:], (height, width), strict=True):
            if not have or full % have:
                raise ValueError(f"condition must be {expected}, got {tuple(maps.shape)}")


def take(value: Value | None, images: slice | Tensor, device: torch.device) -> Value | None:
    """What was given for some images of a batch, on a device; what is no tensor stays as it is."""
    if isinstance(value, tuple):
        return tuple(
            part[images].to(device) if isinstance(part, Tensor) else part for part in value
        )
    return value[images].to(device) if isinstance(value, Tensor) else value


Condition: TypeAlias = ClassCondition | VectorCondition | MapCondition


def in_words(condition: Condition) -> str:
    """A condition as people say it.

    Example:
        >>> in_words(ClassCondition(10))
        'class condition of 10'
    """
    kind = type(condition).__name__.removesuffix("Condition").lower()
    return f"{kind} condition of {condition.width}"


def _check_form(form: str, forms: tuple[str, ...]) -> None:
    if form not in forms:
        raise ValueError(f"form must be one of {', '.join(forms)}, got {form!r}")


def _check_least(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def _check_tensor(value: object, expected: str, dimensions: int) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"condition must be a tensor of {expected}, got {type(value).__name__}; "
            "torch.as_tensor makes one of a list or an array, one entry an image"
        )
    if value.ndim != dimensions:
        raise ValueError(f"condition must be {expected}, got shape {tuple(value.shape)}")


def _check_floats(value: object, sizes: tuple[int, ...]) -> None:
    tensor: Tensor = value  # type: ignore[assignment]
    if not tensor.is_floating_point():
        raise TypeError(f"condition must be floats, got {tensor.dtype}")
    if tuple(tensor.shape[1:]) != sizes:
        expected = ", ".join(map(str, sizes))
        raise ValueError(f"condition must have shape (B, {expected}), got {tuple(tensor.shape)}")
    if not bool(tensor.isfinite().all()):
        raise ValueError("condition must be finite numbers, got NaN or infinity")
