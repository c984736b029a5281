"""Trainings that are watched: what learns, who may train when, and that nobody waits for them."""

import asyncio
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import nextpixel as npx
from tests import playgrounds
from tests.playgrounds import array, events, raw, refused

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")

from anyio import CapacityLimiter

from nextpixel.audit import field_of
from nextpixel.likelihood import log_probs
from nextpixel.models import GatedPixelCNN, PixelCNN
from nextpixel.playground import learner as learning
from nextpixel.playground import training as trainings
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.job_queue import Job
from nextpixel.playground.refusals import Refusal
from nextpixel.playground.schemas import LIMITS, TrainIn
from nextpixel.playground.server import AppState
from nextpixel.playground.training import Training, TrainingStream
from nextpixel.runtime.distributed import Processes
from nextpixel.training.update import Updates

SECONDS = 60
ANN, BEN, EVE = "visitor-ann", "visitor-ben", "visitor-eve"
QUICK = {"gated": False, "side": 3, "features": 4}
FLAT = 14 * 14 * math.log(2)
LEFT = {"type": "http.disconnect"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folders = playgrounds.make_models(tmp_path_factory.mktemp("models"))
    with playgrounds.playground([folders["plain"]]) as client:
        yield client


def train(client, **asked):
    return events(client.post("/api/train", json={"visitor": ANN, **QUICK, **asked}))


# What learns


def test_a_training_sends_the_net_then_reports_and_its_surprise_falls(client):
    sent = train(client, updates=60, seed=3)
    kinds = [event["event"] for event in sent]
    assert kinds == ["start", *["report"] * (len(sent) - 2), "done"]
    reports = sent[1:-1]
    steps, times = ([event[key] for event in reports] for key in ("step", "seconds"))
    assert (steps[0], steps[-1]) == (0, 60)
    assert (steps, times) == (sorted(set(steps)), sorted(set(times)))
    assert reports[0]["train_nats"] is None
    assert reports[0]["held_out_nats"] == pytest.approx(FLAT, rel=1e-5)
    assert reports[-1]["held_out_nats"] < 0.7 * FLAT
    assert reports[-1]["train_nats"] < 0.95 * FLAT  # the mean of all, where it was but one report
    assert sent[-1]["step"] == 60


@pytest.mark.parametrize("classes", [False, True])
def test_what_is_reported_is_what_the_library_makes_of_the_same_seed(client, classes):
    sent = train(client, updates=12, seed=7, classes=classes)
    data, labels = learning.digits(), torch.arange(20) % 10 if classes else None
    condition = {"condition": npx.ClassCondition(10)} if classes else {}
    model = npx.build(
        "pixelcnn", shape=(1, 14, 14), levels=2, seed=7, layers=3, features=4, side=3, **condition
    )
    config = npx.TrainConfig(seed=7, **learning.CONFIG)
    updates = Updates(model, data.train, config, Processes(), model.condition_of)
    nats = []
    for _ in range(12):
        updates.make(0.0)
        nats.append(updates.means()[0])
    held_out = data.validation
    own = held_out.labels if classes else None
    expected = -log_probs(model, held_out, own).mean().item()
    drawn = npx.sample(model, 20, rng=torch.Generator().manual_seed(7), condition=labels)
    assert sent[-2]["held_out_nats"] == pytest.approx(expected, rel=1e-9)
    assert np.array_equal(array(sent[-2]["samples"]), drawn.numpy())
    assert sent[0]["labels"] == (labels.tolist() if classes else None)
    assert sent[0]["parameters"] == sum(weights.numel() for weights in model.parameters())
    assert min(nats) <= sent[-2]["train_nats"] <= max(nats)


def test_untrained_samples_are_those_of_the_first_report(client):
    sent = train(client, updates=0)
    assert [event["event"] for event in sent] == ["start", "report", "done"]
    assert sent[0]["samples"] == sent[1]["samples"]
    assert not raw(sent[1]["influence"], (14, 14), "<f4").any()
    assert client.get("/api/queue").json()["waiting"] == 0


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "plain"])
@pytest.mark.parametrize("side", [3, 5, 7])
def test_a_net_in_training_is_the_librarys_and_sees_no_later_pixel(gated, side):
    asked = TrainIn(visitor=ANN, gated=gated, side=side, features=8, updates=2)
    net = learning.Learner(asked, learning.build(asked), learning.digits(), 60.0)
    net.learn(60.0, 0.0, lambda: False)
    assert type(net.model) is (GatedPixelCNN if gated else PixelCNN)
    found = npx.audit(net.model, probes=1)
    assert found.causal
    assert bool(found.blind(learning.MIDDLE).any()) is not gated
    shown = raw(learning.describe(asked, net.model)["receptive_field"], (14, 14))
    found = field_of(learning.build(asked), learning.MIDDLE, probes=40)[0].numpy()
    assert np.array_equal(shown, found)
    influence = raw(net.report()["influence"], (14, 14), "<f4")
    assert influence.any()
    assert not influence[shown == 0].any()


