"""Ways to complete an image in the playground, and the cost of completions by what is known."""

import itertools

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import redraw
from tests import playgrounds
from tests.playgrounds import array, events, image, refused, text

SHAPE = (1, 4, 4)
SMALL = {"features": 6, "blocks": 1, "first_side": 3, "side": 3, "block": "single"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    kinds = {
        "turning": ("residual-pixelcnn", {**SMALL, "orders": 8}),
        "single": ("residual-pixelcnn", SMALL),
        "labelled": ("residual-pixelcnn", {**SMALL, "condition": npx.ClassCondition(3)}),
        "any": ("locally-masked", {"features": 6, "blocks": 1}),
    }
    for name, (kind, options) in kinds.items():
        model = npx.build(kind, seed=0, shape=SHAPE, levels=2, **options)
        redraw(model, torch.Generator().manual_seed(1))
        npx.save(model, folder / name, data={})
    return {name: str(folder / name) for name in kinds}


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground(folders.values()) as client:
        yield client


def completed(client, model, known, way, count=3, **more):
    levels = torch.ones(SHAPE, dtype=torch.long)
    body = {"model": model, "count": count, "image": image(levels, 2), "known": text(known)}
    return events(client.post("/api/complete", json={**body, "way": way, **more}))[-1]


def lower_half():
    known = np.zeros(SHAPE[1:], np.uint8)
    known[2:] = 1
    return known


def test_models_state_their_ways(client):
    cards = client.get("/api/models").json()["models"]
    assert {card["name"]: card["ways"] for card in cards} == {
        "turning": ["best", "particles", "raster"],
        "single": ["particles", "raster"],
        "labelled": ["particles", "raster"],
        "any": ["best"],
    }


def test_a_way_that_a_model_lacks_is_refused(client):
    body = {"model": "single", "image": image(torch.ones(SHAPE, dtype=torch.long), 2)}
    answer = client.post("/api/complete", json={**body, "known": text(lower_half()), "way": "best"})
    refused(answer, 422, "way", "must be one of particles, raster for single", "got best")


@pytest.mark.parametrize("way", ["best", "particles", "raster"])
def test_the_known_part_is_kept_in_every_way(client, way):
    done = completed(client, "turning", lower_half(), way)
    assert (array(done["images"])[:, :, 2:] == 1).all()


@pytest.mark.parametrize("name", ["turning", "any"])
def test_an_order_that_begins_with_what_is_known_states_the_cost(client, folders, name):
    known = lower_half()
    done = completed(client, name, known, "best")
    mask = torch.from_numpy(known).bool()
    drawn = torch.from_numpy(array(done["images"]).copy()).long()
    expected = npx.log_prob_of(npx.load(folders[name]), drawn, ~mask, given=mask)
    assert expected.is_exact
    assert done["nats_given"] == pytest.approx((-expected.nats).tolist(), rel=1e-5)
    assert done["nats_given_error"] == 0


def test_else_it_is_estimated_and_near_the_sum_over_all_images(client, folders):
    known = lower_half()
    done = completed(client, "single", known, "raster", seed=4)
    model = npx.load(folders["single"])
    halves = torch.tensor(list(itertools.product((0, 1), repeat=8))).reshape(-1, 1, 2, 4)
    every = torch.cat([halves, torch.ones_like(halves)], 2)
    drawn = torch.from_numpy(array(done["images"]).copy()).long()
    exact = model.log_prob(every).double().logsumexp(0) - model.log_prob(drawn).double()
    allowed = 5 * done["nats_given_error"] + 1e-6
    assert 0 < done["nats_given_error"] < 0.5
    assert done["nats_given"] == pytest.approx(exact.tolist(), abs=allowed)


def test_no_cost_is_stated_where_completions_have_several_classes(client):
    several = completed(client, "labelled", lower_half(), "raster")
    assert several["nats_given"] is None
    one = completed(client, "labelled", lower_half(), "raster", label=2)
    assert len(one["nats_given"]) == 3


def test_particles_draw_few_and_a_client_that_leaves_ends_them(client):
    body = {"model": "single", "image": image(torch.ones(SHAPE, dtype=torch.long), 2)}
    body |= {"known": text(lower_half()), "way": "particles"}
    answer = client.post("/api/complete", json={**body, "count": 13})
    refused(answer, 422, "count", "must be at most 12 by particles")
    sent = events(client.post("/api/complete", json={**body, "count": 3}))
    assert [event["done"] for event in sent if event["event"] == "part"] == [0, 1, 2]


def test_many_completions_are_not_weighed(client):
    done = completed(client, "single", lower_half(), "raster", count=13)
    assert done["nats_given"] is None
