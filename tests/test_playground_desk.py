"""One line, one worker: places are told, full lines refuse, clients that leave make room."""

import asyncio
import threading

import pytest

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")

from nextpixel.errors import NextPixelError
from nextpixel.playground.answers import Streams
from nextpixel.playground.desk import Desk, Job, Left
from nextpixel.playground.problems import Refusal

SECONDS = 30


class Slow:
    """Work that waits until it is let go."""

    def __init__(self):
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), False

    def __call__(self, job):
        self.begun.set()
        assert self.go.wait(SECONDS)
        try:
            job.tell({"event": "row"})
        except Left:
            self.stopped = True
            raise
        return {"event": "done"}


def quick(job):
    del job
    return {"event": "done", "answer": 42}


def on_a_desk(test, limit=2, first=None):
    """Run an asynchronous test with a desk that is closed after it."""

    async def run():
        desk = Desk(limit, first)
        desk.open()
        try:
            await asyncio.wait_for(test(desk), SECONDS)
        finally:
            desk.close()
            assert desk.join(SECONDS)

    asyncio.run(run())


async def last(job):
    while (event := await job.next()) is not None and event["event"] not in ("done", "error"):
        pass
    return event


async def begun(work):
    await asyncio.to_thread(work.begun.wait, SECONDS)


def test_a_job_ends_in_what_its_work_gives():
    async def test(desk):
        job = Job(quick)
        desk.submit(job)
        assert (await last(job))["answer"] == 42

    on_a_desk(test)


def test_places_in_the_line_are_told_as_they_change():
    async def test(desk):
        slow, jobs = Slow(), [Job(quick), Job(quick)]
        desk.submit(first := Job(slow))
        await begun(slow)
        for job in jobs:
            desk.submit(job)
        assert desk.state() == {"running": 1, "waiting": 2, "limit": 2, "ready": True}
        assert [await job.next() for job in jobs] == [
            {"event": "queued", "ahead": 1},
            {"event": "queued", "ahead": 2},
        ]
        desk.leave(jobs[0])
        assert await jobs[1].next() == {"event": "queued", "ahead": 1}
        slow.go.set()
        assert (await last(first))["event"] == "done"
        assert (await last(jobs[1]))["event"] == "done"
        assert await last(jobs[0]) is None

    on_a_desk(test)


def test_a_full_line_refuses_until_a_place_is_free():
    async def test(desk):
        slow = Slow()
        desk.submit(Job(slow))
        await begun(slow)
        waiting = [Job(quick), Job(quick)]
        for job in waiting:
            desk.submit(job)
        with pytest.raises(Refusal, match="2 jobs wait already") as refused:
            desk.submit(Job(quick))
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        desk.leave(waiting[0])
        desk.submit(Job(quick))
        slow.go.set()

    on_a_desk(test)


def test_a_client_that_leaves_stops_its_job_at_the_next_event():
    async def test(desk):
        slow = Slow()
        desk.submit(job := Job(slow))
        await begun(slow)
        desk.leave(job)
        slow.go.set()
        desk.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"
        assert slow.stopped

    on_a_desk(test)


def test_a_client_that_leaves_the_line_is_never_served():
    async def test(desk):
        slow, ran = Slow(), []
        desk.submit(Job(slow))
        await begun(slow)
        desk.submit(job := Job(lambda _: ran.append(1) or {"event": "done"}))
        desk.leave(job)
        slow.go.set()
        desk.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"
        assert ran == []

    on_a_desk(test)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Refusal("no", "field", status=404), 404, "no"),
        (ValueError("levels must be 0..1"), 422, "levels must be 0..1"),
        (NextPixelError("it is damaged"), 422, "it is damaged"),
        (MemoryError(), 422, "there is not enough memory for this"),
        (ZeroDivisionError("/home/me"), 500, "the server failed at this; its terminal says how"),
        (SystemExit(3), 500, "the server failed at this; its terminal says how"),
    ],
    ids=repr,
)
def test_a_failure_is_the_clients_to_hear_of_and_the_worker_goes_on(error, status, message):
    async def test(desk):
        def fail(job):
            raise error

        desk.submit(job := Job(fail))
        event = await last(job)
        assert (event["event"], event["status"], event["message"]) == ("error", status, message)
        desk.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"

    on_a_desk(test)


def test_closing_ends_all_jobs():
    async def test(desk):
        slow = Slow()
        desk.submit(running := Job(slow))
        await begun(slow)
        desk.submit(waiting := Job(quick))
        desk.close()
        for job in (running, waiting):
            event = await last(job)
            assert (event["event"], event["message"]) == ("error", "the server is stopping")
        slow.go.set()
        with pytest.raises(Refusal, match="stopping"):
            desk.submit(Job(quick))

    on_a_desk(test)


def test_the_engine_is_made_ready_before_the_first_job_and_may_fail_at_it():
    order = []

    def first():
        order.append("first")
        raise OSError("no engine")

    async def test(desk):
        desk.submit(job := Job(lambda _: order.append("job") or {"event": "done"}))
        await last(job)
        assert order == ["first", "job"]

    on_a_desk(test, first=first)


def test_streams_are_counted():
    streams = Streams(1)
    streams.enter()
    with pytest.raises(Refusal, match="1 streams are open already"):
        streams.enter()
    streams.exit()
    streams.enter()
