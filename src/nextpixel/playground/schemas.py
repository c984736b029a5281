"""What may be asked and what is answered, as types that are checked before anything is done.

The page reads the limits too: `/api/models` states them.
"""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nextpixel.playground.serialization import Bytes, decode


@dataclass(frozen=True)
class Limits:
    """How much a request may ask for.

    Attributes:
        count: Images to sample at a time.
        weighed: Completions of a request that particles draw, or weigh: each takes dozens of scans.
        temperature_least: Lowest temperature.
        temperature_most: Highest temperature.
        seed: Highest seed; the lowest is 0.
        side: Pixels along a side of an image.
        waiting: Jobs that may wait for the engine.
        streams: Streamed answers that may be open at a time.
        json_bytes: Of a request in JSON.
        upload_bytes: Of a request with files.
        upload_pixels: Of an uploaded picture, before it is decoded.
        compress_images: Images to compress at a time.
        values: Sub-pixels of all images of a request.
        images: Test images to fetch at a time.
        distributions: Probabilities of an inspected image: pixels times colors times levels.
        field_pixels: Of an image whose receptive fields are given all at once.
        send_seconds: How long a client may take to receive a part of an answer.
        train_seconds: Work of one training.
        train_updates: Of one training.
        train_features: Of a net to train.
        train_places: Trainings that may run at a time.
        train_paused: Trainings that are kept while they are paused.
        train_pause_seconds: How long a training is kept so.
        train_open_seconds: How long the answer of a training may be open.
        head_seconds: How long a client may take to send the head of a request.
        read_seconds: How long a client may take to send a request, and a second more for every
            `read_rate` bytes of it.
        read_rate: Bytes a second.
        connections: Clients connected at a time, fewer where the system allows fewer.
    """

    count: int = 100
    weighed: int = 12
    temperature_least: float = 0.01
    temperature_most: float = 100.0
    seed: int = 2**63 - 1
    side: int = 512
    waiting: int = 16
    streams: int = 64
    json_bytes: int = 4 * 2**20
    upload_bytes: int = 8 * 2**20
    upload_pixels: int = 20_000_000
    compress_images: int = 1000
    values: int = 2**20
    images: int = 100
    distributions: int = 2**20
    field_pixels: int = 4096
    send_seconds: float = 30.0
    head_seconds: float = 15.0
    read_seconds: float = 30.0
    train_seconds: float = 60.0
    train_updates: int = 10_000
    train_features: int = 32
    train_places: int = 2
    train_paused: int = 16
    train_pause_seconds: float = 300.0
    train_open_seconds: float = 300.0
    read_rate: int = 2**14
    connections: int = 512

    def as_dict(self) -> dict[str, float]:
        """The bounds as plain values, for JSON."""
        return asdict(self)


LIMITS = Limits()
"""Those of the server; tests make others."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Base64 = Annotated[
    str, Field(max_length=LIMITS.json_bytes, json_schema_extra={"contentEncoding": "base64"})
]
Side = Annotated[int, Field(ge=1, le=LIMITS.side)]
Seed = Annotated[int, Field(ge=0, le=LIMITS.seed)]
Count = Annotated[int, Field(ge=1, le=LIMITS.count)]
Label = Annotated[int, Field(ge=-1, le=100_000)]
KernelSide = Literal[3, 5, 7]


class Strict(BaseModel):
    """A part of a request: no unknown keys, no strings for numbers, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ImageIn(Strict):
    """One image: shape (C, H, W), K levels, and base64 of C * H * W bytes."""

    shape: Annotated[list[Side], Field(min_length=3, max_length=3)]
    levels: Annotated[int, Field(ge=2, le=256)]
    data: Base64

    def array(self, field: str = "image") -> Bytes:
        """The levels, shape (C, H, W).

        Raises:
            Refusal: If the data are not what shape and levels say.
        """
        return decode(self.data, self.shape, self.levels, f"{field}.data")


class ImagesIn(Strict):
    """Several images of one shape (N, C, H, W)."""

    shape: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=4, max_length=4)]
    levels: Annotated[int, Field(ge=2, le=256)]
    data: Base64

    @model_validator(mode="after")
    def _sized(self) -> "ImagesIn":
        if math.prod(self.shape) > LIMITS.values:
            raise ValueError(f"images must have at most {LIMITS.values} sub-pixels in all")
        return self

    def array(self) -> Bytes:
        """The levels, shape (N, C, H, W); errors as `ImageIn.array`."""
        return decode(self.data, self.shape, self.levels, "images.data")


