"""One queue, one worker: positions are sent, a full queue refuses, clients that leave make room."""

import asyncio
import threading

import pytest

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")

from nextpixel.errors import NextPixelError
from nextpixel.playground.job_queue import ClientLeft, Job, JobQueue, Streams
from nextpixel.playground.refusals import Refusal

SECONDS = 30


class Slow:
    """Work that waits until it is let go."""

    def __init__(self):
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), False

    def __call__(self, job):
        self.begun.set()
        assert self.go.wait(SECONDS)
        try:
            job.send({"event": "row"})
        except ClientLeft:
            self.stopped = True
            raise
        return {"event": "done"}


def quick(job):
    del job
    return {"event": "done", "answer": 42}


def with_queue(test, limit=2, warm_up=None):
    """Run an asynchronous test with a queue that is closed after it."""

    async def run():
        queue = JobQueue(limit, warm_up)
        queue.open()
        try:
            await asyncio.wait_for(test(queue), SECONDS)
        finally:
            queue.close()
            assert queue.join(SECONDS)

    asyncio.run(run())


async def last(job):
    while (event := await job.next()) is not None and event["event"] not in ("done", "error"):
        pass
    return event


async def begun(work):
    await asyncio.to_thread(work.begun.wait, SECONDS)


def test_a_job_ends_in_what_its_work_gives():
    async def test(queue):
        job = Job(quick)
        queue.submit(job)
        assert (await last(job))["answer"] == 42

    with_queue(test)


def test_positions_in_the_queue_are_sent_as_they_change():
    async def test(queue):
        slow, jobs = Slow(), [Job(quick), Job(quick)]
        queue.submit(first := Job(slow))
        await begun(slow)
        for job in jobs:
            queue.submit(job)
        assert queue.state() == {"running": 1, "waiting": 2, "limit": 2, "ready": True}
        assert [await job.next() for job in jobs] == [
            {"event": "queued", "ahead": 1},
            {"event": "queued", "ahead": 2},
        ]
        queue.cancel(jobs[0])
        assert await jobs[1].next() == {"event": "queued", "ahead": 1}
        slow.go.set()
        assert (await last(first))["event"] == "done"
        assert (await last(jobs[1]))["event"] == "done"
        assert await last(jobs[0]) is None

    with_queue(test)


def test_a_full_queue_refuses_until_a_place_is_free():
    async def test(queue):
        slow = Slow()
        queue.submit(Job(slow))
        await begun(slow)
        waiting = [Job(quick), Job(quick)]
        for job in waiting:
            queue.submit(job)
        with pytest.raises(Refusal, match="2 jobs wait already") as refused:
            queue.submit(Job(quick))
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        queue.cancel(waiting[0])
        queue.submit(Job(quick))
        slow.go.set()

    with_queue(test)


def test_a_client_that_leaves_stops_its_job_at_the_next_event():
    async def test(queue):
        slow = Slow()
        queue.submit(job := Job(slow))
        await begun(slow)
        queue.cancel(job)
        slow.go.set()
        queue.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"
        assert slow.stopped

    with_queue(test)


def test_a_client_that_leaves_the_queue_is_never_served():
    async def test(queue):
        slow, ran = Slow(), []
        queue.submit(Job(slow))
        await begun(slow)
        queue.submit(job := Job(lambda _: ran.append(1) or {"event": "done"}))
        queue.cancel(job)
        slow.go.set()
        queue.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"
        assert ran == []

    with_queue(test)


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
def test_a_failure_is_sent_to_the_client_and_the_worker_goes_on(error, status, message):
    async def test(queue):
        def fail(job):
            raise error

        queue.submit(job := Job(fail))
        event = await last(job)
        assert (event["event"], event["status"], event["message"]) == ("error", status, message)
        queue.submit(after := Job(quick))
        assert (await last(after))["event"] == "done"

    with_queue(test)


def test_closing_ends_all_jobs():
    async def test(queue):
        slow = Slow()
        queue.submit(running := Job(slow))
        await begun(slow)
        queue.submit(waiting := Job(quick))
        queue.close()
        for job in (running, waiting):
            event = await last(job)
            assert (event["event"], event["message"]) == ("error", "the server is stopping")
        slow.go.set()
        with pytest.raises(Refusal, match="stopping"):
            queue.submit(Job(quick))

    with_queue(test)


def test_the_engine_is_warmed_up_before_the_first_job_and_may_fail_at_it():
    order = []

    def warm_up():
        order.append("warm up")
        raise OSError("no engine")

    async def test(queue):
        queue.submit(job := Job(lambda _: order.append("job") or {"event": "done"}))
        await last(job)
        assert order == ["warm up", "job"]

    with_queue(test, warm_up=warm_up)


def test_streams_are_counted():
    streams = Streams(1)
    streams.enter()
    with pytest.raises(Refusal, match="1 streams are open already"):
        streams.enter()
    streams.exit()
    streams.enter()
