"""Faults that a review found in the recurrent and attention nets; each test fails until mended."""

import pytest
import torch

from nextpixel import audit, build
from nextpixel.engine.cpu import executor
from nextpixel.engine.lowering import lowered
from nextpixel.errors import NextPixelError
from nextpixel.heads.truncation import PLAIN
from nextpixel.nn.attention import attend
from nextpixel.runtime import device
from tests.laws.cases import condition_for, disturb

LSTM = {"features": 6, "cells": 3, "layers": 1, "head_features": 3}
ONE = {
    "row-lstm": {**LSTM, "first_side": 1},
    "diagonal-bilstm": {**LSTM, "first_side": 1},
    "residual-pixelcnn": {"features": 6, "inner": 3, "blocks": 1, "first_side": 1},
    "pixelcnn": {"features": 6, "layers": 1, "side": 1},
}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("condition", ["none", "labels", "map"])
def test_a_first_kernel_that_sees_nothing_is_refused_or_right(name, condition):
    """Without taps no task sets the convolution's output to its bias."""
    kinds = {"none": [], "labels": [{"classes": 3}], "map": [{"classes": 3, "form": "map"}]}
    try:
        model = build(name, shape=(1, 3, 4), levels=3, condition=kinds[condition], **ONE[name])
    except ValueError as refusal:
        assert "side" in str(refusal)  # noqa: PT017 - refusing is as good
        return
    model = disturb(model).eval()
    levels = torch.randint(3, (3, 1, 3, 4), generator=torch.Generator().manual_seed(0))
    given = condition_for(model, 3)
    with torch.inference_mode():
        _, found = executor.fill(
            model, levels, torch.ones_like(levels).bool(), torch.zeros(levels.shape).double(),
            model.condition(given, 3), truncation=PLAIN, on_row=None,
        )  # fmt: skip
        expected = model.double().log_prob(levels, given)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["pixel-transformer", "pixelsnail"])
def test_comparing_program_and_model_asks_for_its_memory(name, monkeypatch):
    """Attention's reference has all scores: at (3, 64, 64), 4 heads, 10 GB a copy in float64."""
    options = {"features": 4, "heads": 4, "layers": 1}
    model = build(name, shape=(1, 48, 48), levels=2, **options).eval()
    monkeypatch.setattr(device, "available", lambda device=None: 2**20)
    with pytest.raises(NextPixelError, match="of memory"):
        lowered(model)


def test_attention_of_keys_shorter_than_values_asks_for_its_memory(monkeypatch):
    """Torch's flash kernel declines key != value (PixelSNAIL's default): the scores are made."""
    monkeypatch.setattr(device, "available", lambda device=None: 2**20)
    query, value = torch.zeros(17, 1, 2048, 2), torch.zeros(17, 1, 2048, 3)
    with pytest.raises(NextPixelError, match="of memory"):
        attend(query, query, value, inclusive=False)


def test_comparing_a_diagonal_program_costs_few_passes(monkeypatch):
    """`Program.run` repeats a loop H + W times on whole images: 13 s at 64x64, 0.06 s to draw."""
    from nextpixel.program.ops import Conv

    model = build("diagonal-bilstm", shape=(1, 20, 20), levels=2, **LSTM).eval()
    disturb(model)
    calls, reference = [], Conv.reference

    def counted(self: Conv, *inputs: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return reference(self, *inputs)

    monkeypatch.setattr(Conv, "reference", counted)
    lowered(model)
    assert len(calls) < 40


@pytest.mark.parametrize("name", ["pixel-transformer", "pixelsnail"])
def test_positions_of_one_pixel_tie_a_net_to_its_size(name):
    options = {"features": 4, "layers": 1, "heads": 1}
    model = disturb(build(name, shape=(1, 1, 1), levels=2, **options)).eval()
    with pytest.raises(ValueError, match="takes images of"):
        executor.prepared(model, (3, 4))


def test_pooled_attention_leaves_no_pixel_out_of_sight():
    """The module says so; with `pool` beyond the convolutions' reach a pixel's own pool is not."""
    options = {"features": 8, "blocks": 1, "layers": 1, "key": 4, "pool": 8}
    model = build("pixelsnail", shape=(1, 2, 8), levels=2, **options)
    assert audit(model, probes=4).coverage().nan_to_num(1).min() == 1
