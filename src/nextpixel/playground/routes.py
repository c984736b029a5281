"""The addresses of the playground, and the checks of a request against its model's card."""

import math
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import Response

from nextpixel.playground import completing, jobs
from nextpixel.playground.catalog import PARTICLES, Card
from nextpixel.playground.job_queue import Stream, outcome
from nextpixel.playground.refusals import Problem, Refusal
from nextpixel.playground.schemas import (
    LIMITS,
    CompleteIn,
    CompressOut,
    DecompressOut,
    ExportIn,
    FieldsOut,
    ImageIn,
    InspectIn,
    InspectOut,
    ModelsOut,
    QueueOut,
    SampleIn,
    ScoreIn,
    ScoreOut,
    TestImagesOut,
    TrainIn,
    UploadOut,
    VisitorIn,
    streamed,
)
from nextpixel.playground.serialization import MEDIA_TYPES, Bytes, decode, export, pack
from nextpixel.playground.training import TrainingStream
from nextpixel.playground.uploads import read_files, read_upload

if TYPE_CHECKING:
    from nextpixel.playground.server import AppState

_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such name."}
}
_BUSY: dict[int | str, dict[str, Any]] = {
    **_MISSING,
    400: {"model": Problem, "description": "The request cannot be read."},
    503: {"model": Problem, "description": "The queue is full; try again."},
}


def page(state: "AppState") -> APIRouter:
    """The files of the page."""
    router = APIRouter(include_in_schema=False)

    def send(name: str, http: Request) -> Response:
        if name not in state.files:
            raise Refusal("there is no such page", status=404)
        return state.files[name].answer(http.headers)

    @router.get("/")
    async def index(http: Request) -> Response:
        return send("index.html", http)

    @router.get("/static/{name}")
    async def static(name: str, http: Request) -> Response:
        return send(name, http)

    return router


def information(state: "AppState") -> APIRouter:
    """What there is: answered at once, but for the first test images of a set."""
    router = APIRouter(prefix="/api")

    @router.get("/models", response_model=ModelsOut)
    async def models() -> dict[str, Any]:
        """The models there are, and how much may be asked of them."""
        cards = [_listed(card, state) for card in state.catalog.cards.values()]
        return {"models": cards, "limits": state.limits.as_dict()}

    @router.get("/models/{name}/images", response_model=TestImagesOut, responses=_MISSING)
    async def images(
        name: Annotated[str, Path(max_length=100)],
        start: Annotated[int, Query(ge=0, le=10**9)] = 0,
        count: Annotated[int, Query(ge=1, le=LIMITS.images)] = 10,
    ) -> dict[str, Any]:
        """Test images of the data set that a model was trained on, from number `start`."""
        card = state.catalog.card(name)
        test = await state.in_thread(lambda: state.cache.images(card))
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
        """How many jobs of the engine run and wait."""
        return state.queue.state()

    return router


