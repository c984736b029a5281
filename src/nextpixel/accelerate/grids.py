"""Convolutions of one image and their gradients: compiled, for training on CPUs.

Maps hold the features of a place side by side. Weights that are multiplied lie in panels, (outputs
/ 16, inputs, 16), the inputs in the order of `Window`; gradients of weights are (inputs, outputs).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.accelerate.tiles import (
    TILE,
    convolve_1,
    convolve_4,
    convolve_tile,
    correlate_1,
    correlate_tile,
)
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import WIDTH, add16, copy16

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Grid(NamedTuple):
    """The map of an image: the features of (y, x) from start + y * row + x * step on.

    Where `row` and `step` are 0, every place has the same features.
    """

    data: Floats
    start: int
    row: int
    step: int
    height: int
    width: int
    features: int


class Spans(NamedTuple):
    """What a place sees: `lengths` floats from `begins` on, counted from its own first feature.

    `total` is the sum of the lengths.
    """

    begins: Numbers
    lengths: Numbers
    total: int


class Window(NamedTuple):
    """The taps of a convolution, for maps that have zeros around them.

    Attributes:
        top: Rows of zeros above the map that it reads; below, where gradients are read.
        left: Columns of zeros to the left; to the right, where gradients are read.
        right: The other way around.
        seen: What an output sees of the inputs.
        back: What an input gets of the gradients.
    """

    top: int
    left: int
    right: int
    seen: Spans
    back: Spans


@compiled
def image_of(maps, image, height, width, features):
    """An image of maps (B, H, W, features)."""
    row = width * features
    return Grid(maps, image * height * row, row, features, height, width, features)


@compiled
def padded(window, height, width, features, top, left):
    """A map of zeros with zeros around it: `top` rows above, `left` columns to the left."""
    row = (window.left + width + window.right) * features
    data = np.zeros((window.top + height) * row, np.float32)
    return Grid(data, top * row + left * features, row, features, height, width, features)


@compiled
def zeros_like(grid):
    """Zeros at every place of a map; a few features serve all."""
    data = np.zeros(grid.features, np.float32)
    return Grid(data, 0, 0, 0, grid.height, grid.width, grid.features)


@inlined
def place(grid, row, column):
    """Where the features of a place begin."""
    return grid.start + row * grid.row + column * grid.step


@compiled
def copy(source, target):
    """Write a map over another."""
    length = source.width * source.features
    whole = length // WIDTH * WIDTH
    for row in range(source.height):
        at, to = place(source, row, 0), place(target, row, 0)
        for k in range(0, whole, WIDTH):
            copy16(target.data, to + k, source.data, at + k, source.data, at + k)
        for k in range(whole, length):
            target.data[to + k] = source.data[at + k]


@compiled
def begin(target, base, bias):
    """Let a target begin as the sum of a base and a bias."""
    for row in range(target.height):
        for column in range(target.width):
            to = place(target, row, column)
            here, also = place(base, row, column), place(bias, row, column)
            for f in range(0, target.features, WIDTH):
                add16(target.data, to + f, base.data, here + f, bias.data, also + f)


@compiled
def convolve(source, spans, weights, target):
    """Add to a target the products of panels of weights with what its places see in a source."""
    x, y, q_step, t_step = source.data, target.data, source.step, target.step
    begins, lengths, inputs = spans
    tiled, fours = target.width // TILE * TILE, target.width // 4 * 4
    for row in range(target.height):
        for f in range(0, target.features, WIDTH):
            q, t, w = place(source, row, 0), place(target, row, 0) + f, f * inputs
            for c in range(0, tiled, TILE):
                to, at = t + c * t_step, q + c * q_step
                convolve_tile(y, to, t_step, x, at, q_step, begins, lengths, weights, w)
            for c in range(tiled, fours, 4):
                to, at = t + c * t_step, q + c * q_step
                convolve_4(y, to, t_step, x, at, q_step, begins, lengths, weights, w)
            for c in range(fours, target.width):
                to, at = t + c * t_step, q + c * q_step
                convolve_1(y, to, 0, x, at, 0, begins, lengths, weights, w)


@compiled
def correlate(source, spans, back, sums, start):
    """Add to weights (inputs, outputs), over all places, what was seen times what came back."""
    x, g, q_step, g_step, outputs = source.data, back.data, source.step, back.step, back.features
    begins, lengths, _ = spans
    for row in range(back.height):
        to = start
        for s in range(len(begins)):
            q, tiled = place(source, row, 0) + begins[s], lengths[s] // TILE * TILE
            for f in range(0, outputs, WIDTH):
                t, came = to + f, place(back, row, 0) + f
                for k in range(0, tiled, TILE):
                    here = t + k * outputs
                    correlate_tile(
                        sums, here, outputs, x, q + k, q_step, g, came, g_step, back.width
                    )
                for k in range(tiled, lengths[s]):
                    here, at = t + k * outputs, q + k
                    correlate_1(sums, here, outputs, x, at, q_step, g, came, g_step, back.width)
            to += lengths[s] * outputs


@compiled
def gather(back, sums, start):
    """Add to biases what came back: they are weights of an input that is always one."""
    one = np.ones(1, np.float32)
    for row in range(back.height):
        for f in range(0, back.features, WIDTH):
            came = place(back, row, 0) + f
            correlate_1(sums, start + f, 0, one, 0, 0, back.data, came, back.step, back.width)
