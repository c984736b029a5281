"""Look inside: a whole image's predictions and all receptive fields, each computed once."""

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.order import Step
from nextpixel.playground import jobs
from nextpixel.playground.answers import Answers
from nextpixel.playground.job_queue import ClientLeft, Job, JobQueue
from nextpixel.playground.refusals import Refusal
from tests import playgrounds
from tests.playgrounds import image, raw, refused

BLANK = image(np.zeros((1, 6, 5)), 2)
LABELS = {"labelled": 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    order = npx.build("locally-masked", shape=(1, 6, 5), levels=2, seed=0, features=6, blocks=1)
    npx.save(order, folder / "ordered")
    return {**playgrounds.make_models(folder), "ordered": str(folder / "ordered")}


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground(folders.values()) as client:
        yield client


def levels_of(model, seed=5):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.levels, (1, *model.shape), generator=rng)


def inspect(client, name, levels, **more):
    kind = int(playgrounds.KINDS.get(name, {"levels": 2})["levels"])
    asked = {"model": name, "image": image(levels[0], kind), **more}
    response = client.post("/api/inspect", json=asked)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("name", ["plain", "deep", "color", "labelled"])
def test_the_distributions_of_all_pixels_are_the_librarys(client, folders, name):
    model, label = npx.load(folders[name]), LABELS.get(name)
    levels, condition = levels_of(model), None if label is None else torch.tensor([label])
    found = inspect(client, name, levels, label=label)
    with torch.inference_mode():
        predicted = model(levels, condition)
    probabilities = raw(found["probabilities"], found["shape"], "<f4")
    assert found["shape"] == [*model.shape, model.levels]
    expected = predicted.logits[0].double().softmax(-1).numpy()
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6, atol=1e-38)
    bits = raw(found["bits"], model.shape, "<f4")
    expected = -predicted.log_prob(levels)[0].double().numpy() / math.log(2)
    np.testing.assert_allclose(bits, expected, rtol=1e-6, atol=1e-9)
    total = -model.log_prob(levels, condition).double().item()
    assert found["total_bits"] * math.log(2) == pytest.approx(total, rel=1e-6)


def test_each_pixels_distribution_is_what_the_sampler_draws_from(client, folders):
    model = npx.load(folders["plain"])
    levels = levels_of(model)
    found = inspect(client, "plain", levels)
    probabilities = raw(found["probabilities"], found["shape"], "<f4")[0].reshape(-1, 2)
    for pixel in range(30):
        past = levels.flatten().clone()
        past[pixel:] = 0  # what is not drawn yet
        step = model(past.view(1, 1, 6, 5)).logits.exp()[0, 0].view(-1, 2)[pixel]
        np.testing.assert_allclose(probabilities[pixel], step.detach(), rtol=1e-5)


def test_one_pixel_is_a_part_of_the_whole(client, folders):
    levels = levels_of(npx.load(folders["color"]))
    whole, one = (inspect(client, "color", levels, **at) for at in ({}, {"row": 2, "column": 1}))
    all_pixels = raw(whole["probabilities"], whole["shape"], "<f4")
    pixel = raw(one["probabilities"], one["shape"], "<f4")
    assert (one["row"], one["column"], one["shape"]) == (2, 1, [3, 1, 1, 4])
    np.testing.assert_array_equal(pixel, all_pixels[:, 2:3, 1:2])
    assert one["bits"] == whole["bits"]


def fields_of(client, name, **place):
    found = client.get(f"/api/models/{name}/fields", params=place).json()
    bits = raw(found["fields"], (found["pixels"], -1))
    return np.unpackbits(bits, axis=1), found["indices"]


@pytest.mark.parametrize("name", ["plain", "color", "autoencoder", "ordered"])
def test_the_fields_of_all_pixels_are_what_the_audit_finds_pixel_by_pixel(client, folders, name):
    model = npx.load(folders[name])
    colors, height, width = model.shape
    size = height * width
    fields, indices = fields_of(client, name)
    assert fields.shape == (size, -(-size // 8) * 8)
    for pixel in range(size):
        step = Step(*divmod(pixel, width), colors - 1)
        wanted = field_of(model, step, probes=6).any(0).flatten().numpy()
        np.testing.assert_array_equal(fields[pixel, :size], wanted)
    one, _ = fields_of(client, name, row=1, column=2)
    np.testing.assert_array_equal(one[0], fields[width + 2])
    if name == "ordered":
        order = model.read_order(None).numpy()
        np.testing.assert_array_equal(raw(indices, order.shape, "<u4"), order)
    else:
        assert indices is None


def test_a_model_without_a_program_is_asked_by_derivatives(folders, monkeypatch):
    wanted = jobs._fields(npx.load(folders["color"]))
    model = npx.load(folders["color"])
    monkeypatch.setattr(type(model), "lower", npx.PixelModel.lower)
    np.testing.assert_array_equal(jobs._fields(model), wanted)


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"row": 6, "column": 0}, 422, "row"),
        ({"row": 0, "column": 5}, 422, "column"),
        ({"row": 0}, 422, "column"),
        ({"column": 0}, 422, "row"),
        ({"row": -1, "column": 0}, 422, "row"),
        ({"model": "color"}, 422, "image.shape"),
        ({"model": "deep"}, 422, "image.levels"),
        ({"model": "labelled"}, 422, "label"),
        ({"label": 1}, 422, "label"),
        ({"model": "none"}, 404, "model"),
        ({"model": "mapped"}, 422, "model"),
        ({"models": ["plain"]}, 422, "models"),
    ],
    ids=str,
)
def test_a_wrong_inspection_is_refused_with_its_field(client, change, status, field):
    asked = {"model": "plain", "image": BLANK, **change}
    refused(client.post("/api/inspect", json=asked), status, field)