def generation(state: "AppState") -> APIRouter:
    """What is sampled, sent row by row."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    @router.post("/sample", response_class=Response, responses={200: streamed()})
    async def sample(request: SampleIn) -> Response:
        """Sample images, row by row."""
        card = state.catalog.card(request.model)
        _check_usable(card)
        _check_label(card, request.label)
        return Stream(state.queue, jobs.sample(state.cache, card, request), state.streams)

    @router.post("/complete", response_class=Response, responses={200: streamed()})
    async def complete(request: CompleteIn) -> Response:
        """Sample the unknown part of an image, row by row; known pixels stay as they are."""
        card = state.catalog.card(request.model)
        _check_usable(card)
        _check_label(card, request.label)
        image, known = _image_for(card, request.image), _known_for(card, request)
        if request.way not in (None, *card.ways):
            ways = ", ".join(card.ways)
            raise Refusal(f"way must be one of {ways} for {card.name}, got {request.way}", "way")
        if request.way == PARTICLES and request.count > state.limits.weighed:
            text = f"count must be at most {state.limits.weighed} by particles, got {request.count}"
            raise Refusal(text, "count")
        work = completing.complete(state.cache, card, request, image, known)
        return Stream(state.queue, work, state.streams)

    return router


def inspection(state: "AppState") -> APIRouter:
    """What models predict of an image."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    @router.post("/score", response_model=ScoreOut)
    async def score(request: ScoreIn, http: Request) -> dict[str, Any]:
        """The exact cost of an image given its condition, in bits a sub-pixel."""
        card = state.catalog.card(request.model)
        _check_usable(card)
        _check_label(card, request.label, needed=not card.takes_unknown)
        image = _image_for(card, request.image)
        work = jobs.score(state.cache, card, image, request.label)
        return await outcome(state.queue, work, http)

    @router.post("/inspect", response_model=InspectOut)
    async def inspect(request: InspectIn, http: Request) -> Response:
        """What a model predicts at every pixel of an image, or at one, and what the image costs."""
        card = state.catalog.card(request.model)
        _check_usable(card)
        _check_label(card, request.label, needed=not card.takes_unknown)
        limit = state.limits.distributions
        _check_place(card, request.row, request.column, math.prod(card.shape) * card.levels, limit)
        image = _image_for(card, request.image)
        work = jobs.inspect(state.cache, card, request, image)
        asked = (request.label, request.row, request.column)
        key = ("inspect", card.name, asked, sha256(image.tobytes()).digest())
        return _json(await state.answers.get(key, work, http))

    @router.get("/models/{name}/fields", response_model=FieldsOut)
    async def fields(
        name: Annotated[str, Path(max_length=100)],
        http: Request,
        row: Annotated[int | None, Query(ge=0, lt=LIMITS.side)] = None,
        column: Annotated[int | None, Query(ge=0, lt=LIMITS.side)] = None,
    ) -> Response:
        """The receptive fields of all pixels, or of one."""
        card = state.catalog.card(name)
        _check_usable(card)
        pixels = math.prod(card.shape[1:])
        _check_place(card, row, column, pixels, state.limits.field_pixels)
        work = jobs.fields(state.cache, card, row, column)
        return _json(await state.answers.get(("fields", name, row, column), work, http))

    return router


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def compression(state: "AppState") -> APIRouter:
    """Images to archives and back."""
    router = APIRouter(prefix="/api", responses=_BUSY)

    streams = streamed()["content"]

    @router.post("/compress", response_model=CompressOut, responses={200: {"content": streams}})
    async def compress(
        files: Annotated[list[UploadFile], File(max_length=LIMITS.compress_images)],
        model: Annotated[str, Form(max_length=100)],
        http: Request,
        label: Annotated[int | None, Form(ge=-1, le=100_000)] = None,
        *,
        progress: bool = False,
    ) -> Any:  # noqa: ANN401 - a stream, or an answer
        """Compress PNGs, or one .npy, without loss; with `progress`, as a stream of events."""
        card = state.catalog.card(model)
        _check_compresses(card, label)
        contents = [await file.read() for file in files]
        images = await state.in_thread(lambda: read_files(contents, card, state.limits))
        work = jobs.compress(state.cache, card, images, label)
        if progress:
            return Stream(state.queue, work, state.streams)
        return await outcome(state.queue, work, http)

    @router.post("/decompress", response_model=DecompressOut)
    async def decompress(
        archive: Annotated[UploadFile, File()],
        model: Annotated[str, Form(max_length=100)],
        http: Request,
    ) -> dict[str, Any]:
        """The images of an archive, to the pixel."""
        card = state.catalog.card(model)
        content = await archive.read()
        work = jobs.decompress(state.cache, card, content, state.limits)
        return await outcome(state.queue, work, http)

    return router


def training(state: "AppState") -> APIRouter:
    """A small net that learns while its page listens."""
    router = APIRouter(prefix="/api", responses=_BUSY)
    events = streamed("start, report, and at the end report, then done or error")

    @router.post("/train", response_class=Response, responses={200: events})
    async def train(request: TrainIn) -> Response:
        """Train a net; when the answer is closed it is paused."""
        return TrainingStream(state, state.trainings.begin(request))

    @router.post("/train/resume", response_class=Response, responses={200: events})
    async def resume(request: VisitorIn) -> Response:
        """Go on with the paused training of a visitor."""
        return TrainingStream(state, state.trainings.find(request.visitor))

    return router