class Drawing(Strict):
    """How to sample: the options of `nextpixel sample`."""

    model: Name
    count: Count = 1
    label: Label | None = None
    temperature: Annotated[
        float, Field(ge=LIMITS.temperature_least, le=LIMITS.temperature_most)
    ] = 1.0
    top_k: Annotated[int, Field(ge=1, le=256)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Seed = 0


class SampleIn(Drawing):
    """A request to sample images."""


class CompleteIn(Drawing):
    """A request to complete an image; `known` is base64 of (H, W) zeros and ones.

    `way` is one of the model's ways; null leaves the choice to the model: see `complete` of the
    library.
    """

    image: ImageIn
    known: Base64
    way: Literal["raster", "best", "particles"] | None = None


class ScoreIn(Strict):
    """A request for the bits of every sub-pixel of an image."""

    model: Name
    image: ImageIn
    label: Label | None = None


class InspectIn(Strict):
    """A request for what a model predicts at every pixel of an image, or at one, and its cost.

    All pixels at once are up to `distributions` probabilities; larger images are asked for by
    `row` and `column`.
    """

    model: Name
    image: ImageIn
    row: Annotated[int, Field(ge=0, lt=LIMITS.side)] | None = None
    column: Annotated[int, Field(ge=0, lt=LIMITS.side)] | None = None
    label: Label | None = None


class VisitorIn(Strict):
    """A request about a visitor's own training; `visitor` is any words that only they know."""

    visitor: Annotated[str, Field(min_length=8, max_length=64)]


class TrainIn(VisitorIn):
    """A request to train a net of 14x14 pixels; 0 updates show it as it is before."""

    gated: bool = True
    side: KernelSide = 5
    features: Annotated[int, Field(ge=2, le=LIMITS.train_features)] = 16
    classes: bool = False
    seed: Seed = 0
    updates: Annotated[int, Field(ge=0, le=LIMITS.train_updates)] = LIMITS.train_updates


class ExportIn(Strict):
    """A request for a file of images."""

    images: ImagesIn
    format: Literal["png", "npy", "gif"]


class ImageOut(BaseModel):
    """One image or several, as `ImageIn` and `ImagesIn`."""

    shape: list[int]
    levels: int
    data: str


class ModelOut(BaseModel):
    """A model, as its own folder describes it.

    `argument` is what a shell takes for it; null for a folder on a machine of others.
    """

    name: str
    argument: str | None
    title: str
    kind: str
    shipped: bool
    shape: list[int]
    levels: int
    condition: Literal["none", "class", "other"]
    classes: int | None
    takes_unknown: bool
    usable: bool
    data: str | None
    protocol: str | None
    bits_per_dim: float | None
    nats: float | None
    standard_error: float | None
    conditioned_on: str | None
    ways: list[str]


class ModelsOut(BaseModel):
    """All models, and how much may be asked of them."""

    models: list[ModelOut]
    limits: dict[str, float]


class TestImagesOut(BaseModel):
    """Test images and their classes."""

    images: ImageOut
    labels: list[int] | None
    total: int


class QueueOut(BaseModel):
    """Jobs of the engine, which is not ready while it is loaded, right after the start."""

    running: int
    waiting: int
    limit: int
    ready: bool


class ScoreOut(BaseModel):
    """The cost of an image given its condition, the bits of which are not counted.

    `bits` is base64 of little-endian float32, (C, H, W).
    """

    nats: float
    bits_per_dim: float
    bits: str
    total_bits: float
    png_bytes: int
    raw_bytes: int


class InspectOut(ScoreOut):
    """The cost of an image, and what a model predicts at its pixels, or at one.

    `probabilities` is base64 of little-endian float32, (C, h, w, K), as `shape` says, from `row`
    and `column` on.
    """

    row: int
    column: int
    shape: list[int]
    probabilities: str


class FieldsOut(BaseModel):
    """The receptive fields of a model's last color at all pixels, or at one.

    `fields` is base64 of a row of bits a pixel, the highest of each byte first: a bit for each
    pixel of the image. `indices` is base64 of little-endian uint32, when each pixel is visited;
    null stands for row by row.
    """

    pixels: int
    fields: str
    indices: str | None


class UploadOut(BaseModel):
    """An uploaded picture as an image of a model, and what was done to it."""

    image: ImageOut
    note: str


class CompressOut(BaseModel):
    """An archive and its size."""

    archive: str
    bytes: int
    ideal_bits: float
    bits_per_dim: float
    png_bytes: int
    count: int
    raw_bytes: int


class DecompressOut(BaseModel):
    """The images of an archive."""

    images: ImageOut


def streamed(events: str = "queued, start, row, then done or error") -> dict[str, Any]:
    """OpenAPI's description of a stream of lines of JSON."""
    return {
        "description": f"Lines of JSON: {events}.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