@pytest.mark.parametrize(
    ("address", "status", "field"),
    [("none/fields", 404, "model"), ("mapped/fields", 422, "model"),
     ("plain/fields?row=1", 422, "column"), ("plain/fields?row=6&column=0", 422, "row"),
     ("plain/fields?row=x&column=0", 422, "row")],
)  # fmt: skip
def test_wrong_fields_are_refused(client, address, status, field):
    refused(client.get(f"/api/models/{address}"), status, field)


def test_large_images_are_asked_for_pixel_by_pixel(folders):
    with playgrounds.playground([folders["plain"]], distributions=59, field_pixels=29) as client:
        asked = {"model": "plain", "image": BLANK}
        refused(client.post("/api/inspect", json=asked), 422, "row", "large")
        refused(client.get("/api/models/plain/fields"), 422, "row", "large")
        place = {"row": 5, "column": 4}
        assert client.post("/api/inspect", json={**asked, **place}).status_code == 200
        assert client.get("/api/models/plain/fields", params=place).status_code == 200


# A class that looks at one image


def test_a_class_that_sees_one_image_costs_one_computation(folders, monkeypatch):
    made, held, begun = [], threading.Event(), threading.Event()
    inner = jobs.inspect

    def counted(*arguments):
        work = inner(*arguments)

        def held_work(job):
            begun.set()
            assert held.wait(30)
            made.append(arguments[1].name)
            return work(job)

        return held_work

    monkeypatch.setattr(jobs, "inspect", counted)
    with playgrounds.served([folders["plain"], folders["color"]], waiting=1) as (home, _):
        ask = {"model": "plain", "image": BLANK}
        with ThreadPoolExecutor(30) as crowd:
            answers = [crowd.submit(post, home, ask) for _ in range(30)]
            assert begun.wait(30)
            held.set()
            found = [answer.result() for answer in answers]
        assert {status for status, _ in found} == {200}
        assert len({content for _, content in found}) == 1
        assert made == ["plain"]
        assert post(home, ask) == found[0]
        assert made == ["plain"]
        other = image(np.ones((1, 6, 5)), 2)
        assert post(home, {**ask, "image": other})[0] == 200
        assert made == ["plain", "plain"]


def post(home, body):
    import httpx

    answer = httpx.post(f"{home}api/inspect", json=body, timeout=30)
    return answer.status_code, answer.content


class Reader:
    """A client that leaves when the test says so."""

    def __init__(self):
        self.leaves = asyncio.Event()

    async def receive(self):
        await self.leaves.wait()
        return {"type": "http.disconnect"}


def run(steps):
    """Run steps with answers of a queue of one place, and end both."""

    async def body():
        queue = JobQueue(4)
        queue.open()
        try:
            await asyncio.wait_for(steps(Answers(queue, limit=100)), 30)
        finally:
            queue.close()

    asyncio.run(body())


def test_one_who_leaves_does_not_take_the_answer_from_another():
    begun, held = threading.Event(), threading.Event()

    def work(job: Job):
        begun.set()
        assert held.wait(30)
        job.send({"event": "start"})
        return {"event": "done", "it": 1}

    async def steps(answers):
        readers = [Reader(), Reader()]
        first, second = (asyncio.create_task(answers.get("a", work, r)) for r in readers)
        await asyncio.to_thread(begun.wait)
        readers[0].leaves.set()
        with pytest.raises(ClientLeft):
            await first
        held.set()
        assert await second == b'{"it": 1}'

    run(steps)


def test_when_all_have_left_the_job_ends_and_may_be_asked_for_anew():
    begun, held, ended = threading.Event(), threading.Event(), []

    def work(job: Job):
        begun.set()
        assert held.wait(30)
        ended.append(job.cancelled)
        job.send({"event": "start"})
        return {"event": "done", "it": len(ended)}

    async def steps(answers):
        reader = Reader()
        first = asyncio.create_task(answers.get("a", work, reader))
        await asyncio.to_thread(begun.wait)
        reader.leaves.set()
        await asyncio.wait([first])
        held.set()
        assert await answers.get("a", work, Reader()) == b'{"it": 2}'
        assert ended == [True, False]

    run(steps)


def test_a_refusal_is_for_all_and_not_kept():
    tries = []

    def work(_: Job):
        tries.append(1)
        if len(tries) == 1:
            raise Refusal("no", "row", status=422)
        return {"event": "done", "it": 1}

    async def steps(answers):
        with pytest.raises(Refusal, match="no"):
            await answers.get("a", work, Reader())
        assert await answers.get("a", work, Reader()) == b'{"it": 1}'

    run(steps)


def test_answers_asked_for_last_are_kept():
    made = []

    def work_of(name):
        def work(_: Job):
            made.append(name)
            return {"event": "done", "it": "x" * 40}

        return work

    async def steps(answers):
        for name in "abacab":
            await answers.get(name, work_of(name), Reader())
        assert made == ["a", "b", "c", "b"]

    run(steps)
