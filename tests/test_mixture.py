"""Mixtures: the definition, what is left out, what is refused, and how they are kept.

That they are models like any other is said by the laws, of which they are cases.
"""

import json
import math
import warnings
from importlib import import_module

import pytest
import torch

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.codec.header import fingerprint
from nextpixel.engine.cpu import mixing
from nextpixel.engine.cpu import mixture as engine
from nextpixel.errors import NextPixelError
from nextpixel.heads.truncation import PLAIN
from nextpixel.likelihood import log_probs
from nextpixel.models import Mixture, PixelCNN, mixture
from nextpixel.models.mixtures import log_p_of, remaining
from nextpixel.nn import NO_EMBEDDING
from tests.commands import caller
from tests.laws.cases import CASES, disturb
from tests.laws.test_exactness import all_images, random_levels

SHAPE = (1, 5, 6)
CLASSES = 3


def a_net(classes: int = 0, levels: int = 2, seed: int = 0, **options) -> npx.PixelModel:
    """A small net with random weights, float64."""
    condition = npx.ClassCondition(classes) if classes else ()
    options = {"features": 6, "layers": 2, "side": 3, "condition": condition, **options}
    model = npx.build("pixelcnn", shape=SHAPE, levels=levels, **options).double()
    with torch.no_grad():
        for weight in disturb(model).parameters():
            weight.mul_(1 + 0.1 * seed)
    return model


def score(model: Mixture, levels: torch.Tensor) -> torch.Tensor:
    """Log-probability along the engine's scan."""
    known, uniforms = torch.ones_like(levels).bool(), torch.zeros(levels.shape).double()
    with torch.inference_mode():
        return engine.fill(
            model, levels, known, uniforms, NO_EMBEDDING, truncation=PLAIN, on_row=None
        )[1]


# The definition


def test_classes_summed_out_are_the_mean_over_classes():
    net = a_net(CLASSES, levels=3)
    model, levels = mixture([net], least_posterior=0), random_levels(net, 20)
    each = [net.log_prob(levels, torch.full((20,), label)) for label in range(CLASSES)]
    expected = torch.stack(each).logsumexp(0) - math.log(CLASSES)
    torch.testing.assert_close(model.log_prob(levels), expected, rtol=0, atol=1e-11)


def test_nets_are_averaged_by_their_logarithms_and_renormalised():
    nets = [a_net(levels=3, seed=seed) for seed in range(3)]
    levels = random_levels(nets[0], 5)
    product = torch.stack([net(levels).probs for net in nets]).log().mean(0).exp()
    expected = product / product.sum(-1, keepdim=True)
    torch.testing.assert_close(mixture(nets)(levels).probs, expected, rtol=0, atol=1e-13)


def test_one_net_without_a_condition_is_itself():
    net = a_net(levels=4)
    levels = random_levels(net, 5)
    torch.testing.assert_close(mixture([net]).log_prob(levels), net.log_prob(levels))


def test_a_class_is_left_out_from_the_row_on_before_which_it_is_unlikely():
    third = math.log(1 / 3)
    above = torch.tensor([[0.0, third, third, 0], [0, third, third, 0], [0, third, -9, 9]])
    found = remaining(above[:, None], least=0.01)
    assert found[:, 0].int().tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]]


def test_the_likeliest_class_stays_however_many_there_are():
    found = remaining(torch.tensor([[0.0, 0.0], [0.0, 0.1]])[:, None], least=0.9)
    assert found[:, 0].int().tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("least", [0.0, 0.1, 0.4])
def test_whatever_is_left_out_probabilities_sum_to_one(least):
    case = CASES["mix-classes"].with_levels(2)
    model = mixture(case.build(3, 3).nets, least_posterior=least)
    images = all_images(model)
    assert model.log_prob(images).logsumexp(0).abs() < 1e-10


def test_what_is_left_out_changes_something():
    net = a_net(CLASSES)
    levels = random_levels(net, 20)
    whole, some = (mixture([net], least_posterior=p).log_prob(levels) for p in (0, 0.2))
    assert ((whole - some).abs() > 1e-3).any()


