"""The addresses of the playground, and what each of them does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import Response
from starlette.types import ASGIApp

from nextpixel import __version__
from nextpixel.playground import archives, checks, jobs, problems
from nextpixel.playground.answers import Gone, Stream, Streams, outcome
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.describe import describe
from nextpixel.playground.desk import Desk
from nextpixel.playground.exports import TYPES, export
from nextpixel.playground.guard import Guard
from nextpixel.playground.limits import LIMITS, Limits
from nextpixel.playground.problems import Problem, Refusal
from nextpixel.playground.requests import (
    CompleteIn,
    CompressOut,
    DecompressOut,
    ExportIn,
    LookIn,
    LookOut,
    ModelsOut,
    QueueOut,
    SampleIn,
    ScoreIn,
    ScoreOut,
    TestImagesOut,
    UploadOut,
    streamed,
)
from nextpixel.playground.shelf import Shelf
from nextpixel.playground.uploads import read_upload
from nextpixel.playground.wire import pack

Outcome = TypeVar("Outcome")
ASIDE = 2
"""Files that are read or written at a time, beside the engine."""
STATIC = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Endings of the page's files, and their types."""


@dataclass
class Playground:
    """All that the addresses share.

    Attributes:
        catalog: The models there are.
        limits: How much a request may ask for.
        shelf: Models and images, loaded.
        desk: The line for the engine.
        streams: The streams that are open.
        aside: Bounds the work beside the engine.
        files: The page's files, by name: what is not here is not served.
    """

    catalog: Catalog
    limits: Limits = LIMITS
    warm: bool = False
    shelf: Shelf = field(init=False)
    desk: Desk = field(init=False)
    streams: Streams = field(init=False)
    aside: CapacityLimiter = field(init=False)
    files: dict[str, tuple[bytes, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.catalog)
        self.desk = Desk(self.limits.waiting, self.shelf.warm if self.warm else None)
        self.streams = Streams(self.limits.streams)
        self.files = read_static()

    async def beside(self, work: Callable[[], Outcome]) -> Outcome:
        """Do work that needs no model, in a thread of its own."""
        return await to_thread.run_sync(work, limiter=self.aside)


def read_static() -> dict[str, tuple[bytes, str]]:
    """The page's files and their types, by name, from the package."""
    folder = resources.files("nextpixel.playground") / "static"
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        ending = "." + file.name.rpartition(".")[2]
        if file.is_file() and ending in STATIC:
            found[file.name] = (file.read_bytes(), STATIC[ending])
    return found


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
    app.include_router(_page(ground))
    app.include_router(_known(ground))
    for router in (_streams(ground), _engine(ground), _archives(ground)):  # all wait in one line
        app.include_router(router)
    app.include_router(_files(ground))
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


_COMMON = (
    (403, "Asked by a page of another site."),
    (408, "The request did not come whole in time."),
    (413, "The request is too large."),
    (421, "The Host header is not this server's."),
    (422, "A value cannot be meant."),
)
_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such name."}
}
_BUSY: dict[int | str, dict[str, Any]] = {
    **_MISSING,
    400: {"model": Problem, "description": "The request cannot be read."},
    503: {"model": Problem, "description": "The line is full; try again."},
}


async def _nobody(_: Request, __: Exception) -> Response:
    """Nobody is there to read this."""
    return Response(status_code=499)


def _page(ground: Playground) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def send(name: str) -> Response:
        if name not in ground.files:
            raise Refusal("there is no such page", status=404)
        content, kind = ground.files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    @router.get("/")
    async def index() -> Response:
        return send("index.html")

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        return send(name)

    return router


def _known(ground: Playground) -> APIRouter:
    """What there is: answered at once, but for the first test images of a set."""
    router = APIRouter(prefix="/api")

    @router.get("/models", response_model=ModelsOut)
    async def models() -> dict[str, Any]:
        """The models there are, and how much may be asked of them."""
        cards = [card.as_dict() for card in ground.catalog.cards.values()]
        return {"models": cards, "limits": ground.limits.as_dict()}

    @router.get("/models/{name}/images", response_model=TestImagesOut, responses=_MISSING)
    async def images(
        name: Annotated[str, Path(max_length=100)],
        start: Annotated[int, Query(ge=0, le=10**9)] = 0,
        count: Annotated[int, Query(ge=1, le=LIMITS.images)] = 10,
    ) -> dict[str, Any]:
        """Test images of the data set that a model was trained on, from number `start`."""
        card = ground.catalog.card(name)
        test = await ground.beside(lambda: ground.shelf.images(card))
        if start >= len(test.levels):
            raise Refusal(f"start must be 0..{len(test.levels) - 1}, got {start}", "start")
        part = slice(start, start + count)
        return {
            "images": pack(test.levels[part].numpy(), card.levels),
            "labels": None if test.labels is None else test.labels[part].tolist(),
            "total": len(test.levels),
        }

    @router.get("/queue", response_model=QueueOut)
    async def queue() -> dict[str, Any]:
        """What the engine is at, and how many wait."""
        return ground.desk.state()

    return router


