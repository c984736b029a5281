"""Answers that many ask for, such as a class that looks at one image: computed once, and kept."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Hashable
from typing import NoReturn

from fastapi import Request

from nextpixel.playground.job_queue import Event, Job, JobQueue, Work, left, read_last, read_outcome

KEPT_BYTES = 64 * 2**20
"""Of the answers that are kept."""


class Answers:
    """The newest answers, and those under way, each by a key that says what was asked.

    Args:
        queue: Where answers are computed; to wait for one that another asked for takes no place.
        limit: Bytes of answers to keep; those that were asked for last stay.
    """

    def __init__(self, queue: JobQueue, limit: int = KEPT_BYTES) -> None:
        self.queue, self.limit = queue, limit
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._awaited: dict[Hashable, _Awaited] = {}

    async def get(self, key: Hashable, work: Work, request: Request) -> bytes:
        """The last event of a job as JSON.

        Raises:
            Refusal: If the job failed, or the queue is full.
            ClientLeft: If the client left.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._awaited:
            self._awaited[key] = _Awaited(self.queue, work)
        awaited = self._awaited[key]
        try:
            content = await awaited.wait(request)
        finally:
            if awaited.deserted and self._awaited.get(key) is awaited:
                del self._awaited[key]
        self._keep(key, content)
        return content

    def _keep(self, key: Hashable, content: bytes) -> None:
        self._kept[key] = content
        while sum(map(len, self._kept.values())) > self.limit:
            self._kept.popitem(last=False)


class _Awaited:
    """An answer under way; when all who asked have left, its job is cancelled."""

    def __init__(self, queue: JobQueue, work: Work) -> None:
        self.queue, self.job, self.waiting = queue, Job(work), 0
        queue.submit(self.job)
        self.content = asyncio.create_task(self._compute())

    @property
    def deserted(self) -> bool:
        """Whether nobody waits for it."""
        return self.waiting == 0

    async def wait(self, request: Request) -> bytes:
        """As `Answers.get`, for one of those who ask."""
        self.waiting += 1
        leaving = asyncio.create_task(left(request.receive))
        try:
            await asyncio.wait({self.content, leaving}, return_when=asyncio.FIRST_COMPLETED)
            found = self.content.result() if self.content.done() else None
            return found if isinstance(found, bytes) else _refuse(found)
        finally:
            leaving.cancel()
            self.waiting -= 1
            if self.deserted:
                self.queue.cancel(self.job)

    async def _compute(self) -> bytes | Event | None:
        """The answer, or how the job failed: for whoever still waits."""
        last = await read_last(self.job)
        if last is None or last["event"] == "error":
            return last
        answer = {name: value for name, value in last.items() if name not in ("event", "seconds")}
        return json.dumps(answer, allow_nan=False).encode()


def _refuse(last: Event | None) -> NoReturn:
    read_outcome(last)
    raise AssertionError("an answer is no refusal")
