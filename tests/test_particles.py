"""Particles: on toys they agree with brute force; known pixels stay; what cannot be is refused."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.engine.cpu import particles as engine
from nextpixel.sampling.region import begins_the_scan
from tests.laws.cases import CASES, disturb
from tests.laws.test_exactness import all_images

GATED = {"features": 6, "layers": 2, "first_side": 3, "head_features": 6}


def toy(shape=(1, 3, 3), levels=2, **options):
    model = npx.build("gated-pixelcnn", shape=shape, levels=levels, **{**GATED, **options})
    return disturb(model, 0.6)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def bottom(model):
    """The lower rows and a pixel in the middle are known."""
    known = torch.zeros(model.shape, dtype=torch.bool)
    known[:, -1], known[:, 1, 1] = True, True
    return known


def brute(model, levels, known, condition=None):
    """All images that agree with what is known, and their log-probabilities."""
    images = all_images(model)
    images = images[((images == levels) | ~known).flatten(1).all(1)]
    many = None if condition is None else condition.expand(len(images))
    with torch.inference_mode():
        return images, model.log_prob(images, many).double()


@pytest.mark.parametrize(("shape", "levels"), [((1, 3, 3), 2), ((2, 2, 3), 2), ((1, 2, 3), 3)])
def test_the_estimate_of_what_is_known_has_no_bias(shape, levels):
    """The mean over 400 estimates, within four of its standard errors."""
    model = toy(shape, levels, colors="independent" if shape[0] == 2 else "dependent")
    known = torch.zeros(shape, dtype=torch.bool)
    known[:, -1] = True
    one = torch.randint(levels, (1, *shape), generator=rng(1))
    _, log_p = brute(model, one, known)
    found = npx.complete_by_particles(
        model, one.expand(400, -1, -1, -1), known.expand(400, *shape), count=16, rng=rng()
    )
    ratio = (found.log_evidence - log_p.logsumexp(0)).exp()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 20
    assert ratio.std() > 0


@pytest.mark.slow
def test_frequencies_are_those_of_the_posterior():
    """By chi-square at 10^5 draws of clouds so large that their own bias is below it."""
    model = toy()
    known, one = bottom(model), torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 0]]).view(1, 1, 3, 3)
    images, log_p = brute(model, one, known)
    expected = (log_p - log_p.logsumexp(0)).exp().numpy()
    clouds = 1000
    found = npx.complete_by_particles(
        model, one.expand(clouds, -1, -1, -1), known.expand(clouds, 1, 3, 3), count=1000, rng=rng()
    )
    chosen = torch.multinomial(found.log_weights.softmax(1), 100, replacement=True, generator=rng())
    drawn = found.levels[torch.arange(clouds)[:, None], chosen].flatten(0, 1)
    code = 2 ** torch.arange(9)
    place = {int(key): n for n, key in enumerate((images.flatten(1) * code).sum(1))}
    counts = np.zeros(len(images))
    for key in (drawn.flatten(1).long() * code).sum(1).tolist():
        counts[place[key]] += 1
    chi2 = ((counts - 1e5 * expected) ** 2 / (1e5 * expected)).sum()
    degrees = len(images) - 1
    assert chi2 < degrees + 5 * math.sqrt(2 * degrees)


def test_completions_keep_the_known_and_take_it_in():
    """Where a pixel almost decides an earlier one, that is drawn as it says."""
    model = toy()
    known, one = bottom(model), torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 0]]).view(1, 1, 3, 3)
    many = one.expand(300, -1, -1, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = npx.complete(model, many, known, rng=rng(), method="particles", particles=64)
        npx.complete(model, many[:1], torch.arange(3).view(3, 1) < 1, rng=rng())  # the top row
    assert (made == one)[known.expand_as(made)].all()
    images, log_p = brute(model, one, known)
    expected = ((log_p - log_p.logsumexp(0)).exp()[:, None, None, None] * images).sum(0)
    error = (made.double().mean(0) - expected).abs()
    assert error.max() < 4 * math.sqrt(0.25 / 300) + 0.01
    with pytest.warns(UserWarning, match="known after missing ones .* do not shape them; method"):
        ignoring = npx.complete(model, many, known, rng=rng()).double().mean(0)
    assert (ignoring - expected).abs().max() > 0.1, "without particles it is another distribution"


def test_without_later_known_pixels_particles_are_samples():
    model = toy()
    known = torch.zeros(1, 3, 3, dtype=torch.bool)
    known[0, 0] = True
    one = torch.randint(2, (2, 1, 3, 3), generator=rng(1))
    found = npx.complete_by_particles(model, one, known.expand(2, 1, 3, 3), count=8, rng=rng())
    assert not found.resampled.any()
    assert found.effective.tolist() == [8.0, 8.0]
    exact = npx.log_prob_of(model, one, known)
    torch.testing.assert_close(found.log_evidence, exact.nats, rtol=0, atol=1e-5)
    assert exact.is_exact


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_classes_and_several_threads(two_threads):
    model = toy(condition=npx.ClassCondition(3))
    known, labels = bottom(model), torch.tensor([0, 2, 1])
    images = torch.randint(2, (3, 1, 3, 3), generator=rng(2))
    found = npx.complete_by_particles(
        model, images, known.expand_as(images), count=3000, rng=rng(), condition=labels
    )
    for n in range(3):
        _, log_p = brute(model, images[n : n + 1], known, labels[n])
        assert found.log_evidence[n].item() == pytest.approx(log_p.logsumexp(0).item(), abs=0.1)


@pytest.mark.parametrize(
    ("name", "size"), [("gated", 1.2), ("diagonal", 1.0), ("snail", 0.7), ("transformer", 1.2)]
)
def test_all_that_is_kept_of_the_past_goes_with_a_particle(name, size):
    """Rings, cells, keys and values: what comes after resampling is right for what was copied.

    With levels copied alone the last three fail.
    """
    model = replace(CASES[name].with_levels(2), size=size).build(3, 4).float()
    known = torch.zeros(model.shape, dtype=torch.bool)
    known[:, :, 1::2] = True
    one = torch.randint(2, (1, *model.shape), generator=rng(3))
    found = npx.complete_by_particles(
        model, one.expand(400, -1, -1, -1), known.expand(400, *model.shape), count=64, rng=rng()
    )
    assert found.resampled.any()
    ratio = (found.log_evidence - sums(model, one, known).logsumexp(0)).exp()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 20


def sums(model, one, known):
    """Log-probabilities of all images that agree with what is known, where few are unknown."""
    free = (~known).flatten().nonzero()[:, 0]
    codes = torch.arange(2 ** len(free))
    images = one.flatten(1).repeat(len(codes), 1)
    images[:, free] = (codes[:, None] >> torch.arange(len(free))) & 1
    with torch.inference_mode():
        return model.log_prob(images.view(-1, *model.shape)).double()


def test_ancestors_are_drawn_in_proportion_and_stay_where_they_can():
    weights = np.log(np.array([0.5, 0.25, 0.125, 0.125]))
    counts = np.zeros(4)
    for uniform in np.linspace(0, 0.999, 200):
        found = engine._ancestors(weights, uniform)
        counts += np.bincount(found, minlength=4)
        assert all(found[n] == n for n in range(4) if n in found)
    assert np.allclose(counts / 200, [2, 1, 0.5, 0.5], atol=0.02)


@pytest.mark.parametrize(("options", "message"), [
    ({"particles": 1}, "particles must be at least 2, got 1"),
    ({"temperature": 0.5}, "temperature, top_k and top_p must be left out with particles"),
])  # fmt: skip
def test_options_are_refused_by_name(options, message):
    model = toy()
    levels = torch.zeros(1, 1, 3, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        npx.complete(model, levels, bottom(model), method="particles", **options)


def test_a_model_without_a_program_is_refused(monkeypatch):
    model = toy()
    monkeypatch.setattr(type(model), "lower", npx.PixelModel.lower)
    with pytest.raises(npx.NextPixelError, match="particles need the compiled step engine"):
        npx.complete_by_particles(
            model, torch.zeros(1, 1, 3, 3, dtype=torch.int64), bottom(model)[None]
        )


def test_no_image_and_no_number_are_refused():
    model = toy()
    images = torch.zeros(1, 1, 3, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="levels must have at least one image"):
        npx.complete_by_particles(model, images[:0], bottom(model))
    with torch.no_grad():
        model.last.weight.fill_(3e38)
    with pytest.raises(npx.NextPixelError, match=r"predicts what is no number|does not compute"):
        npx.complete_by_particles(model, images, bottom(model))


def test_sampling_has_no_particles():
    with pytest.raises(ValueError, match="particles complete images"):
        npx.sample(toy(), 1, method="particles")


# Regions


def test_what_the_scan_begins_with_is_exact():
    model = toy()
    images = torch.randint(2, (3, 1, 3, 3), generator=rng(4))
    top = torch.zeros(1, 3, 3, dtype=torch.bool)
    top[0, :2] = True
    _, log_p = brute(model, images[:1], top)
    found = npx.log_prob_of(model, images, top)
    assert found.is_exact
    assert found.nats[0].item() == pytest.approx(log_p.logsumexp(0).item(), abs=1e-5)
    rest = npx.log_prob_of(model, images, ~top, given=top)
    torch.testing.assert_close(
        found.nats + rest.nats, model.log_prob(images).double().detach(), rtol=0, atol=1e-5
    )
    changed = torch.where(top, images, 1 - images)
    assert torch.equal(npx.log_prob_of(model, changed, top).nats, found.nats)


def test_other_regions_are_within_their_stated_error():
    model = toy()
    images = torch.randint(2, (4, 1, 3, 3), generator=rng(5))
    region, given = torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    region[0, 0], given[0, 2] = True, True
    found = npx.log_prob_of(model, images, region, given=given, rng=rng(), particles=200)
    assert not found.is_exact
    for n in range(4):
        _, both = brute(model, images[n : n + 1], region | given)
        _, alone = brute(model, images[n : n + 1], given)
        exact = (both.logsumexp(0) - alone.logsumexp(0)).item()
        assert 0 < found.standard_error[n] < 0.1
        assert abs(found.nats[n].item() - exact) < 4 * found.standard_error[n]


def test_begins_the_scan():
    mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    assert begins_the_scan(mask)
    mask[:, 0, 0] = True
    assert begins_the_scan(mask)
    mask[1, 0, 1] = True
    assert not begins_the_scan(mask)


@pytest.mark.parametrize(("masks", "error", "message"), [
    ({"given": torch.ones(3, 3, dtype=torch.bool)}, ValueError, "given must not share a sub-pixel"),
    ({"given": torch.ones(3, 3)}, TypeError, "given must be a boolean tensor"),
    ({"given": torch.zeros(4, 3, dtype=torch.bool)}, ValueError, "given must broadcast to shape"),
])  # fmt: skip
def test_bad_regions_are_refused(masks, error, message):
    region = torch.ones(3, 3, dtype=torch.bool)
    with pytest.raises(error, match=message):
        npx.log_prob_of(toy(), torch.zeros(1, 1, 3, 3, dtype=torch.int64), region, **masks)


# The command line


def test_evaluate_measures_a_region_given_another(tmp_path, capsys):
    from nextpixel.cli.app import main

    model = "mnist2-gated-class"
    assert (
        main(["evaluate", model, "--limit", "3", "--region", "bottom", "--given", "top", "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["given"]["exact"]
    assert found["given"]["nats"] == pytest.approx(found["region"]["nats"], abs=1e-3)
    assert main(["evaluate", model, "--limit", "2", "--given", "top"]) == 2
    assert "region must be stated with given" in capsys.readouterr().err


def test_complete_by_particles_says_how_many_are_effective(tmp_path, capsys):
    from nextpixel.cli.app import main

    out = tmp_path / "made.npy"
    words = ["complete", "mnist2-gated", "--images", "mnist", "--images-count", "2", "--count", "2"]
    options = ["--known", "bottom", "--method", "particles", "--particles", "8", "--out", str(out)]
    assert main([*words, *options]) == 0
    assert "effective particles: at least" in capsys.readouterr().out
    made = np.load(out)
    assert made.shape == (2, 2, 1, 28, 28)
    bottoms = npx.load_data("mnist", levels=2).test.levels[:2, None, :, 14:].numpy()
    assert (made[:, :, :, 14:] == bottoms).all()
    assert main(["sample", "mnist2-gated", "--method", "particles", "--out", str(out)]) == 2
    assert "particles complete images" in capsys.readouterr().err