def test_levels_survive_weights_of_few_bits():
    """Numbers of 8 bits hold no level above 256."""
    model = mixture([a_net(levels=1000, head="categorical").to(torch.bfloat16)])
    levels = torch.full((1, *SHAPE), 999)
    assert torch.equal(model.encode(levels).long(), levels)


# The engine


def test_the_engine_leaves_out_what_the_one_pass_leaves_out():
    """A trained net of ten classes, most of which are given up on the way."""
    levels = npx.load_data("mnist", levels=2).test.levels[:6]
    net = npx.load("mnist-fast-class")
    model, whole = mixture([net]), mixture([net], least_posterior=0)
    found = score(model, levels)
    torch.testing.assert_close(found, log_probs(model, levels), rtol=0, atol=1e-3)
    kept = (found - score(whole, levels)).abs()
    assert 0 < kept.max() < 0.01


def test_classes_that_are_left_out_keep_no_row():
    model = mixture([npx.load("mnist-fast-class")])
    levels = npx.load_data("mnist", levels=2).test.levels[:6].long().numpy()
    made = engine.prepared(model)
    with torch.inference_mode():
        block, members = engine.open_scan(made, levels, levels >= 0, levels * 0.0)
    assert members[0].rows[-1] == 60
    mixing.scan_rows(made.plan, block, members, (1.0, 2, 1.0), 0, 28)
    assert 6 <= members[0].rows[-1] < 15


@pytest.mark.parametrize("levels", [2, 5])
def test_levels_that_are_all_but_impossible_have_their_own_log_probability(levels):
    """Far below e^-700, where sums of probabilities are zero."""
    nets = [a_net(CLASSES, levels), a_net(levels=levels)]
    with torch.no_grad():
        for net in nets:
            net.last.weight.mul_(2000)
    for parts in (nets[:1], nets):
        model = mixture(parts, least_posterior=0)
        images = random_levels(model, 8)
        exact = model.log_prob(images)
        assert exact.min() < -10_000
        torch.testing.assert_close(score(model.float(), images), exact, rtol=1e-4, atol=0)


def test_a_net_without_compiled_steps_is_recomputed_and_says_so(monkeypatch):
    model = mixture([a_net(CLASSES), a_net()]).float()
    expected = npx.sample(model, 3, rng=torch.Generator().manual_seed(0))
    monkeypatch.setattr(PixelCNN, "lower", npx.PixelModel.lower)
    with pytest.warns(UserWarning, match="step engine is not used: pixelcnn has no program"):
        found = npx.sample(model, 3, rng=torch.Generator().manual_seed(0))
    assert torch.equal(found, expected)
    with pytest.raises(NextPixelError, match="mixture cannot compress: pixelcnn has no program"):
        npx.compress(model, random_levels(model, 1))


def test_the_engine_carries_out_a_mixture_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        npx.sample(mixture([a_net(CLASSES)]).float(), 2)


def test_particles_are_refused():
    model = mixture([a_net()]).float()
    levels = random_levels(model, 1)
    with pytest.raises(NextPixelError, match="particles are carried by one net, not by a mixture"):
        npx.complete(model, levels, levels > 0, method="particles")


@pytest.mark.parametrize("size", [(3, 2), (9, 11)])
def test_images_of_another_size_come_back(size):
    model = mixture([a_net(CLASSES), a_net()]).float()
    levels = torch.randint(0, 2, (3, 1, *size), generator=torch.Generator().manual_seed(0))
    assert torch.equal(npx.decompress(model, npx.compress(model, levels)).long(), levels)


def test_an_archive_of_other_weights_or_another_threshold_is_refused():
    nets = [a_net(CLASSES).float(), a_net().float()]
    model = mixture(nets)
    blob = npx.compress(model, random_levels(model, 2))
    for other in (mixture(nets[:1]), mixture(nets, least_posterior=0), mixture(nets[::-1])):
        assert fingerprint(other) != fingerprint(model)
        with pytest.raises(NextPixelError, match="the archive was made with model"):
            npx.decompress(other, blob)