def test_the_digits_are_mnists_at_half_its_size():
    data, whole = learning.digits(), npx.load_data("mnist").test
    assert (len(data.train), len(data.validation)) == (20_000, 100)
    means = whole.levels[:100].double().view(100, 1, 14, 2, 14, 2).mean((3, 5))
    assert torch.equal(data.test.levels.bool(), means >= 110)
    assert torch.equal(data.test.labels, whole.labels[:100])


@pytest.mark.parametrize(
    ("most", "least", "others", "made"),
    [(60.0, 0.0, True, 1), (0.0, 0.0, False, 1), (60.0, 60.0, True, 5), (60.0, 0.0, False, 5)],
)
def test_a_turn_ends_early_where_others_wait(most, least, others, made):
    asked = TrainIn(visitor=ANN, **QUICK, updates=5)
    net = learning.Learner(asked, learning.build(asked), learning.digits(), 600.0)
    net.learn(most, least, lambda: others)
    assert net.updates.step == made


def test_a_training_ends_when_its_time_is_used(tmp_path):
    folders = playgrounds.make_models(tmp_path)
    with playgrounds.playground([folders["plain"]], train_seconds=0.001) as client:
        sent = train(client)
    assert sent[-1]["event"] == "done"
    assert 0 < sent[-1]["step"] < LIMITS.train_updates
    assert sent[-1]["seconds"] >= 0.001


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"side": 4}, "side", ["3, 5 or 7"]),
        ({"features": 1}, "features", ["2"]),
        ({"features": 33}, "features", ["32"]),
        ({"gated": "yes"}, "gated", ["true or false"]),
        ({"classes": 1}, "classes", ["true or false"]),
        ({"updates": -1}, "updates", ["0"]),
        ({"updates": 10_001}, "updates", ["10000"]),
        ({"seed": -1}, "seed", ["0"]),
        ({"visitor": "short"}, "visitor", ["8"]),
        ({"visitor": None}, "visitor", []),
        ({"layers": 9}, "layers", ["leave it out"]),
    ],
    ids=str,
)
def test_a_wrong_training_is_refused_with_its_field(client, change, field, words):
    asked = {"visitor": ANN, **QUICK, **change}
    refused(client.post("/api/train", json=asked), 422, field, *words)


def test_there_is_nothing_to_go_on_with_before_a_training(client):
    response = client.post("/api/train/resume", json={"visitor": EVE})
    refused(response, 404, "visitor", "no paused training", "5 minutes")


# Whose turn it is


