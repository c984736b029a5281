"""The addresses of the playground, and what each of them does."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import Response

from nextpixel.playground import archives, checks, jobs
from nextpixel.playground.answers import Stream, outcome
from nextpixel.playground.exports import TYPES, export
from nextpixel.playground.ground import Playground
from nextpixel.playground.limits import LIMITS
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
from nextpixel.playground.uploads import read_upload
from nextpixel.playground.wire import pack

_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such name."}
}
_BUSY: dict[int | str, dict[str, Any]] = {
    **_MISSING,
    400: {"model": Problem, "description": "The request cannot be read."},
    503: {"model": Problem, "description": "The line is full; try again."},
}


def page(ground: Playground) -> APIRouter:
    """The files of the page."""
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


def stock(ground: Playground) -> APIRouter:
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


def drawing(ground: Playground) -> APIRouter:
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


def looking(ground: Playground) -> APIRouter:
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


def packing(ground: Playground) -> APIRouter:
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


def files(ground: Playground) -> APIRouter:
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


ALL = (page, stock, drawing, looking, packing, files)
"""Of these, drawing, looking and packing wait in one line."""