# A fault that the laws must see


def test_the_audit_catches_a_posterior_that_includes_the_present_sub_pixel(monkeypatch):
    model = CASES["mix-classes"].build(3, 3)
    assert npx.audit(model).causal

    def inclusive(log_p, levels):
        seen = log_p_of(log_p, levels.expand(log_p.shape[:-1])).double()
        return seen.flatten(2).cumsum(2).view(seen.shape)

    monkeypatch.setattr(import_module("nextpixel.models.mixtures"), "past_evidence", inclusive)
    assert not npx.audit(model).causal


# What is refused


@pytest.mark.parametrize(
    ("models", "text"),
    [
        ([], "parts must be at least one net, got none"),
        ([a_net(), a_net(levels=3)], "models must have the same levels, got a pixelcnn with 2"),
        ([a_net(), a_net().float()], "models must have the same dtype"),
        ([npx.load("digits17-gated"), a_net(levels=17)], "models must have the same shape"),
        ([mixture([a_net()])], "parts must be nets, got a mixture; give its parts"),
        ([npx.load("mnist2-autoencoder")], "a class label, which is summed out, got autoencoder"),
    ],
    ids=["none", "levels", "dtype", "shape", "mixture", "condition"],
)
def test_what_cannot_be_mixed_is_refused(models, text):
    with pytest.raises(ValueError, match=text):
        mixture(models)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="models must be models, got str"):
        mixture(["mnist-fast"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"parts": []}, "parts must be at least one net, got none"),
        ({"parts": ["pixelcnn"]}, "parts must have name and options, got 'pixelcnn'"),
        ({"parts": [{"name": "pixelcnm", "options": {}}]}, "there is no model 'pixelcnm'"),
        ({"parts": [{"name": "pixelcnn", "options": {"layerz": 1}}]}, "unknown key 'layerz'"),
        ({"least_posterior": 1.0}, "least_posterior must be at least 0 and below 1, got 1.0"),
        ({"edge": False}, "edge must be left out: a mixture's parts have their own"),
    ],
)
def test_options_that_make_no_mixture_are_refused(options, text):
    parts = [{"name": "pixelcnn", "options": {}}]
    with pytest.raises(ValueError, match=text):
        npx.build("mixture", shape=SHAPE, levels=2, **{"parts": parts, **options})


def test_a_condition_is_refused():
    model = mixture([a_net(CLASSES)])
    with pytest.raises(ValueError, match="condition must be None"):
        model.log_prob(random_levels(model, 2), torch.zeros(2).long())


def test_models_are_copied_and_left_as_they_are():
    net = a_net(CLASSES).train()
    model = mixture([net])
    assert net.training
    assert not model.training
    before = model.log_prob(random_levels(net, 2))
    with torch.no_grad():
        net.last.weight.zero_()
    assert torch.equal(model.log_prob(random_levels(net, 2)), before)


def test_a_figure_says_that_the_class_was_summed_out():
    levels = random_levels(a_net(), 3)
    assert "given nothing, class summed out" in str(npx.evaluate(mixture([a_net(3)]), levels))
    assert "given" not in str(npx.evaluate(mixture([a_net()]), levels)).replace("levels given", "")


# On disk


def test_a_folder_gives_the_same_mixture_back(tmp_path):
    model = mixture([a_net(CLASSES), a_net()], least_posterior=0.01).float()
    npx.save(model, tmp_path)
    again = npx.load(tmp_path)
    assert again.config == model.config
    assert fingerprint(again) == fingerprint(model)
    levels = random_levels(model, 3)
    assert torch.equal(again.log_prob(levels), model.log_prob(levels))


NAMES = ("mnist-fast-class", "mnist-fast")


