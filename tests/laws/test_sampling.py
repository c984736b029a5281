"""Samples come from the model that is scored, whatever the method, the batch or the window."""

import re
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from nextpixel.models import PixelModel
from nextpixel.order import steps
from nextpixel.sampling import METHODS, Recompute, complete, sample, scan
from nextpixel.sampling.draw import draw_uniforms
from tests.laws.cases import CASES, condition_for, own_indices
from tests.laws.test_exactness import all_images, random_levels


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(model: PixelModel, count: int, **options: Any) -> Tensor:
    return sample(model, count, condition=condition_for(model, count), **options)


def finish(model: PixelModel, levels: Tensor, known: Tensor, **options: Any) -> Tensor:
    return complete(model, levels, known, condition=condition_for(model, len(levels)), **options)


@torch.inference_mode()
def test_log_prob_along_the_scan_equals_the_one_pass_log_prob(case):
    model = case.build(7, 9)
    levels = random_levels(model, 3)
    total = torch.zeros(3, dtype=torch.float64)

    def choose(step, predict):
        embedding = levels[:, step.color, step.row, step.column]
        total.add_(predict().log_prob(embedding))
        return embedding

    embedding = model.condition(condition_for(model, 3), 3)
    state = Recompute(model, torch.zeros_like(levels), embedding)
    written = scan(state, choose, indices=own_indices(model) if model.any_order else None)
    assert torch.equal(written, levels)
    torch.testing.assert_close(
        total, model.log_prob(levels, condition_for(model, 3)), rtol=0, atol=1e-10
    )


@torch.inference_mode()
def test_a_window_gives_what_the_whole_image_gives(case):
    """Wider than the reach in every direction, so that the window has all four kinds of border."""
    model = case.build(3 + 2 * 3, 3 + 4 * 3)
    levels = random_levels(model, 2)
    whole = model(levels, condition_for(model, 2)).logits
    state = Recompute(model, levels, model.condition(condition_for(model, 2), 2))
    for step in steps(model.shape):
        here = state.predict(step).logits
        torch.testing.assert_close(
            here, whole[:, step.color, step.row, step.column], rtol=0, atol=1e-11
        )


