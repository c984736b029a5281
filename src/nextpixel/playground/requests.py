"""What may be asked, and the form of the answers: checked before anything is done."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nextpixel.playground.limits import LIMITS
from nextpixel.playground.wire import Bytes, decode

Name = Annotated[str, Field(min_length=1, max_length=100)]
Base64 = Annotated[
    str, Field(max_length=LIMITS.json_bytes, json_schema_extra={"contentEncoding": "base64"})
]
Side = Annotated[int, Field(ge=1, le=LIMITS.side)]
Seed = Annotated[int, Field(ge=0, le=LIMITS.seed)]
Count = Annotated[int, Field(ge=1, le=LIMITS.count)]
Label = Annotated[int, Field(ge=-1, le=100_000)]


class Strict(BaseModel):
    """A part of a request: no unknown keys, no words for numbers, no NaN."""

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
    """How to draw: what `nextpixel sample` takes."""

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
    """A request to draw images."""


class CompleteIn(Drawing):
    """A request to draw what is unknown of an image; `known` is base64 of (H, W) zeros and ones."""

    image: ImageIn
    known: Base64


class ScoreIn(Strict):
    """A request for the bits of every sub-pixel of an image."""

    model: Name
    image: ImageIn
    label: Label | None = None


class LookIn(Strict):
    """A request for what models predict at a pixel, and what they see there."""

    models: Annotated[list[Name], Field(min_length=1, max_length=2)]
    image: ImageIn
    row: Annotated[int, Field(ge=0, lt=LIMITS.side)]
    column: Annotated[int, Field(ge=0, lt=LIMITS.side)]
    color: Annotated[int, Field(ge=0, le=3)] | None = None
    label: Label | None = None


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
    """A model, as its own folder describes it."""

    name: str
    title: str
    shape: list[int]
    levels: int
    condition: Literal["none", "class", "other"]
    classes: int | None
    unknown: bool
    usable: bool
    data: str | None
    protocol: str | None
    bits_per_dim: float | None
    nats: float | None
    standard_error: float | None
    given: str | None


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
    """What the engine is at; it is not ready while it is loaded, right after the start."""

    running: int
    waiting: int
    limit: int
    ready: bool


class ScoreOut(BaseModel):
    """The cost of an image; `bits` is base64 of little-endian float32, (C, H, W)."""

    nats: float
    bits_per_dim: float
    bits: str
    total_bits: float
    png_bytes: int
    raw_bytes: int


class SightOut(BaseModel):
    """What one model predicts and sees at a pixel; masks are base64 of (H, W) zeros and ones."""

    model: str
    probabilities: list[list[float]]
    sees: str
    past: str


class LookOut(BaseModel):
    """One entry a model."""

    looks: list[SightOut]


class UploadOut(BaseModel):
    """An uploaded picture as a model's image, and what was done to it."""

    image: ImageOut
    note: str


class CompressOut(BaseModel):
    """An archive, and what it came to."""

    archive: str
    bytes: int
    ideal_bits: float
    bits_per_dim: float
    png_bytes: int
    count: int
    raw_bytes: int


class DecompressOut(BaseModel):
    """What an archive held."""

    images: ImageOut


def streamed() -> dict[str, Any]:
    """How the description of the addresses tells of a stream of lines of JSON."""
    text = "Lines of JSON: queued, start, row, then done or error."
    return {
        "description": text,
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