def _streams(ground: Playground) -> APIRouter:
    """What is drawn, told of row by row."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    @router.post("/sample", response_class=Response, responses={200: streamed()})
    async def sample(request: SampleIn) -> Response:
        """Draw images, row by row."""
        card = ground.catalog.card(request.model)
        checks.check_usable(card)
        checks.check_label(card, request.label)
        return Stream(ground.desk, jobs.sample(ground.shelf, card, request), ground.streams)

    @router.post("/complete", response_class=Response, responses={200: streamed()})
    async def complete(request: CompleteIn) -> Response:
        """Draw the unknown part of an image, row by row; known pixels stay as they are."""
        card = ground.catalog.card(request.model)
        checks.check_usable(card)
        checks.check_label(card, request.label)
        image, known = checks.image_for(card, request.image), checks.known_for(card, request)
        work = jobs.complete(ground.shelf, card, request, image, known)
        return Stream(ground.desk, work, ground.streams)

    return router


def _engine(ground: Playground) -> APIRouter:
    """What a model says of an image."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    @router.post("/score", response_model=ScoreOut)
    async def score(request: ScoreIn, http: Request) -> dict[str, Any]:
        """The exact cost of an image, in bits a sub-pixel."""
        card = ground.catalog.card(request.model)
        checks.check_usable(card)
        checks.check_label(card, request.label, needed=not card.unknown)
        image = checks.image_for(card, request.image)
        work = jobs.score(ground.shelf, card, image, request.label)
        return await outcome(ground.desk, work, http)

    @router.post("/look", response_model=LookOut)
    async def look(request: LookIn, http: Request) -> dict[str, Any]:
        """What models predict at a pixel, and which pixels they see there."""
        cards = [ground.catalog.card(name) for name in request.models]
        for card in cards:
            checks.check_usable(card)
            if card.condition == "class":
                checks.check_label(card, request.label, needed=not card.unknown)
            checks.check_pixel(card, request)
            image = checks.image_for(card, request.image)
        return await outcome(ground.desk, jobs.look(ground.shelf, cards, request, image), http)

    return router


def _archives(ground: Playground) -> APIRouter:
    """Images to archives and back."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    @router.post("/compress", response_model=CompressOut)
    async def compress(
        files: Annotated[list[UploadFile], File(max_length=LIMITS.compress_images)],
        model: Annotated[str, Form(max_length=100)],
        http: Request,
        label: Annotated[int | None, Form(ge=-1, le=100_000)] = None,
    ) -> dict[str, Any]:
        """Compress PNGs, or one .npy, without loss."""
        card = ground.catalog.card(model)
        archives.check_model(card, label)
        contents = [await file.read() for file in files]
        images = await ground.beside(lambda: archives.read_files(contents, card, ground.limits))
        return await outcome(
            ground.desk, archives.compress(ground.shelf, card, images, label), http
        )

    @router.post("/decompress", response_model=DecompressOut)
    async def decompress(
        archive: Annotated[UploadFile, File()],
        model: Annotated[str, Form(max_length=100)],
        http: Request,
    ) -> dict[str, Any]:
        """The images of an archive, to the pixel."""
        card = ground.catalog.card(model)
        content = await archive.read()
        work = archives.decompress(ground.shelf, card, content, ground.limits)
        return await outcome(ground.desk, work, http)

    return router


def _files(ground: Playground) -> APIRouter:
    """Files in and out, which need no model."""
    router = APIRouter(prefix="/api", responses={400: _BUSY[400], **_MISSING})

    @router.post("/upload", response_model=UploadOut)
    async def upload(
        file: Annotated[UploadFile, File()], model: Annotated[str, Form(max_length=100)]
    ) -> dict[str, Any]:
        """A picture as an image of a model: resized, gray or in color, in its levels."""
        card = ground.catalog.card(model)
        content = await file.read()
        levels, note = await ground.beside(lambda: read_upload(content, card, ground.limits))
        return {"image": pack(levels, card.levels), "note": note}

    kinds = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES.values()}

    @router.post(
        "/export",
        response_class=Response,
        responses={200: {"description": "The file.", "content": kinds}},
    )
    async def export_file(request: ExportIn) -> Response:
        """A file of images: a grid, an array, or the scan row by row."""
        images, form = request.images.array(), request.format
        content = await ground.beside(lambda: export(images, request.images.levels, form))
        name = f'attachment; filename="nextpixel.{form}"'
        headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
        return Response(content, media_type=TYPES[form], headers=headers)

    return router
