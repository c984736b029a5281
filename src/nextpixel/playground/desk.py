"""The desk: jobs wait in one line, and one worker takes them in turn; models run nowhere else.

A job tells what happens by events, plain dictionaries, which its client reads one by one. When the
client leaves, the job stops at its next event, or leaves the line.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from nextpixel.errors import NextPixelError
from nextpixel.playground.problems import Refusal

Event = dict[str, Any]
Work = Callable[["Job"], Event]
PAUSE = 1.0
"""Seconds after the start in which the page is served before the engine is made ready."""
STOPPING = "the server is stopping"


class Left(Exception):
    """Nobody waits for this job any more."""


class Job:
    """One piece of work and those who wait for it.

    Args:
        work: What the worker does; it returns the last event.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ahead = -1
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._left = threading.Event()

    def tell(self, event: Event) -> None:
        """Send an event to the client; called by any thread.

        Raises:
            Left: If there is no client any more.
        """
        if self._left.is_set():
            raise Left
        self._put(event)

    def leave(self) -> None:
        """The client has left: the job stops at its next event."""
        self._left.set()
        self._put(None)

    @property
    def left(self) -> bool:
        """Whether the client has left."""
        return self._left.is_set()

    async def next(self) -> Event | None:
        """The next event; None when the client has left."""
        return await self._events.get()

    def finish(self, event: Event) -> None:
        """Send the last event, to whoever is still there."""
        if not self.left:
            self._put(event)

    def _put(self, event: Event | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the server's loop is closed, and its clients with it
            self._left.set()


class Desk:
    """The line of jobs and its one worker.

    Args:
        limit: Jobs that may wait.
        first: What the worker does before its first job, such as importing torch.
    """

    def __init__(self, limit: int, first: Callable[[], object] | None = None) -> None:
        self.limit = limit
        self._first = first
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._ready = False
        self._worker = threading.Thread(target=self._serve, name="engine", daemon=True)

    def open(self) -> None:
        """Start the worker."""
        self._worker.start()

    def submit(self, job: Job) -> None:
        """Put a job in the line.

        Raises:
            Refusal: 503, if the line is full or the server is stopping.
        """
        with self._changed:
            if self._closed:
                raise Refusal(STOPPING, status=503)
            if len(self._waiting) >= self.limit:
                raise Refusal(
                    f"the engine is busy and {self.limit} jobs wait already; try again in a while",
                    status=503,
                    headers={"Retry-After": "2"},
                )
            self._waiting.append(job)
            self._tell_places()
            self._changed.notify()

    def leave(self, job: Job) -> None:
        """A job's client has left: out of the line with it, or stop at the next event."""
        job.leave()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                self._tell_places()

    def state(self) -> dict[str, int | bool]:
        """How many run and wait, and whether the worker has begun to take them."""
        with self._changed:
            running = int(self._running is not None)
            waiting = len(self._waiting)
            return {
                "running": running,
                "waiting": waiting,
                "limit": self.limit,
                "ready": self._ready,
            }

    def close(self) -> None:
        """Stop: every job ends at its next event, those in the line at once."""
        with self._changed:
            self._closed = True
            waiting, running = list(self._waiting), self._running
            self._waiting.clear()
            self._changed.notify()
        for job in [*waiting, *([running] if running else [])]:
            job.finish({"event": "error", "message": STOPPING, "status": 503})
            job.leave()

    def join(self, seconds: float) -> bool:
        """Wait for the worker to end; whether it did."""
        if self._worker.is_alive():
            self._worker.join(seconds)
        return not self._worker.is_alive()

    def _tell_places(self) -> None:
        """Tell each job in the line how many are ahead of it, when that has changed."""
        running = int(self._running is not None)
        for place, job in enumerate(self._waiting):
            if job.ahead != place + running:
                job.ahead = place + running
                job.finish({"event": "queued", "ahead": job.ahead})

    def _serve(self) -> None:
        if self._first is not None:
            with self._changed:  # the page first: imports keep the server from answering
                self._changed.wait_for(lambda: self._waiting or self._closed, timeout=PAUSE)
            _quietly(self._first)
        self._ready = True
        while (job := self._take()) is not None:
            if not job.left:
                _carry_out(job)
            with self._changed:
                self._running = None
                self._tell_places()

    def _take(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            self._tell_places()
            return self._running


def _quietly(first: Callable[[], object]) -> None:
    try:
        first()
    except Exception as error:  # the jobs will find the same, and tell their clients
        print(f"nextpixel: {type(error).__name__}: {error}", file=sys.stderr)


def _carry_out(job: Job) -> None:
    """Run a job to its last event; its failures are the client's to hear of, not the worker's."""
    begin = time.perf_counter()
    try:
        last = job.work(job)
        job.finish({**last, "seconds": round(time.perf_counter() - begin, 4)})
    except Left:
        return
    except Refusal as error:
        job.finish(_failed(error.detail, error.status, error.field))
    except (ValueError, TypeError, NextPixelError, MemoryError) as error:
        job.finish(_failed(str(error) or "there is not enough memory for this", 422))
    except BaseException:
        traceback.print_exc()
        job.finish(_failed("the server failed at this; its terminal says how", 500))


def _failed(message: str, status: int, field: str | None = None) -> Event:
    return {"event": "error", "message": message, "status": status, "field": field}
