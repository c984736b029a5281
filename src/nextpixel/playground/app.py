"""The application: the addresses, what stands around them, and how errors are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from nextpixel import __version__
from nextpixel.playground import problems, routes
from nextpixel.playground.answers import Gone
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.describe import describe
from nextpixel.playground.ground import ASIDE, Playground
from nextpixel.playground.guard import Guard
from nextpixel.playground.limits import LIMITS, Limits
from nextpixel.playground.problems import Problem

_COMMON = (
    (403, "Asked by a page of another site."),
    (408, "The request did not come whole in time."),
    (413, "The request is too large."),
    (421, "The Host header is not this server's."),
    (422, "A value cannot be meant."),
)


def create_app(
    catalog: Catalog, *, host: str = "127.0.0.1", limits: Limits = LIMITS, warm: bool = False
) -> FastAPI:
    """The application.

    Args:
        catalog: The models there are.
        host: What the server listens on; requests must name it, or this machine itself.
        limits: How much a request may ask for.
        warm: Whether the engine is made ready before the first request.
    """
    ground = Playground(catalog, limits, warm)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ground.aside = CapacityLimiter(ASIDE)
        ground.desk.open()
        yield
        ground.desk.close()

    app = _Guarded(
        host,
        limits,
        title="nextpixel playground",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={status: {"model": Problem, "description": text} for status, text in _COMMON},
    )
    app.state.ground = ground
    for part in routes.ALL:
        app.include_router(part(ground))
    problems.install(app)
    app.add_exception_handler(Gone, _nobody)
    describe(app, list(catalog.cards))
    return app


class _Guarded(FastAPI):
    """An application with the guard outermost, so that it sees even our own failures."""

    def __init__(self, host: str, limits: Limits, **options: Any) -> None:  # noqa: ANN401
        self.own_host, self.own_limits = host, limits
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes before it gets to an address."""
        return Guard(super().build_middleware_stack(), self.own_host, self.own_limits)


async def _nobody(_: Request, __: Exception) -> Response:
    """Nobody is there to read this."""
    return Response(status_code=499)
