"""The same model for images of another size: what a model built for that size says."""

import io
import math
import re

import pytest
import torch

import nextpixel as npx
from nextpixel import models
from nextpixel.codec import archive
from nextpixel.codec.chunks import label_classes
from nextpixel.codec.tensors import TensorSource
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel, sizes
from nextpixel.models.sizes import log_prob_map, tied_by
from nextpixel.sampling import METHODS
from tests.laws.cases import CASES, Case, condition_for, params
from tests.laws.test_exactness import all_images, random_levels

POSITIONS, MAP = "adds a learned map of positions", "has a condition that is a map"
PLACES, NUMBERS = "reads where in the image a pixel is", "takes any order, by the numbers"
TIED = {
    "residual-position": POSITIONS,
    "gated-skip-position": POSITIONS,
    "residual-orders-class": POSITIONS,
    **{name: MAP for name in CASES if name.endswith(("-map", "-map-all"))},
    "diagonal-colors-map": MAP,
    **{name: PLACES for name in CASES if name.startswith("snail")},
    "snail-heads-class-map": MAP,
    "snail-colors-map": MAP,
    **{name: POSITIONS for name in CASES if name.startswith("transformer")},
    **{name: NUMBERS for name in CASES if name.startswith("local")},
    "mix-colors-class-map": f"has a gated-pixelcnn that {MAP}",
}
"""What ties a case to its size; the others take any."""
FREE = {name: case for name, case in CASES.items() if name not in TIED}
SIZES = {"pixelcnn-plusplus": ((8, 8), (12, 4)), "autoencoder": ((5, 6), (8, 7))}


def sizes_of(case: Case) -> tuple[tuple[int, int], tuple[int, int]]:
    """Its own size, and another that it takes."""
    return SIZES.get(case.model, ((5, 6), (7, 4)))


@pytest.fixture(params=params(FREE))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> PixelModel:
    return case.build(*sizes_of(case)[0])


@pytest.fixture
def other(case: Case, model: PixelModel) -> PixelModel:
    return npx.at_size(model, *sizes_of(case)[1])


def test_what_ties_a_model_is_named():
    found = {name: tied_by(case.build(4, 4)) for name, case in CASES.items()}
    for name, words in found.items():
        assert (words or "").startswith(TIED.get(name, "")), name
        assert bool(words) == (name in TIED), name


def test_it_is_a_model_built_for_that_size_with_these_weights(case, model, other):
    fresh = models.build(case.model, shape=other.shape, levels=case.levels, **case.options).double()
    fresh.load_state_dict(model.state_dict())
    levels, condition = random_levels(other, 3), condition_for(model, 3)
    expected = fresh.log_prob(levels, condition)
    assert torch.equal(other.log_prob(levels, condition), expected)
    assert torch.equal(model.log_prob(levels, condition), expected)


def test_weights_are_shared_and_the_mode_is_kept(case, model):
    other = npx.at_size(model.train(), *sizes_of(case)[1])
    assert all(module.training for module in other.modules())
    assert not any(
        module.training for module in npx.at_size(model.eval(), *other.shape[1:]).modules()
    )
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    found = dict(other.named_parameters()) | dict(other.named_buffers())
    assert all(own[name] is tensor for name, tensor in found.items())
    assert npx.at_size(model, *model.shape[1:]) is model


SMALL = ["plain", "residual-mixture-colors", "row-lstm", "diagonal", "windowed-colors", "mix-both"]


@pytest.mark.parametrize("name", SMALL)
def test_the_probabilities_of_all_tiny_images_sum_to_one_at_another_size(name):
    other = npx.at_size(FREE[name].with_levels(2).build(5, 6), 2, 2)
    total = other.log_prob(all_images(other)).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-9)


def test_rows_below_change_nothing_above(case, model):
    height, width = model.shape[1:]
    taller = npx.at_size(model, height + (case.multiple if case.multiple > 1 else 3), width)
    levels, condition = random_levels(taller, 2), condition_for(model, 2)
    whole = log_prob_map(taller, levels, condition)[:, :, :height]
    top = log_prob_map(model, levels[:, :, :height], condition)
    torch.testing.assert_close(whole, top, rtol=1e-10, atol=1e-10)


def test_columns_beyond_the_reach_change_nothing(case):
    model = case.build(5, 9)
    if model.reach >= 9:
        pytest.skip("it sees all of an image")
    wider = npx.at_size(model, 5, 12)
    levels, condition = random_levels(wider, 2), condition_for(model, 2)
    inside = 9 - model.reach
    whole = log_prob_map(wider, levels, condition)[..., :inside]
    left = log_prob_map(model, levels[..., :9], condition)[..., :inside]
    torch.testing.assert_close(whole, left, rtol=1e-10, atol=1e-10)


