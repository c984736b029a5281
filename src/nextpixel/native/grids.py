"""Convolutions of one image and their gradients: compiled, for training on CPUs.

Maps hold the features of a place side by side. Weights that are multiplied lie in panels, (outputs
/ 16, inputs, 16), the inputs in the order of `Window`; gradients of weights are (inputs, outputs).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.native.compiling import compiled, inlined
from nextpixel.native.tiles import (
    TILE,
    convolve_1,
    convolve_4,
    convolve_8,
    correlate_1,
    correlate_8,
)
from nextpixel.native.vectors import WIDTH, add16, copy16

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Grid(NamedTuple):
    """Where the features of places lie: those of (y, x) from start + y * row + x * step on."""

    data: Floats
    start: int
    row: int
    step: int


class Stretches(NamedTuple):
    """What a place sees: `lengths` floats from `begins` on, counted from its own first feature.

    `total` is the sum of the lengths.
    """

    begins: Numbers
    lengths: Numbers
    total: int


class Window(NamedTuple):
    """The taps of a convolution.

    Attributes:
        top: Rows of zeros above the image that it reads; below, where gradients are read.
        left: Columns of zeros to the left; to the right, where gradients are read.
        right: The other way around.
        seen: What an output sees of the padded inputs.
        back: What an input gets of the padded gradients.
    """

    top: int
    left: int
    right: int
    seen: Stretches
    back: Stretches


@compiled
def room(window, height, width, features):
    """A grid of zeros that holds an image and the edges that a window needs around it."""
    columns = window.left + width + window.right
    data = np.zeros((window.top + height) * columns * features, np.float32)
    return Grid(data, 0, columns * features, features)


@compiled
def within(grid, rows, columns):
    """A grid whose first place lies some rows and columns further."""
    return Grid(grid.data, rows * grid.row + columns * grid.step, grid.row, grid.step)


@compiled
def image_of(maps, image, height, width, features):
    """The grid of an image in maps (B, H, W, features)."""
    return Grid(maps, image * height * width * features, width * features, features)


@compiled
def pad(source, target, height, length):
    """Copy rows of `length` floats, to where zeros lie around them."""
    whole = length // WIDTH * WIDTH
    for row in range(height):
        at, to = source.start + row * source.row, target.start + row * target.row
        for k in range(0, whole, WIDTH):
            copy16(target.data, to + k, source.data, at + k, source.data, at + k)
        for k in range(whole, length):
            target.data[to + k] = source.data[at + k]


@inlined
def place(grid, row, column):
    """Where the features of a place begin."""
    return grid.start + row * grid.row + column * grid.step


@compiled
def begin(target, base, bias, height, width, features):
    """Let a target begin as the sum of a base and a bias."""
    for row in range(height):
        for column in range(width):
            to = place(target, row, column)
            here, also = place(base, row, column), place(bias, row, column)
            for f in range(0, features, WIDTH):
                add16(target.data, to + f, base.data, here + f, bias.data, also + f)


@compiled
def convolve(source, stretches, weights, target, height, width, outputs):
    """Add to a target the products of weights with what its places see in a source."""
    x, y, q_step, t_step = source.data, target.data, source.step, target.step
    begins, lengths, inputs = stretches
    eights, fours = width // TILE * TILE, width // 4 * 4
    for row in range(height):
        for f in range(0, outputs, WIDTH):
            q, t, w = (
                source.start + row * source.row,
                target.start + row * target.row + f,
                f * inputs,
            )
            for c in range(0, eights, TILE):
                convolve_8(
                    y,
                    t + c * t_step,
                    t_step,
                    x,
                    q + c * q_step,
                    q_step,
                    begins,
                    lengths,
                    weights,
                    w,
                )
            for c in range(eights, fours, 4):
                convolve_4(
                    y,
                    t + c * t_step,
                    t_step,
                    x,
                    q + c * q_step,
                    q_step,
                    begins,
                    lengths,
                    weights,
                    w,
                )
            for c in range(fours, width):
                convolve_1(y, t + c * t_step, 0, x, q + c * q_step, 0, begins, lengths, weights, w)


@compiled
def correlate(source, stretches, back, target, start, height, width, outputs):
    """Add to weights (inputs, outputs), over all places, what was seen times what came back."""
    x, g, q_step, g_step = source.data, back.data, source.step, back.step
    begins, lengths, _ = stretches
    for row in range(height):
        q_row, g_row, t = source.start + row * source.row, back.start + row * back.row, start
        for s in range(len(begins)):
            whole = lengths[s] // TILE * TILE
            for f in range(0, outputs, WIDTH):
                q, to = q_row + begins[s], t + f
                for k in range(0, whole, TILE):
                    correlate_8(
                        target,
                        to + k * outputs,
                        outputs,
                        x,
                        q + k,
                        q_step,
                        g,
                        g_row + f,
                        g_step,
                        width,
                    )
                for k in range(whole, lengths[s]):
                    correlate_1(
                        target,
                        to + k * outputs,
                        outputs,
                        x,
                        q + k,
                        q_step,
                        g,
                        g_row + f,
                        g_step,
                        width,
                    )
            t += lengths[s] * outputs


@compiled
def gather(back, target, start, height, width, outputs):
    """Add to biases what came back: they are weights of an input that is always one."""
    one = np.ones(1, np.float32)
    for row in range(height):
        for f in range(0, outputs, WIDTH):
            g = back.start + row * back.row + f
            correlate_1(target, start + f, 0, one, 0, 0, back.data, g, back.step, width)