def files(state: "AppState") -> APIRouter:
    """Files in and out, which need no model."""
    router = APIRouter(prefix="/api", responses={400: _BUSY[400], **_MISSING})

    @router.post("/upload", response_model=UploadOut)
    async def upload(
        file: Annotated[UploadFile, File()], model: Annotated[str, Form(max_length=100)]
    ) -> dict[str, Any]:
        """A picture as an image of a model: resized, gray or in color, in its levels."""
        card = state.catalog.card(model)
        content = await file.read()
        levels, note = await state.in_thread(lambda: read_upload(content, card, state.limits))
        return {"image": pack(levels, card.levels), "note": note}

    binary = {"schema": {"type": "string", "format": "binary"}}
    content = dict.fromkeys(MEDIA_TYPES.values(), binary)

    @router.post(
        "/export",
        response_class=Response,
        responses={200: {"description": "The file.", "content": content}},
    )
    async def export_file(request: ExportIn) -> Response:
        """A file of images: a grid, an array, or the scan row by row."""
        images, form = request.images.array(), request.format
        file = await state.in_thread(lambda: export(images, request.images.levels, form))
        name = f'attachment; filename="nextpixel.{form}"'
        headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
        return Response(file, media_type=MEDIA_TYPES[form], headers=headers)

    return router


ALL = (page, information, generation, inspection, compression, training, files)
"""Of these, generation, inspection, compression and training use the one queue."""


def _listed(card: Card, state: "AppState") -> dict[str, Any]:
    """A card as it is shown: others than this machine's users see no folder."""
    shown = card.shipped or state.is_private
    return {**card.as_dict(), **({} if shown else {"argument": None})}


def _check_usable(card: Card) -> None:
    """Refuse a model whose condition the playground cannot make."""
    if not card.usable:
        condition = card.conditioned_on or "more than a class"
        raise Refusal(
            f"{card.name} cannot be used here: it is conditioned on {condition}, which only the "
            "Python functions can give",
            "model",
        )


def _check_compresses(card: Card, label: int | None) -> None:
    """Refuse a model whose condition an archive does not keep, or a wrong label."""
    if card.condition == "other":
        condition = card.conditioned_on or "more than a class"
        text = f"{card.name} cannot compress here: it is conditioned on {condition}"
        raise Refusal(text, "model")
    if label == -1 and card.classes is not None:
        raise Refusal(f"label must be 0..{card.classes - 1} in an archive, got -1", "label")
    _check_label(card, label)


def _check_label(card: Card, label: int | None, *, needed: bool = False) -> None:
    """Refuse a label that a model does not take, or one that is missing."""
    if card.classes is None:
        if label is not None:
            raise Refusal(f"label must be left out: {card.name} takes no class labels", "label")
        return
    lowest = -1 if card.takes_unknown else 0
    unknown = ", or -1 for unknown" if card.takes_unknown else ""
    if label is None and needed:
        raise Refusal(
            f"label must be given for {card.name}: 0..{card.classes - 1}{unknown}", "label"
        )
    if label is not None and not lowest <= label < card.classes:
        raise Refusal(f"label must be 0..{card.classes - 1}{unknown}, got {label}", "label")


def _image_for(card: Card, image: ImageIn) -> Bytes:
    """The levels of an image, refused if its shape or its levels are not the model's."""
    array = image.array()
    if tuple(image.shape) != card.shape:
        raise Refusal(
            f"image.shape must be {list(card.shape)} for {card.name}, got {image.shape}",
            "image.shape",
        )
    if image.levels != card.levels:
        raise Refusal(
            f"image.levels must be {card.levels} for {card.name}, got {image.levels}",
            "image.levels",
        )
    return array


def _known_for(card: Card, request: CompleteIn) -> Bytes:
    """Which pixels are known, boolean, (H, W); refused if it is no mask of the model's images."""
    return decode(request.known, card.shape[1:], 2, "known").astype(np.bool_)


def _check_place(card: Card, row: int | None, column: int | None, size: int, limit: int) -> None:
    """Refuse a pixel outside of the image, half of one, or all pixels where they are too many."""
    _, height, width = card.shape
    for field, value, side in (("row", row, height), ("column", column, width)):
        if value is None and (row, column) != (None, None):
            raise Refusal(f"{field} must be given with its {_OTHER[field]}", field)
        if value is None and size > limit:
            raise Refusal(f"{field} must be given for {card.name}: its images are large", field)
        if value is not None and value >= side:
            raise Refusal(f"{field} must be 0..{side - 1} for {card.name}, got {value}", field)


_OTHER = {"row": "column", "column": "row"}
