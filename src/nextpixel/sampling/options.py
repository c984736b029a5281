"""How images are drawn: what sampling and completion are asked alike."""

from dataclasses import dataclass, fields
from typing import TypedDict, Unpack

from nextpixel.errors import check_count, check_keywords, nearest
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.nn import Order

METHODS = ("engine", "recompute")
"""Ways to predict a step, which give the same levels; "recompute" is the slow one, the oracle."""
BY_PARTICLES = "particles"
"""A further way to complete: by all that is known (`nextpixel.sampling.particles`)."""


class SamplingKeywords(TypedDict, total=False):
    """Keywords of `sample` and `complete`: the fields of `SamplingOptions`."""

    temperature: float
    top_k: int | None
    top_p: float | None
    method: str
    batch_size: int
    particles: int
    order: Order


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How images are drawn.

    Attributes:
        temperature: Above 0; below 1 prefers likely levels, 1 samples the model itself.
        top_k: Draw one of so many likeliest levels; None: any.
        top_p: Draw one of the likeliest levels that together have this probability; None: any.
        method: One of `METHODS`, or to complete images `BY_PARTICLES`.
        batch_size: Images at a time.
        particles: Completions that are drawn together for each one that is taken, by particles.
        order: In which pixels are visited, of a model of several orders: its name or number, or the
            indices of the pixels, int64, (H, W). None: the model's own, or for completion the best.

    Raises:
        TypeError: If a value is of another type.
        ValueError: If it is invalid.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    method: str = "engine"
    batch_size: int = 100
    particles: int = 64
    order: Order = None

    def __post_init__(self) -> None:
        """Check the values."""
        self.truncation.checked()
        if self.method not in (*METHODS, BY_PARTICLES):
            raise ValueError(f"there is no method {self.method!r}; {nearest(self.method, METHODS)}")
        if self.method == BY_PARTICLES and self.truncation != PLAIN:
            raise ValueError("temperature, top_k and top_p must be left out with particles")
        check_count("particles", self.particles, 2)
        check_count("batch_size", self.batch_size)

    @property
    def truncation(self) -> Truncation:
        """What is done to each distribution."""
        return Truncation(self.temperature, self.top_k, self.top_p)


def read_options(**keywords: Unpack[SamplingKeywords]) -> SamplingOptions:
    """Options from keywords.

    Raises:
        TypeError: If there is no such option.
        ValueError: If a value is invalid.

    Example:
        >>> read_options(temprature=0.5)
        Traceback (most recent call last):
            ...
        TypeError: unknown option 'temprature'; did you mean 'temperature'?
    """
    check_keywords(keywords, [field.name for field in fields(SamplingOptions)])
    return SamplingOptions(**keywords)
