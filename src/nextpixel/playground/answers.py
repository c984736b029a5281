"""What a client is sent of its job: a stream of lines, or its outcome; and clients that leave."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nextpixel.playground.desk import Desk, Event, Job, Work
from nextpixel.playground.problems import Refusal

LAST = ("done", "error")


class Gone(Exception):
    """The client has left: there is nobody to answer."""


@asynccontextmanager
async def _attended(desk: Desk, job: Job, receive: Receive) -> AsyncIterator[None]:
    """Take a job out of the desk when its client leaves, or when the answer ends otherwise."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        desk.leave(job)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        desk.leave(job)


async def outcome(desk: Desk, work: Work, request: Request) -> Event:
    """Wait for a job in the line, and give its last event.

    Raises:
        Refusal: If the job failed, or the line is full.
        Gone: If the client left.
    """
    job = Job(work)
    desk.submit(job)
    async with _attended(desk, job, request.receive):
        while (event := await job.next()) is not None:
            if event["event"] == "error":
                raise Refusal(event["message"], event.get("field"), status=event["status"])
            if event["event"] == "done":
                return event
    raise Gone


class Stream(Response):
    """The events of a job, a line of JSON each, as they come.

    Args:
        desk: Where the job waits.
        work: The job's work.
        streams: Bounds how many are sent at a time.

    Raises:
        Refusal: If the line is full, or too many streams are open.
    """

    media_type = "application/x-ndjson"

    def __init__(self, desk: Desk, work: Work, streams: "Streams") -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        streams.enter()
        self.desk, self.job, self.streams = desk, Job(work), streams
        try:
            desk.submit(self.job)
        except Refusal:
            streams.exit()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        del scope
        try:
            async with _attended(self.desk, self.job, receive):
                start = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **start})
                await self._send_events(send)
        finally:
            self.streams.exit()

    async def _send_events(self, send: Send) -> None:
        while (event := await self.job.next()) is not None:
            line = (json.dumps(event, allow_nan=False) + "\n").encode()
            await send({"type": "http.response.body", "body": line, "more_body": True})
            if event["event"] in LAST:
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
            text = f"{self.limit} streams are open already; try again in a while"
            raise Refusal(text, status=503, headers={"Retry-After": "2"})
        self.open += 1

    def exit(self) -> None:
        """Count one less."""
        self.open -= 1