class Page:
    """A page that listens to a training, as the server sees it."""

    def __init__(self, state, training):
        self.lines, self.news, self.gone = [], asyncio.Event(), asyncio.Event()
        self.stream = TrainingStream(state, training)
        self.task = asyncio.create_task(self.stream({}, self.receive, self.send))

    async def receive(self):
        await self.gone.wait()
        return LEFT

    async def send(self, message):
        self.lines += [json.loads(line) for line in message.get("body", b"").splitlines()]
        self.news.set()

    async def until(self, event, count=1):
        """Wait for so many events of a kind; the last one."""
        while len(found := [line for line in self.lines if line["event"] == event]) < count:
            assert not self.task.done(), self.lines[-1:]
            self.news.clear()
            await self.news.wait()
        return found[-1]

    async def leave(self):
        self.gone.set()
        await self.task

    async def end(self):
        """Wait for the end of the stream; its last event."""
        await self.task
        return self.lines[-1]


class Visitors:
    """Visitors of one server."""

    def __init__(self, **limits):
        self.state = AppState(Catalog(["mnist2-gated"]), replace(LIMITS, **limits))
        self.state.file_threads = CapacityLimiter(1)
        self.state.queue.open()

    def begin(self, visitor, **asked):
        whole = TrainIn(visitor=visitor, **{**QUICK, **asked})
        return Page(self.state, self.state.trainings.begin(whole))

    def resume(self, visitor):
        return Page(self.state, self.state.trainings.find(visitor))

    @property
    def counts(self):
        found = self.state.trainings.state()
        return found["running"], found["paused"]

    def block(self):
        """Occupy the engine until the function that it returns is called."""
        go = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(_):
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(SECONDS)
            return {"event": "done"}

        self.state.queue.submit(Job(wait))
        return go.set


def with_visitors(test, **limits):
    """Run an asynchronous test with a server's state, which is closed after it."""

    async def run():
        visitors = Visitors(**limits)
        try:
            await asyncio.wait_for(test(visitors), SECONDS)
        finally:
            visitors.state.queue.close()
            assert visitors.state.queue.join(SECONDS)

    asyncio.run(run())


def test_a_training_that_is_paused_makes_no_update_and_goes_on_as_if_it_never_was(monkeypatch):
    monkeypatch.setattr(trainings, "TURN", 0.01)
    monkeypatch.setattr(learning, "REPORT_EVERY", 0.01)

    async def test(visitors):
        asked = {"updates": 100, "seed": 5}
        page = visitors.begin(ANN, **asked)
        await page.until("report", 2)
        await page.leave()
        assert visitors.counts == (0, 1)
        assert visitors.state.streams.open == 0
        idle = Job(lambda _: {"event": "done"})
        visitors.state.queue.submit(idle)  # the turn that was under way is over when this is done
        while (await idle.next())["event"] != "done":
            pass
        net = visitors.state.trainings.find(ANN).learner
        paused_at = net.updates.step
        await asyncio.sleep(0.1)
        assert net.updates.step == paused_at < 100
        again = visitors.resume(ANN)
        assert (await again.end())["event"] == "done"
        assert [line["event"] for line in again.lines[:1]] == ["report"]
        assert again.lines[0]["step"] == paused_at
        whole = visitors.begin(BEN, **asked)
        await whole.end()
        same = ("step", "held_out_nats", "samples", "influence")
        last, expected = again.lines[-2], whole.lines[-2]
        assert [last[key] for key in same] == [expected[key] for key in same]
        assert visitors.counts == (0, 0)

    with_visitors(test)


def test_a_pause_ends_after_a_while():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.until("report")
        await page.leave()
        while visitors.counts != (0, 0):
            await asyncio.sleep(0.01)
        with pytest.raises(Refusal, match="no paused training"):
            visitors.resume(ANN)

    with_visitors(test, train_pause_seconds=0.05)


def test_of_too_many_paused_trainings_the_oldest_is_dropped():
    async def test(visitors):
        for visitor in (ANN, BEN):
            page = visitors.begin(visitor)
            await page.until("report")
            await page.leave()
        assert visitors.counts == (0, 1)
        with pytest.raises(Refusal, match="no paused training"):
            visitors.resume(ANN)
        await visitors.resume(BEN).leave()

    with_visitors(test, train_paused=1)


def test_a_net_without_its_digits_yet_is_not_kept():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.leave()
        assert visitors.counts == (0, 0)

    with_visitors(test)


