"""The step engine gives what the network gives: the same levels, the same log-probabilities."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nextpixel.engine import lowering
from nextpixel.engine.cpu import executor as engine
from nextpixel.engine.cpu import mixture
from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.models import Mixture, PixelModel
from nextpixel.program.ops import Inject
from nextpixel.sampling import METHODS, complete, sample
from nextpixel.sampling.draw import draw_uniforms
from tests.laws.cases import CASES, Case, condition_for, own_order
from tests.laws.test_exactness import random_levels

IMAGES = 200
HEIGHT, WIDTH = 6, 7


@pytest.fixture
def single(case: Case) -> PixelModel:
    """The case in float32, wider than any kernel's reach to one side."""
    return case.build(HEIGHT, WIDTH).float()


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@torch.inference_mode()
def score(model: PixelModel, levels: Tensor) -> Tensor:
    """Log-probability along the engine's scan."""
    count = len(levels)
    known = torch.ones(levels.shape, dtype=torch.bool)
    uniforms = torch.zeros(levels.shape, dtype=torch.float64)
    embedding = model.condition(condition_for(model, count), count)
    fill = mixture.fill if isinstance(model, Mixture) else engine.fill
    _, log_p = fill(model, levels, known, uniforms, embedding, truncation=PLAIN, on_row=None)
    return log_p


def test_the_log_prob_along_the_scan_is_that_of_one_pass(single):
    levels = random_levels(single, 20)
    found = score(single, levels)
    with torch.inference_mode():
        exact = single.double().log_prob(levels, condition_for(single, 20))
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-4)


WIDE = {"plain-batch-norm": {"features": 40}, "gated-class-map": {"features": 40},
        "residual-colors-class": {"features": 120, "inner": 60}}  # fmt: skip


@pytest.mark.parametrize("name", WIDE)
def test_features_wider_than_a_vector_are_all_carried_out(name):
    """More than 16 of each color, so that a step has several vectors, the last one padded."""
    case = CASES[name]
    model = replace(case, options={**case.options, **WIDE[name]}).build(3, 4).float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.3)  # so many features of weights as wild as theirs would overflow
    levels = random_levels(model, 5)
    found = score(model, levels)
    with torch.inference_mode():
        exact = model.double().log_prob(levels, condition_for(model, 5))
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-3)


@torch.inference_mode()
def predict_drawn(model: PixelModel, drawn: Tensor) -> Distribution:
    """What one pass in float64 predicts, for each sub-pixel, from those drawn before it."""
    return model.double()(drawn.long(), condition_for(model, len(drawn)))


def redraw(model: PixelModel, drawn: Tensor, truncation: Truncation) -> Tensor:
    """The oracle: by the same uniforms, from what one pass predicts."""
    uniforms = draw_uniforms(len(drawn), model.shape, rng())
    return predict_drawn(model, drawn).icdf(uniforms, truncation).to(drawn.dtype)


def test_the_engine_draws_the_oracles_levels(single):
    """Where a level differs, the uniform lies within rounding of a boundary between two levels."""
    drawn = sample(single, IMAGES, rng=rng(), condition=condition_for(single, IMAGES))
    differing = drawn != redraw(single, drawn, PLAIN)
    assert differing.flatten(1).any(1).double().mean() < 0.02
    bounds = predict_drawn(single, drawn).probs.cumsum(-1)
    uniforms = draw_uniforms(IMAGES, single.shape, rng())
    near = (bounds - uniforms.unsqueeze(-1)).abs().min(-1).values < 1e-5
    assert near[differing].all()


SHARP = [{"temperature": 0.6}, {"top_p": 0.5}, {"temperature": 0.7, "top_k": 2, "top_p": 0.55}]


SHARPENED = ["plain-map", "residual-colors-class", "gated-class-map", "mix-both"]


@pytest.mark.parametrize("options", SHARP)
@pytest.mark.parametrize("name", SHARPENED)
def test_sharpened_drawing_is_that_of_the_oracle(name, options):
    single = CASES[name].build(HEIGHT, WIDTH).float()
    condition = condition_for(single, 40)
    plain = sample(single, 40, rng=rng(), condition=condition)
    sharp = sample(single, 40, rng=rng(), condition=condition, **options)
    assert (sharp != plain).any()
    differing = sharp != redraw(single, sharp, Truncation(**options))
    assert differing.flatten(1).any(1).double().mean() < 0.05


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
@torch.inference_mode()
def test_the_outermost_uniforms_draw_no_level_that_is_left_out(uniform):
    case = CASES["residual-position"]
    model = case.with_levels(16).build(HEIGHT, WIDTH).float()
    levels = torch.zeros(4, *model.shape, dtype=torch.int64)
    known, uniforms = levels.bool(), torch.full(levels.shape, uniform, dtype=torch.float64)
    embedding, truncation = model.condition(None, 4), Truncation(top_k=8)
    drawn, _ = engine.fill(
        model, levels, known, uniforms, embedding, truncation=truncation, on_row=None
    )
    assert torch.equal(drawn, predict_drawn(model, drawn).icdf(uniforms, truncation))


