"""What needs a model: sampling, completing, scoring; the same as the library does."""

import math

import numpy as np
import pytest
import torch

import nextpixel as npx
from tests import playgrounds
from tests.playgrounds import array, events, image, raw, refused, text


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return playgrounds.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground(folders.values()) as client:
        yield client


def levels_of(name, count=1, seed=5):
    kind = playgrounds.KINDS[name]
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, kind["levels"], (count, *kind["shape"]), generator=rng)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# Sampling


@pytest.mark.parametrize("name", ["plain", "color", "deep"])
def test_a_stream_sends_every_row_and_ends_in_what_the_library_draws(client, folders, name):
    kind = playgrounds.KINDS[name]
    shape = [3, *kind["shape"]]
    sent = events(client.post("/api/sample", json={"model": name, "count": 3, "seed": 11}))
    expected = npx.sample(npx.load(folders[name]), 3, rng=seeded(11)).numpy()
    kinds = [event["event"] for event in sent if event["event"] != "queued"]
    assert kinds == ["start", *["row"] * shape[2], "done"]
    start = next(event for event in sent if event["event"] == "start")
    assert (start["shape"], start["levels"]) == (shape, kind["levels"])
    rows = [event for event in sent if event["event"] == "row"]
    assert [row["row"] for row in rows] == list(range(shape[2]))
    drawn = [raw(row["data"], [*shape[:2], 1, shape[3]]) for row in rows]
    assert np.array_equal(np.concatenate(drawn, 2), expected)
    assert np.array_equal(array(sent[-1]["images"]), expected)


def test_the_nats_of_a_sample_are_those_of_the_library(client, folders):
    done = events(client.post("/api/sample", json={"model": "color", "count": 2, "seed": 3}))[-1]
    model = npx.load(folders["color"])
    expected = -model.log_prob(torch.from_numpy(array(done["images"]).copy())).double()
    assert done["nats"] == pytest.approx(expected.tolist(), rel=1e-6)
    dims = math.log(2) * math.prod(model.shape)
    assert done["bits_per_dim"] == pytest.approx((expected / dims).tolist(), rel=1e-6)
    assert done["seconds"] >= 0


def test_truncation_is_the_librarys(client, folders):
    options = {"temperature": 0.5, "top_k": 9, "top_p": 0.7}
    asked = {"model": "deep", "count": 2, "seed": 8, **options}
    done = events(client.post("/api/sample", json=asked))[-1]
    expected = npx.sample(npx.load(folders["deep"]), 2, rng=seeded(8), **options)
    assert np.array_equal(array(done["images"]), expected.numpy())


@pytest.mark.parametrize(("label", "labels"), [(None, [0, 1, 2, 0]), (2, [2, 2, 2, 2])])
def test_labels_are_those_that_the_command_line_takes(client, folders, label, labels):
    asked = {"model": "labelled", "count": 4, "label": label, "seed": 1}
    done = events(client.post("/api/sample", json=asked))[-1]
    model = npx.load(folders["labelled"])
    expected = npx.sample(model, 4, rng=seeded(1), condition=torch.tensor(labels))
    assert np.array_equal(array(done["images"]), expected.numpy())


def test_an_autoencoder_draws_from_the_codes_of_test_images(client, folders):
    done = events(client.post("/api/sample", json={"model": "autoencoder", "count": 2, "seed": 4}))[
        -1
    ]
    model = npx.load(folders["autoencoder"])
    test = npx.load_data("digits").test.levels[:2]
    with torch.inference_mode():
        codes = model.own_condition(test)
    expected = npx.sample(model, 2, rng=seeded(4), condition=codes)
    assert np.array_equal(array(done["images"]), expected.numpy())


