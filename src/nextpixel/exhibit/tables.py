"""A model as tables for the engine of the page: the CPU engine's own layout, in names and numbers.

The page carries out the same operations in the same order, so it draws the same levels. What it has
no step for is refused here, by name.
"""

import base64
from typing import Any

import torch
from numpy.typing import NDArray

from nextpixel.engine.cpu import layout
from nextpixel.engine.cpu.executor import prepared, terms_of
from nextpixel.engine.cpu.layout import Phase
from nextpixel.errors import NextPixelError
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition
from nextpixel.program import Program

STEPS = ("conv", "add", "inject", "relu", "affine", "gate")
"""Operations that `static/steps.js` carries out."""
HEADS = ("bernoulli", "categorical")
"""Heads that `static/choosing.js` reads."""
MOST_LEVELS = 256
"""Of shades of gray that a page shows."""
MOST_SIDE = 64
"""Rows and columns that a page draws while one looks on."""


def tables_of(model: PixelModel) -> dict[str, Any]:
    """What the page's engine carries out, as plain values and arrays; see `static/network.js`.

    Raises:
        NextPixelError: If the model is none that a page can carry out; it says why.
    """
    check(model)
    with evaluation_mode(model), torch.inference_mode():
        made = prepared(model)
        classes = classes_of(model)
        labels = torch.arange(classes) if classes else None
        terms, places = terms_of(made.program, made.layout, model.condition(labels, classes or 1))
    plan = made.plan
    return {
        "shape": list(plan.shape),
        "levels": model.levels,
        "classes": classes,
        "head": model.head.name,
        "phases": [_phase(phase, names_of(made.program)) for phase in made.layout.phases],
        "maps": [_map(row) for row in plan.maps.tolist()],
        "places": places.tolist(),
        "size": plan.size,
        "shown": plan.shown.tolist(),
        "output": plan.output,
        "weights": plan.weights,
        "bias": plan.bias,
        "terms": terms,
    }


def check(model: PixelModel) -> None:
    """Refuse a model that the page's engine cannot carry out.

    Raises:
        NextPixelError: Saying why.
    """
    lacking = lack(model)
    if lacking:
        raise NextPixelError(f"{model.name} cannot be exhibited: {lacking}")


def lack(model: PixelModel) -> str | None:
    """Why a page cannot carry out a model, in words; None: it can."""
    conditions = model.conditioner.conditions
    if model.shape[0] != 1 or model.levels > MOST_LEVELS:
        return f"the page shows images of one color and up to {MOST_LEVELS} levels"
    if max(model.shape) > MOST_SIDE:
        return f"the page draws images of up to {MOST_SIDE}x{MOST_SIDE} pixels"
    if model.conditioner.order is not None:
        return "the page knows the raster order only"
    if len(conditions) > 1 or any(not isinstance(one, ClassCondition) for one in conditions):
        return f"it takes {model.conditioner.describe()}, and the page can give a class only"
    if type(model).lower is PixelModel.lower:
        return "it has no program"
    if model.head.name not in HEADS:
        return f"the page has no step for the head {model.head.name}"
    program = model.lower().pruned()
    unknown = [op.name for op in program.ops if op.name not in STEPS]
    if unknown:
        return f"the page has no step for the operation {unknown[0]}"
    if any(made.stride != 1 or made.backward for made in program.maps):
        return "the page knows feature maps of the images' own size and order only"
    return None


def classes_of(model: PixelModel) -> int:
    """How many classes a model takes; 0: none."""
    return sum(one.classes for one in model.conditioner.conditions if hasattr(one, "classes"))


def names_of(program: Program) -> dict[int, str]:
    """Operations by the addresses of their compiled steps."""
    return {layout.step_address(op): op.name for op in program.ops}


def _phase(phase: Phase, names: dict[int, str]) -> dict[str, Any]:
    spans = zip(phase.spans.tolist(), phase.lengths.tolist(), strict=True)
    return {
        "ops": [_op(row, names) for row in phase.ops.tolist()],
        "spans": [
            {"row": row, "column": column, "feature": feature, "map": source, "length": length}
            for (row, column, feature, source), length in spans
        ],
    }


def _op(row: list[int], names: dict[int, str]) -> dict[str, Any]:
    return {
        "step": names[row[layout.STEP]],
        "x": row[layout.SOURCE],
        "y": row[layout.OTHER],
        "z": row[layout.TARGET],
        "first": row[layout.FIRST],
        "spans": row[layout.SPANS],
        "inputs": row[layout.INPUTS],
        "weight": row[layout.WEIGHT],
        "constant": row[layout.CONSTANT],
        "start": row[layout.START],
        "injection": row[layout.TERM],
    }


def _map(row: list[int]) -> dict[str, int]:
    return {
        "base": row[layout.BASE],
        "rows": row[layout.ROWS],
        "pad": row[layout.PAD],
        "features": row[layout.FEATURES],
        "across": row[layout.ACROSS],
    }


def packed(array: NDArray[Any]) -> str:
    """The bytes of an array, little endian, in base64."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