def test_more_trainings_than_there_are_places_are_refused_with_the_time_to_wait():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.until("report")
        with pytest.raises(Refusal, match="1 other visitor trains a net now") as found:
            visitors.begin(BEN)
        assert found.value.status == 503
        assert 2 <= int(found.value.headers["Retry-After"]) <= 60
        shown = visitors.begin(BEN, updates=0)  # what is not trained takes no place
        assert (await shown.end())["event"] == "done"
        await page.leave()
        other = visitors.begin(BEN)
        await other.until("report")
        with pytest.raises(Refusal, match="as many as this server allows"):
            visitors.resume(ANN)
        await other.leave()

    with_visitors(test, train_places=1)


def test_a_visitor_has_one_training_and_the_newest_stays():
    async def test(visitors):
        first = visitors.begin(ANN)
        await first.until("report")
        second = visitors.begin(ANN, updates=1)
        last = await first.end()
        assert (last["event"], "another one was begun" in last["message"]) == ("error", True)
        assert (await second.end())["event"] == "done"
        assert visitors.counts == (0, 0)

    with_visitors(test, train_places=1)


def test_a_training_can_be_gone_on_with_before_the_server_knows_that_its_page_has_left():
    async def test(visitors):
        first = visitors.begin(ANN, updates=10_000)
        step = (await first.until("report", 2))["step"]
        second = visitors.resume(ANN)
        assert (await first.end())["event"] == "error"
        assert (await second.until("report"))["step"] >= step
        assert visitors.counts == (1, 0)
        await second.leave()
        assert visitors.counts == (0, 1)

    with_visitors(test, train_places=1)


def test_jobs_of_others_are_done_between_the_turns_of_a_training():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.until("report", 2)
        for _ in range(3):
            job = Job(lambda _: {"event": "done"})
            visitors.state.queue.submit(job)
            while (await job.next())["event"] != "done":
                pass
        before = len(page.lines)
        await page.until("report", before + 1)
        await page.leave()

    with_visitors(test)


def test_a_training_waits_where_the_queue_is_full(monkeypatch):
    monkeypatch.setattr(trainings, "FULL", 0.01)

    async def test(visitors):
        go = visitors.block()
        while not visitors.state.queue.state()["running"]:
            await asyncio.sleep(0.01)
        visitors.state.queue.submit(Job(lambda _: {"event": "done"}))
        page = visitors.begin(ANN, updates=1)
        await asyncio.sleep(0.1)
        assert page.lines == []
        go()
        assert (await page.end())["event"] == "done"

    with_visitors(test, waiting=1)


def test_a_training_whose_server_is_busy_for_too_long_says_so():
    async def test(visitors):
        go = visitors.block()
        last = await visitors.begin(ANN).end()
        assert (last["status"], "too busy" in last["message"]) == (503, True)
        assert visitors.counts == (0, 0)
        go()

    with_visitors(test, train_open_seconds=0.05)


def test_a_training_ends_with_the_server():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.until("report")
        visitors.state.queue.close()
        assert (await page.end())["message"] == "the server is stopping"

    with_visitors(test)


def test_a_failure_is_said_and_the_net_is_not_kept(monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("/home/me")

    monkeypatch.setattr(learning, "describe", fail)

    async def test(visitors):
        last = await visitors.begin(ANN).end()
        assert last["message"] == "the server failed at this; its terminal says how"
        assert visitors.counts == (0, 0)

    with_visitors(test)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_stream_too_many_is_refused_and_its_training_is_not_kept():
    async def test(visitors):
        page = visitors.begin(ANN)
        await page.until("start")
        with pytest.raises(Refusal, match="1 streams are open already"):
            visitors.begin(BEN)
        assert visitors.counts == (1, 0)
        await page.leave()

    with_visitors(test, streams=1)


def test_what_is_asked_of_a_training_is_all_that_is_kept_of_its_visitor():
    training = Training(TrainIn(visitor=ANN))
    assert (training.learner, training.stream, training.seconds_left) == (None, None, 0.0)
