"""Steps of LSTM cells fused: torch's values and gradients, and when they are."""

import pytest
import torch

from nextpixel import build
from nextpixel.accelerate import accelerated, recurrences
from nextpixel.nn.lstm import Recurrence, skew
from tests.laws.cases import disturb

CASES = {
    "row": ((-1, 0, 1), False),
    "diagonal": ((0, -1), True),
    "one cell": ((0, -1), False),
}


def layer_of(name: str) -> tuple[Recurrence, torch.Tensor, torch.Tensor | None]:
    shifts, skewed = CASES[name]
    rng = torch.Generator().manual_seed(3)
    size = 1 if name == "one cell" else 5
    gates = torch.randn(8, 3, size, 4 * 32, generator=rng)
    inside = skew(torch.ones(1, 5, 4, 1, dtype=torch.bool)).flatten(1) if skewed else None
    return disturb(Recurrence(32, 1, shifts), 0.15).train(), gates, inside


def outcome(layer, gates, inside):
    gates = gates.detach().clone().requires_grad_()
    made = layer(gates, inside)
    back = torch.sin(torch.arange(made.numel()).view_as(made) * 0.7).to(made)
    return [made.detach(), *torch.autograd.grad((made * back).sum(), [gates, layer.weight])]


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch_in_float64(name, monkeypatch):
    layer, gates, inside = layer_of(name)
    used = []
    recur = recurrences.recur
    monkeypatch.setattr(recurrences, "recur", lambda *one: used.append(1) or recur(*one))
    with accelerated(layer):
        fused = outcome(layer, gates, inside)
    assert used
    exact = outcome(layer.double(), gates.double(), inside)
    for found, expected in zip(fused, exact, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=2e-5)


def test_a_model_trains_by_it_and_is_evaluated_without(monkeypatch):
    options = {"features": 32, "cells": 16, "layers": 2, "first_side": 3, "head_features": 16}
    model = disturb(build("diagonal-bilstm", shape=(1, 6, 5), levels=2, **options), 0.2)
    levels = torch.randint(2, (4, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    calls = []
    recur = recurrences.recur
    monkeypatch.setattr(recurrences, "recur", lambda *one: calls.append(1) or recur(*one))
    plain = torch.autograd.grad(model.train().log_prob(levels).sum(), list(model.parameters()))
    with accelerated(model):
        fused = torch.autograd.grad(model.log_prob(levels).sum(), list(model.parameters()))
        assert len(calls) == 4
        model.eval().log_prob(levels)
        assert len(calls) == 4
    for found, expected in zip(fused, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reason", ["color groups", "part of a vector", "float64"])
def test_it_declines_what_it_is_not_made_for(reason):
    layer, gates, _ = layer_of("row")
    if reason == "color groups":
        layer.groups = 2
    elif reason == "part of a vector":
        layer, gates = Recurrence(8, 1, (-1, 0, 1)), gates[..., :32]
    else:
        layer, gates = layer.double(), gates.double()
    assert not recurrences.should_fuse(gates, layer.weight, layer.groups)
