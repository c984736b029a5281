"""What compiled steps of heads get: one sub-pixel of an image, or of several.

A head of few levels gives `log_weights`, a compiled function of a `Spot`, and the engine draws and
the codec makes tables of all levels. A head of many levels gives a cumulative distribution instead,
a `CompiledCDF`, and nothing is of size K: a level is drawn, and coded, by bisection.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class Spot(NamedTuple):
    """One sub-pixel of one image.

    Attributes:
        state: Holds the network's outputs, float32.
        at: Where this sub-pixel's outputs begin.
        pixel: Where those of the pixel's first color begin.
        across: Floats from the outputs of a color to those of the next.
        levels: (B, C, H, W); of this pixel, the colors before `color` are drawn.
        p: Float64. Of `CompiledHead`: room for K log-probabilities up to a constant. Of
            `CompiledCDF`: its constants, then what `prepare` keeps.
    """

    state: NDArray[np.float32]
    at: int
    pixel: int
    across: int
    levels: Numbers
    image: int
    row: int
    column: int
    color: int
    p: NDArray[np.float64]


class Query(NamedTuple):
    """A level that is asked for at a sub-pixel.

    Attributes:
        p: What `prepare` made.
        level: 0..K, K only of `below`.
        result: (1,), for the answer.
    """

    p: NDArray[np.float64]
    level: int
    result: NDArray[np.float64]


class Choice(NamedTuple):
    """One sub-pixel of images first..last-1, of which levels are to be drawn where not known.

    Attributes:
        log_weights: Address of the head's own step; 0 where the head gives a CDF.
        cdf: Addresses of `prepare`, `below` and `log_prob`; 0 where it does not.
        state: Holds the network's outputs, float32.
        place: Where those of the pixel's first color begin, in the first image.
        size: Floats from one image to the next.
        across: Floats from the outputs of a color to those of the next.
        levels: (B, C, H, W), read where `known`, written elsewhere.
        known: (B, C, H, W).
        uniforms: (B, C, H, W), what is drawn by.
        log_p: (B,), log-probabilities in nats are added to it.
        room: Constants of a CDF, and room for what it keeps of a sub-pixel.
        p: Room for K log-probabilities.
        probabilities: Room for K probabilities.
        level_count: K.
        temperature: See `heads.truncation`.
        top_k: Levels that are kept; K keeps all.
        top_p: Share that is kept; 1 keeps all.
    """

    log_weights: int
    cdf: tuple[int, int, int]
    state: NDArray[np.float32]
    place: int
    size: int
    across: int
    levels: Numbers
    known: NDArray[np.bool_]
    uniforms: NDArray[np.float64]
    log_p: NDArray[np.float64]
    room: NDArray[np.float64]
    p: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    level_count: int
    temperature: float
    top_k: int
    top_p: float
    first: int
    last: int
    row: int
    column: int
    color: int


class CompiledHead(NamedTuple):
    """The compiled step of a head of few levels.

    Attributes:
        log_weights: Fills `Spot.p`.
    """

    log_weights: Callable[..., Any]


class CompiledCDF(NamedTuple):
    """The compiled functions of a head of many levels.

    Attributes:
        prepare: Of a `Spot`: fills `Spot.p` beyond its constants.
        below: Of a `Query`: the probability of the levels below one, 0..1.
        log_prob: Of a `Query`: the log-probability of a level, nats.
        room: Numbers that `prepare` fills.
        constants: What `Spot.p` begins with.
        advance: Of a `Spot`, as `prepare`, where `Spot.p` holds what either of them made of the
            color before; None: `prepare` does as well.
        moments: Of a `Query`: of level 0 the level around which most of the probability lies, of
            level 1 how many levels from there it reaches. It is where coding looks first, and may
            be anything; None: in the middle.
    """

    prepare: Callable[..., Any]
    below: Callable[..., Any]
    log_prob: Callable[..., Any]
    room: int
    constants: tuple[float, ...]
    advance: Callable[..., Any] | None = None
    moments: Callable[..., Any] | None = None
