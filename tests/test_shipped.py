"""Models in the package: each is its recipe's net, and measures what is written down of it."""

import pytest
import torch

import nextpixel as npx
from nextpixel.checkpoint import SHIPPED, read_config, shipped_names
from nextpixel.config import build
from nextpixel.data import load_config
from nextpixel.data.config import DataConfig
from nextpixel.recipes.shipped import Results, parts_of

MIB = 2**20
NAMES = shipped_names()
MIXTURES = [name for name in NAMES if parts_of(name)]
TRAINED = [name for name in NAMES if name not in MIXTURES]
FROM_FILES = {"cifar10", "fashion-mnist", "photographs"}
FOR_OWN = {"own-color", "own-gray"}  # their nets depend on the data


def test_what_issue_and_docs_promise_is_shipped():
    promised = {"mnist2-gated-class", "mnist2-autoencoder", "color-mnist-plusplus"}
    assert promised | {"digits17-gated"} <= set(NAMES)


def test_files_are_small():
    sizes = [sum(file.stat().st_size for file in (SHIPPED / name).iterdir()) for name in NAMES]
    assert max(sizes) < 2 * MIB
    assert sum(sizes) < 14 * MIB


def test_mixtures_are_shipped_without_weights():
    assert MIXTURES == ["mnist-mixture", "mnist256-mixture"]
    sizes = [file.stat().st_size for name in MIXTURES for file in (SHIPPED / name).iterdir()]
    assert sum(sizes) < 0.1 * MIB


@pytest.mark.parametrize("name", MIXTURES)
def test_a_shipped_mixture_is_better_than_each_of_its_parts_without_a_condition(name):
    """And its figure says what was summed out."""
    kept = read_config(SHIPPED / name)["evaluation"]
    assert kept["given"] == "nothing, class summed out"
    assert npx.load(name).condition_in_words == kept["given"]
    for part in parts_of(name):
        own = read_config(SHIPPED / part)["evaluation"]
        assert (own["n"], own["protocol"]) == (kept["n"], kept["protocol"])
        assert own["given"] != "nothing" or kept["nats"] < own["nats"]


@pytest.mark.parametrize("name", TRAINED)
def test_a_shipped_model_is_its_recipes_net_with_its_recorded_figure(name):
    model, recipe = npx.load(name), npx.recipes.read(name)
    assert (
        npx.models.build(
            recipe.model.name, shape=model.shape, levels=model.levels, **recipe.model.options
        ).config
        == model.config
    )
    measured, kept = Results.read().measured[name], read_config(SHIPPED / name)["evaluation"]
    assert (measured.nats, measured.n, measured.protocol) == (
        kept["nats"], kept["n"], kept["protocol"]
    )  # fmt: skip


QUICK = ("digits17-gated", "mnist4-gated")
"""Measured by the fast tests too; the others take a second or more each."""

AUDITED = ("mnist4-gated", "mnist-fast", "mnist2-gated-class", "shapes-fast")
"""Audited by the slow tests too; the others take up to a minute each."""


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES],
)
def test_a_shipped_model_measures_what_is_written_down(name):
    """On 100 test images, within four of their own standard errors of the figure for all."""
    trained = read_config(SHIPPED / name)["data"]
    if trained["name"] in FROM_FILES:
        pytest.skip(f"{trained['name']} is not shipped")
    fields = DataConfig.__dataclass_fields__
    data = load_config(build(DataConfig, {k: v for k, v in trained.items() if k in fields}))
    found = npx.evaluate(npx.load(name), data.test.take(100))
    kept = read_config(SHIPPED / name)["evaluation"]["nats"]
    assert abs(found.nats - kept) < 4 * found.standard_error


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name in AUDITED else pytest.param(name, marks=pytest.mark.long)
        for name in NAMES
        if not name.endswith("-mixture")
    ],
)
def test_a_shipped_model_is_causal(name):
    """Mixtures are made of these: what they add is audited on small ones, by tests/laws."""
    assert npx.audit(npx.load(name), probes=1).causal


@pytest.mark.slow
def test_the_parameters_written_down_are_those_of_the_nets():
    recorded = Results.read().parameters
    counted = {
        name: sum(weight.numel() for weight in npx.build_recipe(name).parameters())
        for name in recorded
        if npx.recipes.read(name).data.name not in FROM_FILES
    }
    assert recorded.keys() == set(npx.recipes.names()) - FOR_OWN
    assert {name: recorded[name] for name in counted} == counted


def test_figures_are_of_recipes_and_of_whole_test_sets():
    known = {"mnist": 10_000, "color-mnist": 10_000, "digits": 179}
    known |= {
        "fashion-mnist": 10_000,
        "shapes": 1000,
        "color-shapes": 1000,
        "photons": 400,
        "photographs": 10688,
    }
    for label, measured in Results.read().measured.items():
        assert label.split()[0] in npx.recipes.names()
        assert measured.n == known[measured.data.split("/")[0]]
        assert torch.isfinite(torch.tensor([measured.nats, measured.bits_per_dim])).all()
