"""Clients that are slow, too many, or gone: nothing is kept for them, and nobody waits for them."""

import asyncio
import json
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")

from starlette.requests import Request

from nextpixel.playground.catalog import Catalog
from nextpixel.playground.job_queue import ClientLeft, JobQueue, Stream, Streams, outcome
from nextpixel.playground.refusals import Guard, Refusal
from nextpixel.playground.schemas import LIMITS
from nextpixel.playground.server import create_app

SECONDS = 30
BRIEF = 0.02
LEFT = {"type": "http.disconnect"}


def scope(path, method="POST", **headers):
    own = {"host": "127.0.0.1", **{name.replace("_", "-"): text for name, text in headers.items()}}
    pairs = [(name.encode(), text.encode()) for name, text in own.items()]
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": pairs}


async def never(*_):
    await asyncio.Event().wait()


def ask(app, asked, receive, send=None):
    """What an application sends, unless it waits for a client for too long."""
    sent = []

    async def collect(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(asked, receive, send or collect), SECONDS))
    return sent


def work(_):
    return {"event": "done"}


# Slow ones


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/api/sample", "application/json"), ("/api/upload", "multipart/form-data; boundary=x")],
)
def test_a_request_that_never_comes_whole_is_abandoned(path, kind):
    app = create_app(Catalog(), limits=replace(LIMITS, read_seconds=BRIEF))
    start, body = ask(app, scope(path, content_type=kind), never)
    assert start["status"] == 408
    assert "did not come whole in time" in json.loads(body["body"])["detail"]


def test_an_answer_that_is_not_taken_is_abandoned():
    app = create_app(Catalog(), limits=replace(LIMITS, send_seconds=BRIEF))
    assert ask(app, scope("/api/queue", "GET"), never, never) == []


def test_a_client_may_wait_for_its_answer_as_long_as_it_takes():
    received = []

    async def app(_, receive, __):
        received.extend([await receive(), await receive()])

    async def receive():
        if begun:
            await asyncio.sleep(5 * BRIEF)
            return LEFT
        begun.append(True)
        return {"type": "http.request", "body": b"{}"}

    begun = []
    ask(Guard(app, "127.0.0.1", replace(LIMITS, read_seconds=BRIEF)), scope("/"), receive)
    assert received[1] == LEFT


def test_a_request_of_too_great_a_length_is_refused_unread():
    async def read():
        raise AssertionError("it was read")

    app = create_app(Catalog(), limits=replace(LIMITS, json_bytes=1000, upload_bytes=2000))
    for path, most in (("/api/sample", 1000), ("/api/upload", 2000)):
        start, _ = ask(app, scope(path, content_length=str(most + 1)), read)
        assert start["status"] == 413


# Too many


def test_a_stream_too_many_is_refused_and_one_that_is_refused_is_not_counted():
    async def test():
        queue, streams = JobQueue(1), Streams(2)
        Stream(queue, work, streams)
        with pytest.raises(Refusal, match="1 jobs wait already"):
            Stream(queue, work, streams)
        assert streams.open == 1
        Stream(JobQueue(1), work, streams)
        with pytest.raises(Refusal, match="2 streams are open already"):
            Stream(JobQueue(1), work, streams)

    asyncio.run(test())


# Gone


async def leave():
    return LEFT


async def take(_):
    pass


def test_a_stream_whose_client_leaves_the_queue_makes_room():
    async def test():
        queue, streams = JobQueue(1), Streams(1)
        await asyncio.wait_for(Stream(queue, work, streams)({}, leave, take), SECONDS)
        assert (queue.state()["waiting"], streams.open) == (0, 0)

    asyncio.run(test())


def test_a_stream_that_cannot_be_sent_makes_room():
    async def broken(_):
        raise OSError("gone")

    async def test():
        queue, streams = JobQueue(1), Streams(1)
        with pytest.raises(OSError, match="gone"):
            await asyncio.wait_for(Stream(queue, work, streams)({}, never, broken), SECONDS)
        assert (queue.state()["waiting"], streams.open) == (0, 0)

    asyncio.run(test())


def test_an_outcome_that_nobody_waits_for_makes_room():
    async def test():
        queue = JobQueue(1)
        with pytest.raises(ClientLeft):
            await asyncio.wait_for(
                outcome(queue, work, Request(scope("/api/score"), leave)), SECONDS
            )
        assert queue.state()["waiting"] == 0

    asyncio.run(test())