def test_sampled_frequencies_fit_the_probabilities(tiny_gray_case):
    """All 16 tiny images: the chi-square statistic stays near its mean."""
    model = tiny_gray_case.with_levels(2).build(2, 2)
    count = 4000
    images = all_images(model)
    drawn = draw(model, count, rng=rng(3), batch_size=count)
    expected = count * model.log_prob(images, condition_for(model, len(images))).exp().detach()
    index = (drawn.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    observed = torch.bincount(index, minlength=16).double()
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert statistic < 45  # chi-square of 15 degrees exceeds 45 once in 13,000 draws


def test_colors_are_sampled_from_their_own_probabilities(case):
    """Mean log-probability of samples = minus the entropy, within five standard errors."""
    model = case.build(3, 3)
    drawn = draw(model, 1500, rng=rng(4), batch_size=1500)
    with torch.inference_mode():
        distribution = model(drawn, condition_for(model, len(drawn)))
        log_p = distribution.log_prob(drawn).flatten(1).sum(1)
        gap = log_p + distribution.entropy().flatten(1).sum(1)
    assert gap.mean().abs() < 5 * gap.std() / len(gap) ** 0.5


def test_an_image_does_not_depend_on_the_batch_it_is_drawn_in(model):
    together = draw(model, 5, rng=rng(), batch_size=5)
    apart = draw(model, 5, rng=rng(), batch_size=2)
    fewer = draw(model, 3, rng=rng(), batch_size=3)
    assert torch.equal(together, apart)
    assert torch.equal(together[:3], fewer)


def test_the_same_seed_gives_the_same_images_and_another_gives_others(model):
    assert torch.equal(draw(model, 4, rng=rng(7)), draw(model, 4, rng=rng(7)))
    assert not torch.equal(draw(model, 4, rng=rng(7)), draw(model, 4, rng=rng(8)))


def test_completion_keeps_the_known_and_ignores_the_rest(model):
    levels = random_levels(model, 4, seed=1)
    known = torch.rand(levels.shape, generator=rng(2)) < 0.5
    filled = torch.where(known, levels, random_levels(model, 4, seed=3))
    done = finish(model, levels, known, rng=rng(5))
    assert torch.equal(done[known].long(), levels[known])
    assert torch.equal(done, finish(model, filled, known, rng=rng(5)))


def test_completing_nothing_known_is_sampling(model):
    known = torch.zeros(model.shape[1:], dtype=torch.bool)
    blank = torch.zeros(3, *model.shape, dtype=torch.int64)
    assert torch.equal(finish(model, blank, known, rng=rng()), draw(model, 3, rng=rng()))


def test_completing_all_known_changes_nothing(model):
    levels = random_levels(model, 3)
    known = torch.ones(model.shape[1:], dtype=torch.bool)
    assert torch.equal(finish(model, levels, known, rng=rng()).long(), levels)


def test_low_temperature_takes_the_likeliest_level(model):
    drawn = draw(model, 2, rng=rng(), temperature=1e-6)
    with torch.inference_mode():
        likeliest = model(drawn, condition_for(model, len(drawn))).logits.argmax(-1)
    assert torch.equal(drawn.long(), likeliest)


def test_temperature_is_applied_to_each_conditional(tiny_model):
    """The first sub-pixel's frequencies follow its tempered probabilities."""
    drawn = draw(tiny_model, 6000, rng=rng(1), temperature=2.0, batch_size=6000)
    log_p = tiny_model(drawn[:1], condition_for(tiny_model, 1)).logits[0, 0, 0, 0].detach()
    expected = (log_p / 2).softmax(-1)[1].item()
    frequency = (drawn[:, 0, 0, 0] == 1).double().mean().item()
    assert abs(frequency - expected) < 5 * (expected * (1 - expected) / 6000) ** 0.5


def test_sampling_leaves_the_mode_as_it_was():
    model = CASES["plain-batch-norm"].build(2, 2)
    model.train()
    draw(model, 1, rng=rng())
    assert model.training


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_reported_as_they_are_finished(model, method):
    seen = []
    note = lambda done, levels: seen.append((done, levels[:, :, :done].tolist()))  # noqa: E731
    drawn = draw(model, 2, rng=rng(), method=method, on_row=note)
    if model.any_order:  # as many pixels as a row has, wherever they are
        assert [done for done, _ in seen] == list(range(1, model.shape[1] + 1))
        assert seen[-1][1] == drawn.tolist()
        return
    assert seen == [(row, drawn[:, :, :row].tolist()) for row in range(1, model.shape[1] + 1)]


def test_uniforms_are_drawn_image_by_image():
    shape = (2, 3, 3)
    assert torch.equal(draw_uniforms(4, shape, rng())[:2], draw_uniforms(2, shape, rng()))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"method": "recompile"}, "did you mean 'recompute'?"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_sample_refuses_invalid_arguments(change, text):
    tiny_model = CASES["plain"].build(2, 2)
    arguments = {"count": 1, **change}
    with pytest.raises(ValueError, match=re.escape(text)):
        draw(tiny_model, arguments.pop("count"), rng=rng(), **arguments)


def test_complete_refuses_what_does_not_fit():
    model = CASES["plain"].build(5, 6)
    levels = random_levels(model, 2)
    refuse = partial(finish, model, rng=rng())
    with pytest.raises(TypeError, match=r"known must be a boolean tensor, got torch\.int64"):
        refuse(levels, levels)
    with pytest.raises(ValueError, match="known must broadcast to shape"):
        refuse(levels, torch.ones(3, 99, dtype=torch.bool))
    with pytest.raises(ValueError, match="levels must have shape"):
        refuse(levels[:, :, 0], torch.ones(1, dtype=torch.bool))
