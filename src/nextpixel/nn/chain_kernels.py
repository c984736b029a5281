"""Convolutions that each follow a ReLU, forward and back, image by image: compiled, for training.

All maps of one image stay in the processor's second cache while they are made and used. Maps are
(B, H, W, F), flat. Images are independent, so a batch may be split anywhere.
"""

from typing import NamedTuple

import numpy as np

from nextpixel.native.compiling import compiled
from nextpixel.native.convs import Conv, before, behind, bias_of, panels, panels_back, turn
from nextpixel.native.grids import (
    Grid,
    begin,
    convolve,
    correlate,
    gather,
    image_of,
    pad,
    place,
)
from nextpixel.native.vectors import WIDTH, add16, relu16, shut16


class Chain(NamedTuple):
    """Convolutions behind each other.

    Attributes:
        images: B.
        height: H.
        width: W.
        convs: The convolutions.
        biases: How many biases they have together.
        widest: The most features of a map.
        residual: Whether what the first ReLU hears is added behind the last.
    """

    images: int
    height: int
    width: int
    convs: tuple[Conv, ...]
    biases: int
    widest: int
    residual: bool


@compiled
def rectify(source, target, height, length):
    """ReLU of rows of `length` floats."""
    for row in range(height):
        at, to = source.start + row * source.row, target.start + row * target.row
        for k in range(0, length, WIDTH):
            relu16(target.data, to + k, source.data, at + k, source.data, at + k)


@compiled
def shut(heard, target, base, height, width, features):
    """The gradient of a ReLU: a base and, where what it heard is above zero, the target."""
    for row in range(height):
        for column in range(width):
            at, to = place(heard, row, column), place(target, row, column)
            also = place(base, row, column)
            for f in range(0, features, WIDTH):
                shut16(target.data, to + f, heard.data, at + f, target.data, to + f)
                add16(target.data, to + f, target.data, to + f, base.data, also + f)


@compiled
def forward(chain, weights, biases, x, kept, made):
    """The chain.

    Args:
        chain: What it consists of.
        weights: Of all convolutions, one behind the other.
        biases: Of all convolutions side by side, (B or 1, all).
        x: What the first ReLU hears, (B, H, W, inputs).
        kept: Room for what the other convolutions read, (B, H, W, inputs) each.
        made: Room for the outcome, (B, H, W, outputs).
    """
    height, width, last = chain.height, chain.width, chain.convs[-1]
    given = [panels(conv, weights) for conv in chain.convs]
    rooms = [before(conv, height, width) for conv in chain.convs]
    nothing = Grid(np.zeros(chain.widest, np.float32), 0, 0, 0)
    for image in range(chain.images):
        heard = image_of(x, image, height, width, chain.convs[0].inputs)
        rectify(heard, rooms[0][1], height, width * chain.convs[0].inputs)
        for number in range(len(chain.convs) - 1):
            conv, inner = chain.convs[number], rooms[number + 1][1]
            bias, outputs = bias_of(conv.biases, biases, image, chain.biases), conv.outputs
            begin(inner, nothing, bias, height, width, outputs)
            seen = conv.window.seen
            convolve(rooms[number][0], seen, given[number], inner, height, width, outputs)
            rectify(inner, inner, height, width * outputs)
            pad(
                inner,
                image_of(kept[number], image, height, width, outputs),
                height,
                width * outputs,
            )
        new = image_of(made, image, height, width, last.outputs)
        base, bias = (
            heard if chain.residual else nothing,
            bias_of(last.biases, biases, image, chain.biases),
        )
        begin(new, base, bias, height, width, last.outputs)
        convolve(rooms[-1][0], last.window.seen, given[-1], new, height, width, last.outputs)


@compiled
def backward(chain, weights, x, kept, back, made, of_weights, of_biases):
    """Gradients of `forward`.

    Args:
        chain: As in `forward`, and so are `weights`, `x` and `kept`.
        back: What comes back, (B, H, W, outputs).
        made: Room for what goes back to `x`.
        of_weights: Room for the gradient of `weights`.
        of_biases: Zeros, to which those of the biases are added for each image, (B, all).
    """
    height, width = chain.height, chain.width
    given = [panels_back(conv, weights) for conv in chain.convs]
    rooms = [before(conv, height, width) for conv in chain.convs]
    wide = [behind(conv, height, width) for conv in chain.convs]
    nothing = Grid(np.zeros(chain.widest, np.float32), 0, 0, 0)
    sums = np.zeros(of_weights.size, np.float32)
    for image in range(chain.images):
        heard = image_of(x, image, height, width, chain.convs[0].inputs)
        came = image_of(back, image, height, width, chain.convs[-1].outputs)
        gone = image_of(made, image, height, width, chain.convs[0].inputs)
        rectify(heard, rooms[0][1], height, width * chain.convs[0].inputs)
        pad(came, wide[-1][1], height, width * chain.convs[-1].outputs)
        for number in range(len(chain.convs) - 1, -1, -1):
            conv, (padded, inner), (around, inside) = (
                chain.convs[number],
                rooms[number],
                wide[number],
            )
            inputs, outputs = conv.inputs, conv.outputs
            if number:
                pad(
                    image_of(kept[number - 1], image, height, width, inputs),
                    inner,
                    height,
                    width * inputs,
                )
            correlate(padded, conv.window.seen, inside, sums, conv.weights, height, width, outputs)
            gather(inside, of_biases, image * chain.biases + conv.biases, height, width, outputs)
            target = wide[number - 1][1] if number else gone
            begin(target, nothing, nothing, height, width, inputs)
            convolve(around, conv.window.back, given[number], target, height, width, inputs)
            base = came if chain.residual and number == 0 else nothing
            shut(inner, target, base, height, width, inputs)
    for conv in chain.convs:
        turn(conv, sums, of_weights)
