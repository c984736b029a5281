"""Trainings that are watched: whose they are, how many at a time, and what their pages are sent.

A training has no thread of its own. It works in turns, each a job of the engine's one queue, and a
turn ends early where others wait: who draws or points meanwhile waits for a few updates at most.
It works only while its page listens. When the page leaves, or pauses, which is the same, the net is
kept for some minutes without any work, so that the page can go on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nextpixel.playground.job_queue import STOPPING, Event, Job
from nextpixel.playground.refusals import Refusal
from nextpixel.playground.schemas import Limits, TrainIn

if TYPE_CHECKING:
    from nextpixel.data import Dataset
    from nextpixel.models import PixelModel
    from nextpixel.playground.learner import Learner
    from nextpixel.playground.server import AppState

TURN, LEAST = 0.4, 0.05
"""Seconds of a turn of the engine, and where others wait."""
FULL = 0.25
"""Seconds until a turn is asked for again where the queue was full."""


class Training:
    """A visitor's training.

    Args:
        asked: Which net.

    Attributes:
        model: The net, once the engine has made it.
        learner: The same in training, once there is something to learn.
        stream: What sends it to its page; None while it is paused.
        forgetting: The clock of a pause.
    """

    def __init__(self, asked: TrainIn) -> None:
        self.asked = asked
        self.model: PixelModel | None = None
        self.learner: Learner | None = None
        self.stream: TrainingStream | None = None
        self.forgetting: asyncio.TimerHandle | None = None

    @property
    def seconds_left(self) -> float:
        """Of its work."""
        return self.learner.limit - self.learner.seconds if self.learner else 0.0


class Trainings:
    """The trainings of all visitors, one each: those that run, and those that are paused.

    Args:
        limits: How many, and how long.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._of: dict[str, Training] = {}
        self._data: Dataset | None = None
        self._loading = asyncio.Lock()

    def begin(self, asked: TrainIn) -> Training:
        """A new training.

        Raises:
            Refusal: 503, if too many others train.
        """
        if asked.updates:
            self._check_room(asked.visitor)
        return Training(asked)

    def find(self, visitor: str) -> Training:
        """The training of a visitor, to go on with.

        Raises:
            Refusal: 404, if there is none; 503, if too many others train.
        """
        if visitor not in self._of:
            minutes = self.limits.train_pause_seconds / 60
            text = f"there is no paused training of yours; one is kept for {minutes:g} minutes"
            raise Refusal(text, "visitor", status=404)
        self._check_room(visitor)
        return self._of[visitor]

    def show(self, training: Training, stream: "TrainingStream") -> None:
        """From now on this stream shows its visitor's training, and no other does."""
        old = self._of.get(training.asked.visitor)
        if old is not None and old.stream is not None:
            old.stream.replaced.set()
        if old is not None and old.forgetting:
            old.forgetting.cancel()
        training.stream = stream
        self._of[training.asked.visitor] = training

    def leave(self, training: Training, stream: "TrainingStream") -> None:
        """Nobody watches it now: keep it for a while, unless it is over."""
        if self._of.get(training.asked.visitor) is not training or training.stream is not stream:
            return
        training.stream = None
        if training.learner is None or training.learner.is_over:
            self._forget(training)
            return
        loop = asyncio.get_running_loop()
        wait = self.limits.train_pause_seconds
        training.forgetting = loop.call_later(wait, self._forget, training)
        paused = [each for each in self._of.values() if each.stream is None]
        for each in paused[: -self.limits.train_paused]:
            self._forget(each)

    def state(self) -> dict[str, int]:
        """How many run, and how many are paused."""
        running = sum(each.stream is not None for each in self._of.values())
        return {"running": running, "paused": len(self._of) - running}

    async def data(self, state: "AppState") -> "Dataset":
        """The images, made once, and what trains on them imported, while the engine serves."""

        def load() -> "Dataset":
            from nextpixel.playground.learner import digits, import_optimizers

            import_optimizers()
            return digits()

        async with self._loading:
            if self._data is None:
                self._data = await state.in_thread(load)
        return self._data

    def _check_room(self, visitor: str) -> None:
        others = [
            each
            for each in self._of.values()
            if each.stream and each.asked.updates and each.asked.visitor != visitor
        ]
        if len(others) < self.limits.train_places:
            return
        wait = max(2, round(min(each.seconds_left for each in others)))
        who = "1 other visitor trains" if len(others) == 1 else f"{len(others)} others train"
        text = (
            f"{who} a net now, as many as this server allows at a time; a place is free after "
            f"{wait} s of its work at most"
        )
        raise Refusal(text, status=503, headers={"Retry-After": str(wait)})

    def _forget(self, training: Training) -> None:
        if self._of.get(training.asked.visitor) is training and training.stream is None:
            del self._of[training.asked.visitor]