@pytest.mark.parametrize(
    ("change", "status", "field", "words"),
    [
        ({"model": "plian"}, 404, "model", ["did you mean 'plain'"]),
        ({"model": "mapped"}, 422, "model", ["cannot be used here"]),
        ({"count": 0}, 422, "count", ["at least 1"]),
        ({"count": 101}, 422, "count", ["100"]),
        ({"count": "2"}, 422, "count", ["a whole number"]),
        ({"count": True}, 422, "count", ["a whole number"]),
        ({"temperature": 0}, 422, "temperature", ["0.01"]),
        ({"temperature": 1e9}, 422, "temperature", ["100"]),
        ({"top_k": 0}, 422, "top_k", ["1"]),
        ({"top_k": 257}, 422, "top_k", ["256"]),
        ({"top_p": 0}, 422, "top_p", ["more than 0"]),
        ({"seed": -1}, 422, "seed", ["0"]),
        ({"seed": 2**63}, 422, "seed", ["at most"]),
        ({"label": 1}, 422, "label", ["must be left out"]),
        ({"model": "labelled", "label": 3}, 422, "label", ["0..2, got 3"]),
        ({"model": "labelled", "label": -1}, 422, "label", ["0..2, got -1"]),
        ({"colour": 1}, 422, "colour", ["leave it out"]),
    ],
    ids=str,
)
def test_a_wrong_drawing_is_refused_with_its_field(client, change, status, field, words):
    response = client.post("/api/sample", json={"model": "plain", **change})
    refused(response, status, field, *words)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": NaN}', b"\xff\xfe"])
def test_a_body_that_is_no_request_is_refused(client, body):
    headers = {"Content-Type": "application/json"}
    response = client.post("/api/sample", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.json()["detail"]


def test_not_a_number_is_refused(client):
    headers = {"Content-Type": "application/json"}
    body = b'{"model": "plain", "temperature": NaN}'
    response = client.post("/api/sample", content=body, headers=headers)
    refused(response, 422, "temperature", "finite")


# Completion


def test_completion_keeps_what_is_known_and_draws_what_the_library_draws(client, folders):
    levels, known = levels_of("color"), torch.zeros(4, 4, dtype=torch.bool)
    known[:2], known[3, 1] = True, True
    asked = {
        "model": "color",
        "image": image(levels[0], 4),
        "known": text(known.numpy()),
        "count": 3,
        "seed": 2,
    }
    done = events(client.post("/api/complete", json=asked))[-1]
    made = array(done["images"])
    model = npx.load(folders["color"])
    expected = npx.complete(model, levels.expand(3, -1, -1, -1), known, rng=seeded(2))
    assert np.array_equal(made, expected.numpy())
    assert np.array_equal(made[:, :, known], levels.numpy()[:, :, known].repeat(3, 0))


def test_the_nats_of_the_parts_add_up(client):
    known = np.eye(6, 5, dtype=np.uint8)
    asked = {"model": "plain", "image": image(levels_of("plain")[0], 2), "known": text(known)}
    done = events(client.post("/api/complete", json={**asked, "count": 2}))[-1]
    parts = np.add(done["nats_known"], done["nats_filled"])
    assert parts == pytest.approx(done["nats"], rel=1e-9)
    whole = {**asked, "known": text(np.ones((6, 5))), "count": 1}
    kept = events(client.post("/api/complete", json=whole))[-1]
    assert kept["nats_filled"] == [0]
    assert kept["images"]["data"] == asked["image"]["data"]


def test_an_autoencoder_completes_from_the_code_of_the_known_pixels(client, folders):
    levels, known = torch.randint(0, 17, (1, 1, 8, 8), generator=seeded(0)), np.ones((8, 8), bool)
    known[4:] = False
    asked = {"model": "autoencoder", "image": image(levels[0], 17), "known": text(known), "seed": 3}
    done = events(client.post("/api/complete", json=asked))[-1]
    model, mask = npx.load(folders["autoencoder"]), torch.from_numpy(known)
    with torch.no_grad():
        code = model.own_condition(levels * mask)
        expected = npx.complete(model, levels, mask, rng=seeded(3), condition=code)
        nats = -model(expected.long(), code).log_prob(expected.long()).double() * ~mask
    assert np.array_equal(array(done["images"]), expected.numpy())
    assert done["nats_filled"] == pytest.approx([nats.sum().item()], rel=1e-6)


@pytest.mark.parametrize("name", ["forgetful", "autoencoder"])
def test_a_completion_depends_on_no_erased_pixel(client, name):
    levels, known = torch.randint(0, 17, (2, 1, 8, 8), generator=seeded(1)), np.zeros((8, 8))
    known[:4] = 1
    levels[1, :, :4] = levels[0, :, :4]  # images that differ in their erased halves only
    asked = {"model": name, "known": text(known), "count": 2, "seed": 5}
    first, other = (
        events(client.post("/api/complete", json={**asked, "image": image(each, 17)}))[-1]
        for each in levels
    )
    same = ("images", "nats", "nats_known", "nats_filled")
    assert [first[key] for key in same] == [other[key] for key in same]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"model": "mapped"}, "model", ["cannot be used here"]),
        ({"label": 1}, "label", ["must be left out"]),
        ({"known": text(np.ones((6, 6)))}, "known", ["6 x 5 bytes, got 36"]),
        ({"known": text(np.full((6, 5), 2))}, "known", ["0..1, got 2"]),
        ({"known": "%%%"}, "known", ["base64"]),
        ({"known": "Grüße"}, "known", ["base64"]),
        ({"image": image(np.zeros((1, 5, 6)), 2)}, "image.shape", ["[1, 6, 5]"]),
        ({"image": image(np.zeros((1, 6, 5)), 4)}, "image.levels", ["must be 2"]),
        ({"image": {"shape": [1, 6, 5], "levels": 257, "data": ""}}, "image.levels", ["256"]),
        ({"image": {"shape": [1, 6, 513], "levels": 2, "data": ""}}, "image.shape.2", ["512"]),
        ({"image": image(np.full((1, 6, 5), 2), 2)}, "image.data", ["0..1, got 2"]),
        ({"image": {**image(np.zeros((1, 6, 5)), 2), "shape": [1, 6]}}, "image.shape", []),
        ({"image": {"shape": [1, 6, 5], "levels": 2}}, "image.data", ["must be given"]),
        ({"image": None}, "image", []),
    ],
    ids=str,
)
def test_a_wrong_completion_is_refused_with_its_field(client, change, field, words):
    whole = {
        "model": "plain",
        "image": image(np.zeros((1, 6, 5)), 2),
        "known": text(np.ones((6, 5))),
    }
    refused(client.post("/api/complete", json={**whole, **change}), 422, field, *words)