def test_an_archive_takes_the_bits_that_the_model_says(case, model, other):
    levels, condition = random_levels(other, 3), condition_for(model, 3)
    with torch.inference_mode():
        nats = -float(model.log_prob(levels, condition).sum())
    report = archive.write(io.BytesIO(), model.float(), TensorSource(levels, condition))
    labels = 3 * math.log2(label_classes(model)) if label_classes(model) else 0
    assert report.ideal_bits == pytest.approx(nats / math.log(2) + labels, abs=1e-3)


def test_the_engine_draws_at_another_size_what_the_plain_method_draws(case, model, other):
    drawn = [
        npx.sample(other.float(), 6, rng=torch.Generator().manual_seed(0), method=method,
                   condition=condition_for(model, 6))
        for method in METHODS
    ]  # fmt: skip
    assert drawn[0].shape == (6, *other.shape)
    differing = (drawn[0] != drawn[1]).flatten(1).any(1)
    assert differing.sum() <= 1


@pytest.mark.parametrize(("name", "text"), [
    ("residual-position", "images must be 5x6 for this residual-pixelcnn, which adds a learned map "
     "of positions; nets without maps take any size, such as gated-pixelcnn with position=False"),
    ("plain-map", "this pixelcnn, which has a condition that is a map"),
    ("gated-class-map", "this gated-pixelcnn, which has a condition that is a map"),
    ("snail", "this pixelsnail, which reads where in the image a pixel is"),
    ("local-independent", "this locally-masked, which takes any order, by the numbers of its"),
    ("mix-colors-class-map", "this mixture, which has a gated-pixelcnn that has a condition"),
    ("autoencoder", "this autoencoder, which has weights encoder.5.weight of that size"),
    ("plusplus", r"divisible by 4 for pixelcnn-plusplus, got (18, 7); 20x8 would do"),
])  # fmt: skip
def test_a_model_of_one_size_is_refused_by_what_ties_it(name, text):
    model = CASES[name].build(5, 6)
    with pytest.raises(ValueError, match=re.escape(text)):
        npx.at_size(model, 18, 7)


def test_eight_orders_need_squares():
    model = npx.build("pixelcnn", shape=(1, 4, 4), levels=2, features=2, layers=1, orders=8)
    assert npx.at_size(model, 6, 6).conditioner.order.classes == 8
    with pytest.raises(ValueError, match="orders must be 4 for images that are not square"):
        npx.at_size(model, 6, 5)


def test_levels_of_another_size_are_refused_with_what_takes_them():
    levels = torch.zeros(2, 1, 7, 4, dtype=torch.int64)
    free, tied = CASES["plain"].build(5, 6), CASES["residual-position"].build(5, 6)
    with pytest.raises(ValueError, match=r"got \(2, 1, 7, 4\); npx.at_size\(model, 7, 4\) takes"):
        free(levels)
    with pytest.raises(ValueError, match=r"\(2, 1, 7, 4\): this residual-pixelcnn adds a learned"):
        tied.log_prob(levels)
    with pytest.raises(ValueError, match=r"\(B, 1, 5, 6\), got \(2, 3, 7, 4\)$"):
        free.log_prob(levels.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("slab", [1, 20, 56])
def test_large_images_go_by_slabs_of_rows_with_the_figures_of_the_whole(case, slab, monkeypatch):
    model = case.build(24, 8)
    if model.reach >= 12:
        pytest.skip("it sees all of an image")
    levels, condition = random_levels(model, 2), condition_for(model, 2)
    whole = log_prob_map(model, levels, condition)
    seen = []
    network = model.network
    monkeypatch.setattr(model, "network", lambda x, *more: (seen.append(x), network(x, *more))[1])
    monkeypatch.setattr(sizes, "SLAB", slab)
    torch.testing.assert_close(
        log_prob_map(model, levels, condition), whole, rtol=1e-10, atol=1e-10
    )
    assert len(seen) > 1
    assert max(x.shape[2] for x in seen) <= max(2 * model.reach, model.reach + slab // 16 + 1)


def test_an_image_that_needs_one_pass_and_does_not_fit_is_refused(monkeypatch):
    model = CASES["row-lstm"].build(5, 6)
    monkeypatch.setattr(sizes, "SLAB", 10)
    monkeypatch.setattr("nextpixel.runtime.device.available", lambda device: 1000)
    with pytest.raises(NextPixelError, match=r"one pass of row-lstm over 30 pixels needs .* a net"):
        log_prob_map(model, random_levels(model, 1))
