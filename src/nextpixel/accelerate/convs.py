"""The convolutions of a layer in training: their weights in panels, and room for their maps.

Weights of all convolutions of a layer lie one after the other, each (outputs, taps, inputs), as
torch has them with features innermost. A panel holds what belongs to 16 features, side by side.
"""

from typing import NamedTuple

import numpy as np

from nextpixel.accelerate.grids import Grid, Window, padded
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import WIDTH, copy16


class Conv(NamedTuple):
    """One convolution.

    Attributes:
        inputs: Features that it reads.
        outputs: Features that it gives.
        taps: Places that it sees.
        weights: Where its weights begin among those of the layer.
        biases: Where its biases begin.
        window: Where the taps lie.
    """

    inputs: int
    outputs: int
    taps: int
    weights: int
    biases: int
    window: Window


@inlined
def weights_of(conv, weights):
    """The weights of a convolution among those of its layer, or their gradients."""
    return weights[conv.weights : conv.weights + conv.outputs * conv.taps * conv.inputs]


@inlined
def padded_input(conv, height, width):
    """A map of what a convolution reads, with zeros around it."""
    window = conv.window
    return padded(window, height, width, conv.inputs, window.top, window.left)


@inlined
def padded_gradient(conv, height, width):
    """A map of what comes back to a convolution, with zeros around it."""
    return padded(conv.window, height, width, conv.outputs, 0, conv.window.right)


@inlined
def bias_of(biases, start, image, of_all, grid):
    """Biases at all places of a map: from `start` on, of (B, of_all) or of (1, of_all) for all."""
    at = start + (image * of_all if len(biases) > of_all else 0)
    return Grid(biases, at, 0, 0, grid.height, grid.width, grid.features)


@compiled
def panels(conv, weights):
    """(outputs, taps, inputs) -> (outputs / 16, taps, inputs, 16), for the way forward."""
    source, size, to = weights_of(conv, weights), conv.taps * conv.inputs, 0
    made = np.empty(source.size, np.float32)
    for o in range(0, conv.outputs, WIDTH):
        for k in range(size):
            for k16 in range(WIDTH):
                made[to + k16] = source[(o + k16) * size + k]
            to += WIDTH
    return made


@compiled
def panels_back(conv, weights):
    """(outputs, taps, inputs) -> (inputs / 16, taps, outputs, 16), for the way back."""
    source, to = weights_of(conv, weights), 0
    made = np.empty(source.size, np.float32)
    for i in range(0, conv.inputs // WIDTH * WIDTH, WIDTH):  # none goes back to an image's planes
        for tap in range(conv.taps):
            for o in range(conv.outputs):
                at = (o * conv.taps + tap) * conv.inputs + i
                copy16(made, to, source, at, source, at)
                to += WIDTH
    return made


@compiled
def turn(conv, sums, of_weights):
    """Gradients (taps, inputs, outputs) -> (outputs, taps, inputs)."""
    found, made = weights_of(conv, sums), weights_of(conv, of_weights)
    size = conv.taps * conv.inputs
    for o in range(0, conv.outputs, WIDTH):
        for k in range(size):
            for k16 in range(WIDTH):
                made[(o + k16) * size + k] = found[k * conv.outputs + o + k16]