def test_a_mixture_of_shipped_models_is_kept_as_their_names(tmp_path):
    model = mixture([npx.load(name) for name in NAMES])
    npx.save(model, tmp_path, shipped=NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert fingerprint(npx.load(tmp_path)) == fingerprint(model)


def test_a_shipped_part_with_other_weights_than_were_mixed_is_refused(tmp_path):
    npx.save(mixture([npx.load(name) for name in NAMES]), tmp_path, shipped=NAMES)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["shipped"][1]["sha256"] = "0" * 64
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(NextPixelError, match="the shipped model mnist-fast has other weights"):
        npx.load(tmp_path)


@pytest.mark.parametrize("wrong", ["x", ["mnist-fast"], [{}], [{"name": "../x", "sha256": ""}]])
def test_a_damaged_list_of_shipped_parts_is_refused(tmp_path, wrong):
    npx.save(mixture([npx.load(name) for name in NAMES]), tmp_path, shipped=NAMES)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["shipped"] = wrong
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(NextPixelError, match=r"config\.json"):
        npx.load(tmp_path)


def test_names_that_a_mixture_is_not_made_of_are_refused(tmp_path):
    model = mixture([npx.load(name) for name in NAMES])
    with pytest.raises(
        ValueError, match="model must be a mixture of mnist-laptop-class, mnist-fast"
    ):
        npx.save(model, tmp_path, shipped=("mnist-laptop-class", "mnist-fast"))
    with pytest.raises(ValueError, match="there is no shipped model 'mnist-slow'"):
        npx.save(model, tmp_path, shipped=("mnist-slow",))
    assert not list(tmp_path.iterdir())


def test_a_part_whose_class_is_not_registered_is_not_saved(tmp_path):
    class Own(PixelCNN):
        name = "own-of-mixture"

    net = Own(SHAPE, 2, PixelCNN.Config(features=4, layers=1)).eval()
    model = mixture([a_net().float()])
    model.parts[0] = net
    with pytest.raises(ValueError, match="model must be of a registered class, got Own"):
        npx.save(model, tmp_path)


# The command line


def test_mix_makes_a_folder_that_other_commands_take(tmp_path, capsys):
    call = caller(tmp_path, capsys)
    status, out, _ = call("mix", "mnist-fast-class", "mnist-fast", "--out", tmp_path / "both")
    assert (status, len(out)) == (0, 1)
    assert (
        "residual-pixelcnn (10 classes summed out), residual-pixelcnn; 374,338 parameters" in out[0]
    )
    status, out, _ = call("evaluate", "both", "--limit", "2", "--json")
    assert json.loads(out[0])["given"] == "nothing, class summed out"
    status, _, _ = call("sample", "both", "--count", "2", "--out", tmp_path / "drawn.npy")
    assert status == 0
    assert call("compress", "both", tmp_path / "drawn.npy", tmp_path / "a.npx")[0] == 0
    assert call("decompress", "both", tmp_path / "a.npx", tmp_path / "back.npy")[0] == 0
    assert (tmp_path / "back.npy").read_bytes() == (tmp_path / "drawn.npy").read_bytes()


def test_mix_refers_to_shipped_models_where_asked_to(tmp_path, capsys):
    call = caller(tmp_path, capsys)
    assert call("mix", "mnist-fast-class", "--refer", "--out", tmp_path / "summed")[0] == 0
    assert [path.name for path in (tmp_path / "summed").iterdir()] == ["config.json"]
    assert checkpoint.read_config(tmp_path / "summed")["data"]["protocol"] == "dynamic"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("mnist-fast", "mnist256-fast"), "models must have the same levels"),
        (("mnist-fast", "nowhere"), "there is no model 'nowhere'"),
        (("mnist2-autoencoder",), "parts must have no condition but a class label"),
    ],
)
def test_mix_refuses_in_one_line(tmp_path, capsys, words, text):
    status, _, errors = caller(tmp_path, capsys)("mix", *words, "--out", tmp_path / "no")
    assert (status, len(errors)) == (2, 1)
    assert text in errors[0]
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [("pixelcnn", {"features": 4, "layers": 1, "orders": 8}), ("locally-masked", {"features": 4})],
)
def test_nets_of_several_orders_are_refused(name, options):
    net = npx.build(name, shape=(1, 4, 4), levels=2, **options)
    with pytest.raises(ValueError, match="parts must have the raster order only"):
        npx.mixture([net, net])
