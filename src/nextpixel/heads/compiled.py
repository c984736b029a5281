"""What compiled steps of heads get: one sub-pixel of an image, or of several.

A head of few levels gives `log_weights`, a compiled function of a `Spot`, and the engine draws and
the codec makes tables of all levels. A head of many levels, for which nothing may be of size K,
gives `choose` besides, a compiled function of a `Choice`, that draws by itself.
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
        p: Room for K numbers: log-probabilities of the levels up to a constant, float64.
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


class Choice(NamedTuple):
    """One sub-pixel of images first..last-1, of which levels are to be drawn where not known.

    Attributes:
        log_weights: Address of the head's own step.
        state: Holds the network's outputs, float32.
        place: Where those of the pixel's first color begin, in the first image.
        size: Floats from one image to the next.
        across: Floats from the outputs of a color to those of the next.
        levels: (B, C, H, W), read where `known`, written elsewhere.
        known: (B, C, H, W).
        uniforms: (B, C, H, W), what is drawn by.
        log_p: (B,), log-probabilities in nats are added to it.
        p: Room for K log-probabilities.
        probabilities: Room for K probabilities.
        temperature: See `heads.truncation`.
        top_k: Levels that are kept; K keeps all.
        top_p: Share that is kept; 1 keeps all.
    """

    log_weights: int
    state: NDArray[np.float32]
    place: int
    size: int
    across: int
    levels: Numbers
    known: NDArray[np.bool_]
    uniforms: NDArray[np.float64]
    log_p: NDArray[np.float64]
    p: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    temperature: float
    top_k: int
    top_p: float
    first: int
    last: int
    row: int
    column: int
    color: int


class CompiledHead(NamedTuple):
    """The compiled functions of a head; see the module.

    Attributes:
        log_weights: Fills `Spot.p`.
        choose: Draws for a `Choice`; None: by the probabilities of all levels.
    """

    log_weights: Callable[..., Any]
    choose: Callable[..., Any] | None = None