@pytest.mark.parametrize("method", METHODS)
def test_every_model_takes_a_temperature(case, method):
    model = case.build(2, 3).float()
    condition = condition_for(model, 20)
    plain = sample(model, 20, rng=rng(), condition=condition, method=method)
    sharp = sample(model, 20, rng=rng(), condition=condition, method=method, temperature=0.5)
    assert (sharp != plain).any()
    differing = sharp != redraw(model, sharp, Truncation(temperature=0.5))
    assert differing.flatten(1).any(1).double().mean() <= 0.05


def test_completion_by_the_engine_is_that_of_the_oracle(single):
    levels = random_levels(single, 30, seed=1)
    known = torch.rand(levels.shape, generator=torch.Generator().manual_seed(2)) < 0.4
    order = own_order(single)  # not the best, for the oracle's sake
    options = {"condition": condition_for(single, 30), "temperature": 0.7, "order": order}
    filled = complete(single, levels, known, rng=rng(), **options).long()
    assert torch.equal(filled[known], levels[known])
    differing = (filled != redraw(single, filled, Truncation(temperature=0.7))) & ~known
    assert differing.flatten(1).any(1).double().mean() < 0.05


BATCHED = ["gated-class-map", "residual-dependent-colors", "plain-map", "mix-both"]


@pytest.mark.parametrize("name", BATCHED)
def test_an_image_has_the_same_bits_in_any_batch_and_on_any_number_of_threads(name, monkeypatch):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 16)
    whole = score(model, levels)
    parts = torch.cat([score(model, part) for part in levels.split(3)])
    five = torch.cat([score(model, part) for part in levels.split(5)])
    single = torch.cat([score(model, part) for part in levels.split(1)])
    assert torch.equal(whole, parts)
    assert torch.equal(whole, five)
    assert torch.equal(whole, single)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert torch.equal(whole, score(model, levels))


FAULTS = {"gated-dilated": "conv", "plain-batch-norm": "affine", "gated-class-input": "inject"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_lowering_is_seen(name, monkeypatch):
    """A tap off by one, a batch norm left out, a condition added twice: refused, and seen."""
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 20)
    exact = score(model, levels)
    spoil_lowering(monkeypatch, model, FAULTS[name])
    engine.PREPARED.clear()
    with pytest.raises(NextPixelError, match="does not compute what the model does"):
        score(model, levels)
    monkeypatch.setattr(lowering, "check_program", lambda model, program: None)
    assert (score(model, levels) - exact).abs().max() > 1e-3


def spoil_lowering(monkeypatch, model: PixelModel, kind: str) -> None:
    """Programs of this kind of model have a fault, in whatever type they are lowered."""
    lower = type(model).lower

    def spoiled(self):
        program = lower(self)
        spoil(program, kind)
        return program

    monkeypatch.setattr(type(model), "lower", spoiled)


def spoil(program, kind: str) -> None:
    number, op = next((n, op) for n, op in enumerate(program.ops) if op.name == kind)
    if kind == "conv":
        op.taps = tuple((row, column - 1) for row, column in op.taps)
    elif kind == "affine":
        op.weight = torch.ones_like(op.weight)
    else:
        again = Inject((op.output,), op.output, op.source, op.order)
        program.ops.insert(number + 1, again)


def test_a_ring_that_is_a_row_too_short_is_seen(monkeypatch):
    """A stale row: a kernel looks two rows back in a ring of one."""
    options = {**CASES["gated"].options, "first_side": 5}
    model = replace(CASES["gated"], options=options).build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 20)
    exact = score(model, levels)
    lay_out = engine.lay_out

    def short(program, width, height):
        made = lay_out(program, width, height)
        made.maps[0, 1] = 1
        return made

    monkeypatch.setattr(engine, "lay_out", short)
    engine.PREPARED.clear()
    assert (score(model, levels) - exact).abs().max() > 1e-3


def test_weights_that_were_changed_are_laid_out_anew():
    """Also by a way that torch does not count: through `.data`."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 4)
    before = score(model, levels)
    model.last.weight.data.mul_(2.0)
    after = score(model, levels)
    assert (after - before).abs().max() > 1e-3
    with torch.inference_mode():
        torch.testing.assert_close(after, model.log_prob(levels).double(), rtol=0, atol=1e-4)
