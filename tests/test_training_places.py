"""Pixels that count less, and pixels that are drawn: the gradient is that of what was asked for."""

import pytest
import torch

from nextpixel import models
from nextpixel.models.base import PixelModel
from nextpixel.training import TrainConfig
from nextpixel.training.gradient import Gradient
from nextpixel.training.places import Places
from tests.laws.cases import disturb


def windowed(size=8, side=3):
    model = models.build(
        "windowed-pixelcnn", shape=(3, size, size), levels=8, features=6, side=side
    )
    return disturb(model.double(), 0.1).train()


def batch(model, count=4):
    rng = torch.Generator().manual_seed(1)
    return torch.randint(model.levels, (count, *model.shape), generator=rng)


def gradients(model, places, levels, seed=0):
    nats = Gradient(model, places=places).set(levels, seed=seed)
    return nats, [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("side", [3, 5])
def test_pixels_of_windows_alone_are_those_of_one_pass(side):
    model = windowed(side=side)
    levels, places = batch(model), torch.arange(64).repeat(4, 1)
    alone = model.log_prob_at(levels, places)
    assert torch.allclose(alone, PixelModel.log_prob_at(model, levels, places), atol=1e-9)
    assert torch.allclose(alone.view(4, 3, 8, 8), model(levels).log_prob(levels), atol=1e-9)


@pytest.mark.parametrize("place", [-1, 64])
def test_places_outside_of_the_image_are_refused(place):
    model = windowed()
    with pytest.raises(ValueError, match=r"places must be 0\.\.63, got"):
        model.log_prob_at(batch(model, 1), torch.tensor([[place]]))


def test_a_window_that_is_shifted_is_seen(monkeypatch):
    model = windowed()
    levels, places = batch(model), torch.arange(64).repeat(4, 1)
    right = model.log_prob_at(levels, places)
    windows = type(model).windows
    monkeypatch.setattr(
        type(model), "windows",
        lambda self, planes, at, reach=None: windows(self, planes, (at + 1) % 64, reach)
        if reach is None else windows(self, planes, at, reach),
    )  # fmt: skip
    assert not torch.allclose(model.log_prob_at(levels, places), right, atol=1e-3)


def test_all_pixels_drawn_once_are_the_whole_gradient(monkeypatch):
    model = windowed()
    levels = batch(model)
    nats, whole = gradients(model, None, levels)
    places = Places(model, pixels=64)
    monkeypatch.setattr(places, "draw", lambda images, _: torch.arange(64).repeat(images, 1))
    drawn_nats, drawn = gradients(model, places, levels)
    assert drawn_nats == pytest.approx(nats, rel=1e-12)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(drawn, whole, strict=True))


def test_a_border_that_counts_less_is_a_weighted_gradient():
    model = windowed()
    levels, places = batch(model), Places(model, 0.25)
    nats, found = gradients(model, places, levels)
    weights = torch.full((8, 8), 0.25).double()
    weights[1:, 1:7] = 1.0  # windows of 3: one row above, one column to either side
    weights /= weights.mean()
    loss = -(model(levels).log_prob(levels) * weights).sum() / len(levels)
    expected = torch.autograd.grad(loss / (3 * 64), list(model.parameters()), allow_unused=True)
    assert nats == pytest.approx(loss.item(), rel=1e-6)
    kept = [gradient for gradient in expected if gradient is not None]
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found, kept, strict=True))


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_pixels_are_drawn_as_often_as_they_count(weight):
    places = Places(windowed(), weight, 50)
    drawn = places.draw(4000, seed=3).flatten()
    expected = places.weights.flatten() / 64
    found = torch.bincount(drawn, minlength=64) / len(drawn)
    assert (found - expected).abs().max() < 5 * (expected.max() / len(drawn)) ** 0.5
    assert torch.equal(places.draw(2, seed=5), places.draw(2, seed=5))
    assert not torch.equal(places.draw(2, seed=5), places.draw(2, seed=6))


def test_a_border_that_is_everywhere_is_refused():
    with pytest.raises(ValueError, match="border_weight must be 1 for windowed-pixelcnn"):
        Places(windowed(size=4, side=5), 0.5)


@pytest.mark.parametrize("options", [{"pixels": 0}, {"pixels": 2, "compile": True},
                                     {"border_weight": 0}, {"border_weight": 1.5}])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"pixels must|border_weight must"):
        TrainConfig(**options)
