"""One queue of jobs and one worker, the only place where a model runs; and what clients are sent.

A job sends events, plain dictionaries, which its client gets as a stream of lines or of which it
gets the last. When the client leaves, the job leaves the queue, or stops at its next event.
"""

import asyncio
import json
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nextpixel.errors import NextPixelError
from nextpixel.playground.refusals import Refusal

Event = dict[str, Any]
Work = Callable[["Job"], Event]
PAUSE = 1.0
"""Seconds after the start in which the page is served before the engine is warmed up."""
STOPPING = "the server is stopping"
RETRY = {"Retry-After": "2"}


class ClientLeft(Exception):
    """Nobody waits for this job any more."""


class Job:
    """One piece of work and its client.

    Args:
        work: What the worker does; it returns the last event.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ahead = -1
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._cancelled = threading.Event()

    def send(self, event: Event) -> None:
        """Send an event to the client; called by any thread.

        Raises:
            ClientLeft: If there is no client any more.
        """
        if self.cancelled:
            raise ClientLeft
        self._put(event)

    def try_send(self, event: Event) -> None:
        """Send an event to the client, if it is still there."""
        if not self.cancelled:
            self._put(event)

    def cancel(self) -> None:
        """The client has left: the job stops at its next event."""
        self._cancelled.set()
        self._put(None)

    @property
    def cancelled(self) -> bool:
        """Whether the client has left."""
        return self._cancelled.is_set()

    async def next(self) -> Event | None:
        """The next event; None when the client has left."""
        return await self._events.get()

    def _put(self, event: Event | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the server's loop is closed, and its clients with it
            self._cancelled.set()


class JobQueue:
    """Jobs that wait, and the one worker that runs them in turn.

    Args:
        limit: Jobs that may wait.
        warm_up: What the worker does before its first job, such as importing torch.
    """

    def __init__(self, limit: int, warm_up: Callable[[], object] | None = None) -> None:
        self.limit = limit
        self._warm_up = warm_up
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._ready = False
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)

    def open(self) -> None:
        """Start the worker."""
        self._worker.start()

    def submit(self, job: Job) -> None:
        """Append a job.

        Raises:
            Refusal: 503, if the queue is full or the server is stopping.
        """
        with self._changed:
            if self._closed:
                raise Refusal(STOPPING, status=503)
            if len(self._waiting) >= self.limit:
                text = f"the engine is busy and {self.limit} jobs wait already; try again later"
                raise Refusal(text, status=503, headers=RETRY)
            self._waiting.append(job)
            self._send_positions()
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """A job's client has left: remove the job, or stop it at its next event."""
        job.cancel()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                self._send_positions()

    def state(self) -> dict[str, int | bool]:
        """How many jobs run and wait, and whether the worker has begun to take them."""
        with self._changed:
            return {
                "running": int(self._running is not None),
                "waiting": len(self._waiting),
                "limit": self.limit,
                "ready": self._ready,
            }

    def close(self) -> None:
        """Stop: the running job ends at its next event, those that wait at once."""
        with self._changed:
            self._closed = True
            waiting, running = list(self._waiting), self._running
            self._waiting.clear()
            self._changed.notify()
        for job in [*waiting, *([running] if running else [])]:
            job.try_send(_error(STOPPING, 503))
            job.cancel()

    def join(self, seconds: float) -> bool:
        """Wait for the worker to end; whether it did."""
        if self._worker.is_alive():
            self._worker.join(seconds)
        return not self._worker.is_alive()

    def _send_positions(self) -> None:
        """Send each job that waits how many are ahead of it, when that has changed."""
        running = int(self._running is not None)
        for ahead, job in enumerate(self._waiting, running):
            if job.ahead != ahead:
                job.ahead = ahead
                job.try_send({"event": "queued", "ahead": ahead})

    def _work(self) -> None:
        if self._warm_up is not None:
            with self._changed:  # the page first: imports keep the server from answering
                self._changed.wait_for(lambda: self._waiting or self._closed, timeout=PAUSE)
            _try(self._warm_up)
        self._ready = True
        while (job := self._take()) is not None:
            if not job.cancelled:
                _run(job)
            with self._changed:
                self._running = None
                self._send_positions()

    def _take(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            self._send_positions()
            return self._running


def _try(warm_up: Callable[[], object]) -> None:
    try:
        warm_up()
    except Exception as error:  # the jobs will fail at the same, and send it to their clients
        print(f"nextpixel: {type(error).__name__}: {error}", file=sys.stderr)


def _run(job: Job) -> None:
    """Run a job to its last event; a failure is sent to the client, and the worker goes on."""
    begin = time.perf_counter()
    try:
        last = job.work(job)
        job.try_send({**last, "seconds": round(time.perf_counter() - begin, 4)})
    except ClientLeft:
        return
    except Refusal as error:
        job.try_send(_error(error.detail, error.status, error.field))
    except (ValueError, TypeError, NextPixelError, MemoryError) as error:
        job.try_send(_error(str(error) or "there is not enough memory for this", 422))
    except BaseException:
        traceback.print_exc()
        job.try_send(_error("the server failed at this; its terminal says how", 500))


def _error(message: str, status: int, field: str | None = None) -> Event:
    return {"event": "error", "message": message, "status": status, "field": field}


async def left(receive: Receive) -> None:
    """Wait until a client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_last(job: Job) -> Event | None:
    """Wait for the last event of a job; None: nobody waits for it any more."""
    while (event := await job.next()) is not None:
        if event["event"] in ("done", "error"):
            return event
    return None


@asynccontextmanager
async def _watched(queue: JobQueue, job: Job, receive: Receive) -> AsyncIterator[None]:
    """Cancel a job when its client leaves, or when the answer ends otherwise."""

    async def watch() -> None:
        await left(receive)
        queue.cancel(job)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        queue.cancel(job)


async def outcome(queue: JobQueue, work: Work, request: Request) -> Event:
    """Wait for a job, and give its last event.

    Raises:
        Refusal: If the job failed, or the queue is full.
        ClientLeft: If the client left.
    """
    job = Job(work)
    queue.submit(job)
    async with _watched(queue, job, request.receive):
        return read_outcome(await read_last(job))


def read_outcome(last: Event | None) -> Event:
    """What the last event of a job says.

    Raises:
        Refusal: If the job failed.
        ClientLeft: If there is none.
    """
    if last is None:
        raise ClientLeft
    if last["event"] == "error":
        raise Refusal(last["message"], last.get("field"), status=last["status"])
    return last


class Stream(Response):
    """The events of a job, a line of JSON each, as they come.

    Args:
        queue: Where the job waits.
        work: The job's work.
        streams: Bounds how many are open at a time.

    Raises:
        Refusal: If the queue is full, or too many streams are open.
    """

    media_type = "application/x-ndjson"

    def __init__(self, queue: JobQueue, work: Work, streams: "Streams") -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        streams.enter()
        self.queue, self.job, self.streams = queue, Job(work), streams
        try:
            queue.submit(self.job)
        except Refusal:
            streams.exit()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        del scope
        try:
            async with _watched(self.queue, self.job, receive):
                start = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **start})
                await self._send_events(send)
        finally:
            self.streams.exit()

    async def _send_events(self, send: Send) -> None:
        while (event := await self.job.next()) is not None:
            line = (json.dumps(event, allow_nan=False) + "\n").encode()
            await send({"type": "http.response.body", "body": line, "more_body": True})
            if event["event"] in ("done", "error"):
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Streams:
    """How many streams are open.

    Args:
        limit: How many may be.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.open = limit, 0

    def enter(self) -> None:
        """Count one more.

        Raises:
            Refusal: 503, if there are too many.
        """
        if self.open >= self.limit:
            text = f"{self.limit} streams are open already; try again later"
            raise Refusal(text, status=503, headers=RETRY)
        self.open += 1

    def exit(self) -> None:
        """Count one less."""
        self.open -= 1
