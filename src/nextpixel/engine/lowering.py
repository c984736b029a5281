"""From a model to the program that executors run, checked: it must say what the network says.

A model whose `network`, `forward` or `head` was changed without its `lower` would be drawn from as
another model, and nobody would see it. So a program is compared with the model on random images
before it is used, and refused by name where they differ.
"""

import copy

import torch
from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.models.sizes import tied_by
from nextpixel.nn import Embedding, Value
from nextpixel.program import Program

IMAGES = 2
CROP = 12
"""Rows and columns of the images on which programs with loops are compared."""
LARGE = 2_000_000
"""Parameters beyond which the comparison is in the model's own precision, not in float64."""


def lowered(model: PixelModel) -> Program:
    """The program of a model, without operations that nothing reads, compared with the model.

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight is no finite number, or program and model differ.
    """
    check_weights(model)
    program = model.lower().pruned()
    check_program(model, program)
    return program


@torch.inference_mode()
def check_program(model: PixelModel, program: Program) -> None:
    """Refuse a program that does not compute what the model does.

    A program with loops is compared on smaller images where that is possible: its reference takes
    as many rounds as there are rows and columns.

    Raises:
        NextPixelError: Naming the model, and what to do.
    """
    twin = _twin(model)
    own = program if twin is model else twin.lower().pruned()
    smaller = own.loops and tied_by(model, program) is None
    levels, embedding, predicted = probe(twin, CROP if smaller else None)
    outputs = own.run(twin.encode(levels), embedding)
    found = twin.read_head(outputs.to(predicted.dtype), levels).log_prob(levels)
    share, rounding = (1e-6, 1e-10) if predicted.dtype == torch.float64 else (1e-2, 1e-4)
    near = share * (1 + predicted.abs()) + rounding * outputs.abs().max()
    same = (found == predicted) | (found.isnan() & predicted.isnan())
    far = ~same & ~((found - predicted).abs() <= near)  # no number is far from all
    if far.any():
        raise NextPixelError(
            f"the program of {type(model).__name__} does not compute what the model does "
            f"({int(far.sum())} of {far.numel()} log-probabilities differ): override lower() with "
            "network() and forward(), or take it out by lower = PixelModel.lower: each pixel is "
            'then recomputed, as by method="recompute"'
        )


def probe(model: PixelModel, most: int | None = None) -> tuple[Tensor, Embedding, Tensor]:
    """Random images and conditions, and what a model says of them.

    Args:
        model: The model.
        most: Rows and columns at most; None: as many as the model's images have. Fewer are for
            models that are not tied to their size.

    Returns:
        Levels (B, C, H, W), the embedding of their conditions, and the log-probabilities in nats of
        all sub-pixels, (B, C, H, W).
    """
    rng = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device
    colors, *size = model.shape
    height, width = (side if most is None else min(side, most) for side in size)
    levels = torch.randint(model.levels, (IMAGES, colors, height, width), generator=rng).to(device)
    condition = model.conditioner.example_in_order(IMAGES, rng)
    embedding = model.condition(condition, IMAGES)
    if most is None:
        return levels, embedding, model(levels, _to(condition, model)).log_prob(levels)
    return levels, embedding, model.predict(levels, embedding).log_prob(levels)


def _to(condition: Value | None, model: PixelModel) -> Value | None:
    """Floats of a condition in the type of the weights."""
    weight = next(model.parameters())
    if isinstance(condition, tuple):
        return tuple(one.to(weight) if one.is_floating_point() else one for one in condition)
    if condition is not None and condition.is_floating_point():
        return condition.to(weight)
    return condition


def _twin(model: PixelModel) -> PixelModel:
    """A copy in float64 where that is cheap, in evaluation mode, else the model itself."""
    if sum(weight.numel() for weight in model.parameters()) > LARGE:
        return model
    return copy.deepcopy(model).double().eval()


def check_weights(model: PixelModel) -> None:
    """Refuse weights that are no finite numbers.

    Raises:
        NextPixelError: Naming the first.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise NextPixelError(f"the weights {name} of {model.name} are not all finite numbers")


def check_predictions(model: PixelModel, log_prob: Tensor) -> None:
    """Refuse log-probabilities, shape (B,), that are no finite numbers.

    Raises:
        NextPixelError: Naming the model.
    """
    if not bool(log_prob.isfinite().all()):
        raise NextPixelError(f"{model.name} predicts what is no number: its outputs overflow")
