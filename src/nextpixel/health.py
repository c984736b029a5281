"""Does a model listen? Nats with the right condition, with another image's, and with none.

A strong decoder can learn to ignore its condition, and its samples will not show it at a glance.
If the right condition is not better than another image's, it is ignored.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from nextpixel.data import Split
from nextpixel.data.splits import rng_of
from nextpixel.likelihood import check_images, evaluation_mode, log_probs
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import ClassCondition, Value, VectorCondition

LEAST_GAIN = 0.5
"""Nats per image below which a condition counts as ignored."""


@dataclass(frozen=True)
class Health:
    """Mean nats per image under three conditions.

    Attributes:
        right: With the image's own condition.
        shuffled: With another image's.
        none: With no condition (a vector of zeros, or label -1); None where the model needs one.
        n: Images.
    """

    right: float
    shuffled: float
    none: float | None
    n: int

    @property
    def listens(self) -> bool:
        """Whether the right condition helps."""
        return self.shuffled - self.right > LEAST_GAIN

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "listens": self.listens}

    def __str__(self) -> str:
        """One line for people."""
        none = "" if self.none is None else f", {self.none:z.2f} with none"
        verdict = "" if self.listens else ": the model IGNORES its condition"
        return (
            f"{self.right:z.2f} nats per image with the right condition, "
            f"{self.shuffled:z.2f} with another image's{none}{verdict}"
        )


def health(model: PixelModel, images: Split, *, batch_size: int = 100) -> Health:
    """Measure whether a conditional model listens; processes share the images as in `evaluate`.

    Args:
        model: A model with one condition: a label or a vector.
        images: Labelled images, or any for a model that makes its own codes.
        batch_size: Images a pass.

    Returns:
        The three figures.

    Raises:
        ValueError: If the model has no such condition, there are fewer than two images, or all are
            of one class, so that another image's label is the right one.
    """
    check_model(model)
    check_images(images)
    if len(images) < 2:
        raise ValueError(f"images must hold at least two, got {len(images)}")
    right = _condition(model, images)
    if not right.is_floating_point() and bool((right == right[0]).all()):
        raise ValueError(f"images must be of two classes or more, got label {int(right[0])} alone")

    def nats(condition: Value) -> float:
        found = log_probs(model, images, condition, batch_size=batch_size)
        return -found.mean().item()

    nothing = _nothing(model, right)
    return Health(
        right=nats(right),
        shuffled=nats(_of_others(right)),
        none=None if nothing is None else nats(nothing),
        n=len(images),
    )


def _condition(model: PixelModel, images: Split) -> Tensor:
    with evaluation_mode(model), torch.inference_mode():
        condition = model.own_condition(images.levels.to(next(model.parameters()).device))
    if condition is None:
        condition = model.condition_of(images.levels, images.labels)
    if not isinstance(condition, Tensor):
        raise ValueError(f"model must have one condition, got one given {model.condition_in_words}")
    return condition


def _of_others(right: Tensor) -> Tensor:
    """Another image's for each: the next one on a round through all images in random order.

    The order of the data set would not do: its neighbours may be of one class.
    """
    order = torch.randperm(len(right), generator=rng_of("health")).to(right.device)
    others = torch.empty_like(right)
    others[order] = right[order.roll(1)]
    return others


def _nothing(model: PixelModel, right: Tensor) -> Tensor | None:
    (condition,) = model.conditioner.conditions
    if isinstance(condition, VectorCondition):
        return torch.zeros_like(right)
    if isinstance(condition, ClassCondition) and condition.dropout:
        return torch.full_like(right, -1)
    return None
