"""The application and its socket: the state that requests share, the addresses, a clean end."""

import asyncio
import logging
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar

import uvicorn
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from nextpixel import __version__
from nextpixel.playground import page_files, refusals, routes
from nextpixel.playground.answers import Answers
from nextpixel.playground.catalog import Catalog, ModelCache
from nextpixel.playground.connections import Crowd, room
from nextpixel.playground.job_queue import ClientLeft, JobQueue, Streams
from nextpixel.playground.listening import BACKLOG, address, bind, bound, notice
from nextpixel.playground.page_files import PageFile
from nextpixel.playground.schemas import LIMITS, Limits
from nextpixel.playground.training import Trainings

Result = TypeVar("Result")
FILE_THREADS = 2
"""Files that are read or written at a time, while the engine works."""
MODEL_FIELDS = ("model", "name")
"""Fields and parameters that hold the name of a model."""
COMMON_ERRORS = (
    (403, "Asked by a page of another site."),
    (408, "The request did not come whole in time."),
    (413, "The request is too large."),
    (421, "The Host header is not this server's."),
    (422, "A value is invalid."),
)


@dataclass
class AppState:
    """All that requests share.

    Attributes:
        catalog: The models there are.
        limits: How much a request may ask for.
        warm_up: Whether the engine is warmed up before the first request.
        is_private: Whether only this machine can reach the server.
        cache: Models and images, loaded.
        queue: The jobs of the engine.
        answers: Those of the engine that many may ask for.
        streams: The streams that are open.
        trainings: Nets of visitors that learn, or are paused.
        file_threads: Bounds the work outside the engine.
        files: The page's files by name: what is not here is not served.
    """

    catalog: Catalog
    limits: Limits = LIMITS
    warm_up: bool = False
    is_private: bool = True
    cache: ModelCache = field(init=False)
    queue: JobQueue = field(init=False)
    answers: Answers = field(init=False)
    streams: Streams = field(init=False)
    trainings: Trainings = field(init=False)
    file_threads: CapacityLimiter = field(init=False)
    files: dict[str, PageFile] = field(init=False)

    def __post_init__(self) -> None:
        self.cache = ModelCache(self.catalog)
        self.queue = JobQueue(self.limits.waiting, self.cache.warm_up if self.warm_up else None)
        self.answers = Answers(self.queue)
        self.streams = Streams(self.limits.streams)
        self.trainings = Trainings(self.limits)
        self.files = page_files.read_all()

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do work that needs no model, in a thread of its own."""
        return await to_thread.run_sync(work, limiter=self.file_threads)


def create_app(
    catalog: Catalog, *, host: str = "127.0.0.1", limits: Limits = LIMITS, warm_up: bool = False
) -> FastAPI:
    """The application; its state is `app.state.shared`.

    Args:
        catalog: The models there are.
        host: Where the server listens; requests must name it, or this machine itself.
        limits: How much a request may ask for.
        warm_up: Whether the engine is warmed up before the first request.
    """
    state = AppState(catalog, limits, warm_up, is_private=host in refusals.LOOPBACK)
    app = _GuardedApp(
        host,
        limits,
        title="nextpixel playground",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        responses={
            status: {"model": refusals.Problem, "description": text}
            for status, text in COMMON_ERRORS
        },
    )
    app.state.shared = state
    for router in routes.ALL:
        app.include_router(router(state))
    refusals.add_handlers(app)
    app.add_exception_handler(ClientLeft, _no_client)
    _describe_models(app, list(catalog.cards))
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: AppState = app.state.shared
    state.file_threads = CapacityLimiter(FILE_THREADS)
    state.queue.open()
    yield
    state.queue.close()


class _GuardedApp(FastAPI):
    """An application with the guard outermost, so that it sees even our own failures."""

    def __init__(self, host: str, limits: Limits, **options: Any) -> None:  # noqa: ANN401
        self.own_host, self.own_limits = host, limits
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes before it gets to an address."""
        return refusals.Guard(super().build_middleware_stack(), self.own_host, self.own_limits)


async def _no_client(_: Request, __: Exception) -> Response:
    """Nobody is there to read this."""
    return Response(status_code=499)


def _describe_models(app: FastAPI, names: Sequence[str]) -> None:
    """Make the description of an application (OpenAPI) say which models there are."""
    description = app.openapi()
    for schema in description.get("components", {}).get("schemas", {}).values():
        if schema["title"].endswith("In") or schema["title"].startswith("Body_"):
            _list_names(schema.get("properties", {}), names)
    for methods in description["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in MODEL_FIELDS:
                    parameter["schema"]["enum"] = list(names)


def _list_names(properties: Mapping[str, Any], names: Sequence[str]) -> None:
    for name, schema in properties.items():
        if name in MODEL_FIELDS:
            schema["enum"] = list(names)


GRACE = 1
"""Seconds that open answers have to end, and then the engine."""


def serve(
    catalog: Catalog,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    browse: bool = False,
    limits: Limits = LIMITS,
) -> None:
    """Serve the playground until Ctrl-C.

    Args:
        catalog: The models there are.
        host: Where to listen.
        port: Where to listen; 0 takes a free one.
        browse: Whether to open the page in a browser.
        limits: How much a request may ask for.

    Raises:
        ValueError: If `port` is no port.
        NextPixelError: If nothing can listen there.
        KeyboardInterrupt: After Ctrl-C, once all has ended.
    """
    listening = bind(host, port)
    if bound(listening).is_unspecified:
        host = str(bound(listening))
    app = create_app(catalog, host=host, limits=limits, warm_up=True)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # forms of strangers
    crowd = Crowd(room(limits.connections), limits.head_seconds)
    config = uvicorn.Config(
        app,
        http=crowd.protocol(),
        backlog=crowd.accepted_together,
        callback_notify=crowd.sweep,
        timeout_notify=0,  # at every tick of the server's clock, which is a second
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=15,
        ws="none",
        lifespan="on",
    )
    server = _Server(config, app.state.shared.queue, crowd)
    server.url, server.browse = address(host, listening), browse
    server.notice = notice(host, listening)
    try:
        server.run(sockets=[listening])
    finally:
        app.state.shared.queue.close()
        app.state.shared.queue.join(GRACE)
    if server.interrupted:  # the event loop forgets it where nothing was left to wait for
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """A server that prints its address, and ends its streams when it is asked to stop.

    Attributes:
        url: Its address.
        browse: Whether to open that in a browser.
        notice: Who else can reach it, if others can.
    """

    def __init__(self, config: uvicorn.Config, jobs: JobQueue, crowd: Crowd) -> None:
        super().__init__(config)
        self.jobs, self.crowd = jobs, crowd
        self.url, self.browse = "", False
        self.notice: str | None = None
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the address."""
        asyncio.get_running_loop().set_exception_handler(self.crowd.complain)
        await super().startup(sockets)
        for listening in sockets or ():  # the server asks for as many as it accepts at once
            listening.listen(BACKLOG)
        if self.started:
            print(f"nextpixel playground on {self.url} (Ctrl-C ends it)", flush=True)
            if self.notice:
                print(f"nextpixel: {self.notice}", file=sys.stderr, flush=True)
            if self.browse:
                threading.Thread(target=webbrowser.open, args=[self.url], daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End all jobs, and so their streams, then stop."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self.jobs.close()
        super().handle_exit(sig, frame)