class TrainingStream(Response):
    """A training as it goes on, a line of JSON for each event.

    Args:
        state: Of the server.
        training: The training; it runs until this answer ends.

    Raises:
        Refusal: 503, if too many streams are open.
    """

    media_type = "application/x-ndjson"

    def __init__(self, state: "AppState", training: Training) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        state.streams.enter()
        self.state, self.training, self.replaced = state, training, asyncio.Event()
        state.trainings.show(training, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        del scope
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            await self._show_until_left(receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.state.streams.exit()
            self.state.trainings.leave(self.training, self)

    async def _show_until_left(self, receive: Receive, send: Send) -> None:
        """Show it, until the page leaves, or its visitor begins another one."""
        showing = asyncio.create_task(self._show(send))
        ends = [asyncio.create_task(_left(receive)), asyncio.create_task(self._replaced(send))]
        try:
            await asyncio.wait([showing, *ends], return_when=asyncio.FIRST_COMPLETED)
            if showing.done():
                showing.result()
        finally:
            for task in (showing, *ends):
                task.cancel()
            await asyncio.gather(showing, *ends, return_exceptions=True)

    async def _replaced(self, send: Send) -> None:
        await self.replaced.wait()
        await _send_line(
            send, _error("this training is watched elsewhere now, or another one was begun", 409)
        )

    async def _show(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self.state.limits.train_open_seconds):
                async for event in self._events():
                    await _send_line(send, event)
        except Refusal as refused:
            await _send_line(send, _error(refused.detail, refused.status))
        except TimeoutError:
            await _send_line(send, _error("the server is too busy to go on with this", 503))

    async def _events(self) -> AsyncIterator[Event]:
        """The net, a report before its first update, reports, and the end."""
        if self.training.learner is None:
            yield await self._turn("start", self._build)
            data = await self.state.trainings.data(self.state)
            await self._turn("ready", lambda: self._prepare(data))
        learner = self.training.learner
        assert learner is not None
        yield (last := await self._turn("report", learner.report))
        while not learner.is_over:
            await self._turn("turn", lambda: learner.learn(TURN, LEAST, self._others_wait))
            if learner.is_report_due:
                yield (last := await self._turn("report", learner.report))
        yield {"event": "done", "step": last["step"], "seconds": last["seconds"]}

    def _build(self) -> dict[str, Any]:
        from nextpixel.playground.learner import build, describe

        asked = self.training.asked
        self.training.model = build(asked)
        return describe(asked, self.training.model)

    def _prepare(self, data: "Dataset") -> None:
        from nextpixel.playground.learner import Learner

        asked, model = self.training.asked, self.training.model
        assert model is not None
        self.training.learner = Learner(asked, model, data, self.state.limits.train_seconds)

    def _others_wait(self) -> bool:
        return self.state.queue.state()["waiting"] > 0

    async def _turn(self, event: str, work: Callable[[], Mapping[str, Any] | None]) -> Event:
        """Have the engine do a piece of work in its turn; an event of what it gives.

        Raises:
            Refusal: If it fails, or the server is stopping.
        """
        job = Job(lambda _: {"event": "done", "found": work() or {}})
        await self._submit(job)
        try:
            while (sent := await job.next()) is not None:
                if sent["event"] == "error":
                    raise Refusal(sent["message"], status=sent["status"])
                if sent["event"] == "done":
                    return {"event": event, **sent["found"]}
        finally:
            self.state.queue.cancel(job)
        raise Refusal(STOPPING, status=503)

    async def _submit(self, job: Job) -> None:
        """Enter a job in the queue, as soon as that is not full."""
        while True:
            try:
                self.state.queue.submit(job)
            except Refusal as refused:
                if refused.detail == STOPPING:
                    raise
                await asyncio.sleep(FULL)
            else:
                return


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_line(send: Send, event: Event) -> None:
    line = (json.dumps(event, allow_nan=False) + "\n").encode()
    await send({"type": "http.response.body", "body": line, "more_body": True})


def _error(message: str, status: int) -> Event:
    return {"event": "error", "message": message, "status": status}