# Scores


@pytest.mark.parametrize(("name", "label"), [("color", None), ("labelled", 1), ("forgetful", None)])
def test_the_bits_of_an_image_are_those_of_the_library(client, folders, name, label):
    levels, kind = levels_of(name), playgrounds.KINDS[name]
    asked = {"model": name, "image": image(levels[0], kind["levels"]), "label": label}
    found = client.post("/api/score", json=asked).json()
    model = npx.load(folders[name])
    condition = {"color": None, "labelled": torch.tensor([1]), "forgetful": torch.tensor([-1])}[
        name
    ]
    expected = -model(levels, condition).log_prob(levels).double() / math.log(2)
    bits = raw(found["bits"], kind["shape"], "<f4")
    assert bits == pytest.approx(expected[0].detach().numpy(), rel=1e-6, abs=1e-9)
    assert found["total_bits"] == pytest.approx(expected.sum().item())
    assert found["nats"] == pytest.approx(expected.sum().item() * math.log(2))
    assert found["bits_per_dim"] == pytest.approx(expected.mean().item())


def test_the_raw_bytes_are_levels_in_whole_bits_and_png_is_a_real_one(client):
    asked = {"model": "plain", "image": image(np.zeros((1, 6, 5)), 2)}
    found = client.post("/api/score", json=asked).json()
    assert found["raw_bytes"] == 4
    assert 57 < found["png_bytes"] < 100


def test_a_model_with_a_condition_that_no_page_can_give_is_not_scored(client):
    asked = {"model": "mapped", "image": image(np.zeros((1, 6, 5)), 2)}
    refused(client.post("/api/score", json=asked), 422, "model", "cannot be used here")


def test_a_score_under_a_class_needs_one(client):
    asked = {"model": "labelled", "image": image(np.zeros((1, 6, 5)), 2)}
    refused(client.post("/api/score", json=asked), 422, "label", "must be given", "0..2")


# A model that cannot be loaded


def test_a_damaged_model_is_refused_without_its_folder(tmp_path, capsys):
    folders = playgrounds.make_models(tmp_path)
    (tmp_path / "plain" / "model.safetensors").write_bytes(b"no weights")
    with playgrounds.playground([folders["plain"]]) as client:
        last = events(client.post("/api/sample", json={"model": "plain"}))[-1]
        asked = {"model": "plain", "image": image(np.zeros((1, 6, 5)), 2)}
        refused(client.post("/api/score", json=asked), 500, "model", "cannot be loaded")
    assert last["event"] == "error"
    assert "cannot be loaded" in last["message"]
    assert str(tmp_path) not in last["message"]
    assert str(tmp_path) in capsys.readouterr().err
