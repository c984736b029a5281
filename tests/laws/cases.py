"""One tiny setting of every kind of model: the registry that the laws run over.

A new model is a new line here; `test_every_registered_model_has_a_case` fails until it is. The fast
tests run the cases of `COVERING`, which have every model, form of condition and color mode;
`make slow` runs all. `tests/laws/test_cases.py` says what a new case must be covered by.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nextpixel import models
from nextpixel.models import PixelModel
from nextpixel.nn import Value


@dataclass(frozen=True)
class Case:
    """A model to build: its name, its options, colors and levels."""

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    colors: int = 1
    levels: int = 2
    multiple: int = 1
    """Of which height and width are: smaller images are made larger."""
    size: float = 0.4
    """Of the weights: smaller in a deep network, whose outputs would grow out of bounds."""

    def build(self, height: int, width: int) -> PixelModel:
        """The model in float64 with weights far from zero, so that every dependence shows."""
        shape = (
            self.colors,
            *(-(-side // self.multiple) * self.multiple for side in (height, width)),
        )
        model = models.build(self.model, shape=shape, levels=self.levels, **self.options)
        return disturb(model.double(), self.size)

    def with_levels(self, levels: int) -> "Case":
        return replace(self, levels=levels)


PLAIN = {"features": 6, "layers": 3, "side": 3, "pointwise": 1}
GATED = {"features": 6, "layers": 2, "first_side": 3, "head_features": 6}
RESIDUAL = {"features": 6, "inner": 3, "blocks": 2, "first_side": 3, "head_features": 6}

CASES = {
    "plain": Case("pixelcnn", PLAIN),
    "plain-batch-norm": Case("pixelcnn", {**PLAIN, "batch_norm": True, "bias": False}, levels=3),
    "plain-no-edge": Case("pixelcnn", {**PLAIN, "edge": False}, levels=4),
    "plain-dependent-colors": Case("pixelcnn", PLAIN, colors=3),
    "plain-independent-colors": Case("pixelcnn", {**PLAIN, "colors": "independent"}, colors=3),
    "plain-two-colors": Case("pixelcnn", PLAIN, colors=2, levels=3),
    "plain-level-features": Case("pixelcnn", {**PLAIN, "level_features": 2}, colors=3, levels=3),
    "residual-level-features": Case(
        "residual-pixelcnn", {**RESIDUAL, "level_features": 3, "edge": False}, levels=5
    ),
    "gated-level-features": Case(
        "gated-pixelcnn", {**GATED, "level_features": 1, "colors": "independent"}, colors=2
    ),
    "residual": Case("residual-pixelcnn", RESIDUAL),
    "residual-position": Case(
        "residual-pixelcnn", {**RESIDUAL, "block": "single", "position": True}, levels=3
    ),
    "residual-dilated": Case(
        "residual-pixelcnn", {**RESIDUAL, "block": "single", "dilations": (1, 2)}, levels=3
    ),
    "residual-dependent-colors": Case("residual-pixelcnn", RESIDUAL, colors=3),
    "residual-batch-norm": Case("residual-pixelcnn", {**RESIDUAL, "batch_norm": True}),
    "gated": Case("gated-pixelcnn", GATED),
    "gated-skip-position": Case(
        "gated-pixelcnn",
        {**GATED, "skip": True, "position": True, "dropout": 0.5, "head_features": 12},
        levels=3,
    ),
    "gated-dilated": Case("gated-pixelcnn", {**GATED, "dilations": (1, 2)}),
    "gated-dependent-colors": Case("gated-pixelcnn", GATED, colors=3),
    "gated-independent-colors": Case(
        "gated-pixelcnn", {**GATED, "colors": "independent"}, colors=3
    ),
    **{
        f"{name}-class-{form}": Case(
            model, {**options, "condition": [{"classes": 3, "form": form}]}
        )
        for name, model, options, forms in (
            ("plain", "pixelcnn", PLAIN, ("input", "bias", "map")),
            ("residual", "residual-pixelcnn", RESIDUAL, ("input", "bias", "map")),
            ("gated", "gated-pixelcnn", GATED, ("input", "bias", "gate", "map")),
        )
        for form in forms
    },
    "autoencoder": Case("autoencoder", {**GATED, "code": 2, "encoder_features": 3}, levels=3),
    "plain-colors-class": Case(
        "pixelcnn", {**PLAIN, "features": 12, "condition": [{"classes": 3}]}, colors=3
    ),
    "residual-colors-class": Case(
        "residual-pixelcnn",
        {**RESIDUAL, "batch_norm": True, "condition": [{"classes": 3, "form": "input"}]},
        colors=3,
    ),
    "gated-colors-class": Case(
        "gated-pixelcnn", {**GATED, "condition": [{"classes": 3, "form": "gate"}]}, colors=3
    ),
    "gated-vector": Case("gated-pixelcnn", {**GATED, "condition": [{"size": 2, "form": "gate"}]}),
    "plain-map": Case("pixelcnn", {**PLAIN, "condition": [{"channels": 2}]}, levels=3),
    "gated-label-and-map": Case(
        "gated-pixelcnn",
        {**GATED, "condition": [{"classes": 3, "form": "gate"}, {"channels": 1}]},
        colors=2,
    ),
}


CASES |= {
    f"{name}-class-{form}-all": Case(
        model, {**options, "condition_all": True, "condition": [{"classes": 3, "form": form}]}
    )
    for name, model, options, form in (
        ("plain", "pixelcnn", PLAIN, "bias"),
        ("residual", "residual-pixelcnn", RESIDUAL, "input"),
        ("gated", "gated-pixelcnn", GATED, "bias"),
        ("gated-skip", "gated-pixelcnn", {**GATED, "skip": True}, "input"),
    )
} | {
    "residual-orders-class": Case(
        "residual-pixelcnn",
        {**RESIDUAL, "position": True, "orders": 4, "condition": [{"classes": 3}]},
        levels=3,
    ),
    "plain-unit-scale": Case("pixelcnn", {**PLAIN, "scale": "unit", "edge": False}, levels=3),
    "residual-post-activation": Case(
        "residual-pixelcnn",
        {**RESIDUAL, "block": "post-activation", "batch_norm": True, "head_features": 0},
        colors=3,
    ),
}

MIXTURE = {"head": "logistic", "components": 3}
CASES |= {
    "gated-mixture": Case("gated-pixelcnn", {**GATED, **MIXTURE}, levels=5),
    "plain-mixture-coupled": Case("pixelcnn", {**PLAIN, **MIXTURE, "colors": "coupled"}, 3, 4),
    "gated-mixture-coupled": Case(
        "gated-pixelcnn", {**GATED, **MIXTURE, "colors": "coupled"}, 2, 7
    ),
    "residual-mixture-colors": Case(
        "residual-pixelcnn", {**RESIDUAL, **MIXTURE, "components": 9}, 3, 4
    ),
}

WINDOWED = {"features": 6, "layers": 2, "side": 5, "components": 3}
CASES |= {
    "windowed": Case("windowed-pixelcnn", WINDOWED, levels=5, size=0.1),
    "windowed-colors": Case("windowed-pixelcnn", {**WINDOWED, "side": 3}, 3, 4, size=0.1),
    "windowed-independent-class": Case(
        "windowed-pixelcnn",
        {**WINDOWED, "colors": "independent", "edge": True, "condition": [{"classes": 3}]},
        colors=2,
        levels=3,
        size=0.1,
    ),
    "windowed-dependent": Case(
        "windowed-pixelcnn",
        {**WINDOWED, "colors": "dependent", "layers": 0},
        colors=3,
        levels=3,
        size=0.1,
    ),
}

PLUSPLUS = {"features": 3, "blocks": 1}
DEEP = {"multiple": 4, "size": 0.2}
CASES |= {
    "plusplus": Case("pixelcnn-plusplus", {**PLUSPLUS, "weight_norm": True}, **DEEP),
    "plusplus-coupled": Case("pixelcnn-plusplus", {**PLUSPLUS, "components": 2}, 2, 4, **DEEP),
    "plusplus-class": Case(
        "pixelcnn-plusplus",
        {**PLUSPLUS, "dropout": 0.5, "blocks": 2, "condition": [{"classes": 3}, {"size": 2}]},
        **DEEP,
    ),
    "plusplus-independent": Case(
        "pixelcnn-plusplus", {**PLUSPLUS, "colors": "independent"}, 3, 3, **DEEP
    ),
}

LSTM = {"features": 6, "cells": 3, "layers": 2, "first_side": 3, "head_features": 6}
CASES |= {
    "row-lstm": Case("row-lstm", LSTM, levels=3),
    "row-lstm-wide-class": Case(
        "row-lstm",
        {**LSTM, "side": 5, "head_features": 0, "condition": [{"classes": 3, "form": "input"}]},
    ),
    "row-lstm-colors-map": Case("row-lstm", {**LSTM, "condition": [{"channels": 2}]}, colors=3),
    "row-lstm-coupled": Case("row-lstm", {**LSTM, **MIXTURE, "colors": "coupled"}, 2, 4),
    "diagonal": Case("diagonal-bilstm", LSTM),
    "diagonal-whole-rows": Case("diagonal-bilstm", {**LSTM, "whole_rows": True}, levels=3),
    "diagonal-colors-map": Case(
        "diagonal-bilstm",
        {**LSTM, "whole_rows": True, "condition": [{"channels": 2}, {"size": 2}]},
        colors=3,
    ),
    "diagonal-class-map": Case(
        "diagonal-bilstm",
        {**LSTM, "condition_all": True, "condition": [{"classes": 3, "form": "map"}]},
        colors=3,
        levels=3,
    ),
}

SNAIL = {"features": 4, "blocks": 1, "layers": 1, "key": 3}
TRANSFORMER = {"features": 4, "heads": 2, "layers": 2, "expansion": 2}
CASES |= {
    "snail": Case("pixelsnail", SNAIL, size=0.3),
    "snail-heads-class-map": Case(
        "pixelsnail",
        {**SNAIL, "blocks": 2, "heads": 2, "value": 3, "dropout": 0.5,
         "condition": [{"classes": 3, "form": "map"}, {"size": 2}]},
        levels=3,
        size=0.3,
    ),
    "snail-heads": Case("pixelsnail", {**SNAIL, "heads": 3, "layers": 2}, levels=3, size=0.3),
    "snail-pooled": Case(
        "pixelsnail", {**SNAIL, "pool": 2, "weight_norm": True}, multiple=2, size=0.3
    ),
    "snail-colors-map": Case(
        "pixelsnail", {**SNAIL, "components": 2, "condition": [{"channels": 2}]}, 2, 4, size=0.3
    ),
    "snail-independent": Case("pixelsnail", {**SNAIL, "colors": "independent"}, 3, 3, size=0.3),
    "transformer": Case("pixel-transformer", TRANSFORMER, levels=3),
    "transformer-class": Case(
        "pixel-transformer",
        {**TRANSFORMER, "condition": [{"classes": 3}, {"channels": 1}]},
        colors=3,
    ),
    "transformer-sub-pixels": Case("pixel-transformer", TRANSFORMER, colors=3),
    "transformer-coupled": Case(
        "pixel-transformer", {**TRANSFORMER, **MIXTURE, "colors": "coupled"}, 2, 4
    ),
    "transformer-no-edge": Case(
        "pixel-transformer", {**TRANSFORMER, "edge": False, "heads": 1}, levels=3
    ),
}  # fmt: skip

LOCAL = {"features": 6, "blocks": 2, "first_side": 3, "head_features": 6}
CASES |= {
    "local-class": Case(
        "locally-masked", {**LOCAL, "order": "hilbert", "condition": [{"classes": 3}]}, levels=3
    ),
    "local-coupled": Case("locally-masked", {**LOCAL, **MIXTURE, "colors": "coupled"}, 2, 4),
    "local-independent": Case(
        "locally-masked",
        {
            **LOCAL, "order": "hilbert", "colors": "independent",
            "position": False, "edge": False,
        },
        colors=3,
    ),
}  # fmt: skip
BY_CLASS = {"name": "pixelcnn", "options": {**PLAIN, "condition": [{"classes": 3}]}}
CASES |= {
    "mix-classes": Case("mixture", {"parts": [BY_CLASS]}, levels=3),
    "mix-nets": Case(
        "mixture",
        {"parts": [{"name": "gated-pixelcnn", "options": GATED},
                   {"name": "pixelcnn", "options": {**PLAIN, "head": "logistic"}}]},
        colors=2,
    ),
    "mix-both": Case(
        "mixture",
        {"parts": [BY_CLASS, {"name": "residual-pixelcnn", "options": RESIDUAL}],
         "least_posterior": 0.2},
    ),
    "mix-colors-class-map": Case(
        "mixture",
        {"parts": [
            {"name": "gated-pixelcnn",
             "options": {**GATED, "condition": [{"classes": 2, "form": "map"}]}},
            {"name": "pixelcnn", "options": {**PLAIN, **MIXTURE, "colors": "coupled",
                                             "condition": [{"classes": 3, "form": "input"}]}},
        ]},
        colors=2,
        levels=3,
    ),
}  # fmt: skip

BY_ROWS = {
    name: case for name, case in CASES.items() if case.model not in ("locally-masked", "mixture")
}
"""Those of one net that scan row by row."""

COVERING = (
    "local-class",
    "mix-both",
    "snail-heads-class-map",
    "snail-pooled",
    "transformer-class",
    "row-lstm-wide-class",
    "diagonal-colors-map",
    "residual-mixture-colors",
    "windowed-colors",
    "windowed-dependent",
    "plusplus",
    "gated-mixture-coupled",
    "residual-orders-class",
    "plain-unit-scale",
    "plain-level-features",
    "plain-batch-norm",
    "plain-independent-colors",
    "residual-position",
    "residual-post-activation",
    "gated-skip-position",
    "gated-dilated",
    "gated-class-bias-all",
    "gated-label-and-map",
    "autoencoder",
)
"""The cases of the fast tests."""


NETS = {name: case for name, case in CASES.items() if case.model != "mixture"}
"""Those with a program of their own, which a mixture has not: its parts have."""


def params(cases: dict[str, Case], covering: tuple[str, ...] = COVERING) -> list[Any]:
    """Cases as parameters of a test: those that are not among `covering` are slow."""
    return [
        pytest.param(case, id=name, marks=() if name in covering else pytest.mark.slow)
        for name, case in cases.items()
    ]


def own_order(model: PixelModel) -> str | int | None:
    """The order that a model takes where none is stated; None where it has one only."""
    orders = model.conditioner.order
    return None if orders is None else getattr(orders, "name", 0)


def own_indices(model: PixelModel) -> Tensor:
    """The indices of the pixels in that order, as they lie where the network reads them, (H, W)."""
    _, height, width = model.shape
    orders = model.conditioner.order
    if model.any_order and orders is not None:
        return orders.read(None)
    return torch.arange(height * width).view(height, width)


def condition_for(model: PixelModel, count: int, seed: int = 7) -> Value | None:
    """A condition that is the same for `count` images; None where the model takes none."""
    value = model.conditioner.example(1, torch.Generator().manual_seed(seed))
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(part.repeat_interleave(count, 0) for part in value)
    return value.repeat_interleave(count, 0)


def disturb(model: PixelModel, size: float = 0.4) -> PixelModel:
    """Random weights of a size that lets every path through the network carry weight."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype)
            parameter.copy_(size * noise)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1, generator=rng)
                module.running_var.uniform_(0.5, 2, generator=rng)
                module.weight.add_(1)
    return model
