"""Convolutions behind ReLUs, forward and back, image by image: compiled, for training on CPUs.

All maps of one image stay in the processor's second cache while they are made and used. Maps are
(B, H, W, F), flat. Images are independent, so a batch may be split anywhere.
"""

from typing import NamedTuple

import numpy as np

from nextpixel.accelerate.convs import Conv, before, behind, panels, panels_back, told, turn
from nextpixel.accelerate.grids import (
    begin,
    convolve,
    copy,
    correlate,
    gather,
    image_of,
    place,
    zeros_like,
)
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, add16, relu16, shut16


class Chain(NamedTuple):
    """Convolutions behind each other.

    Attributes:
        images: B.
        height: H.
        width: W.
        convs: The convolutions.
        biases: How many biases they have together.
        rectified: Whether there is a ReLU before the first.
        residual: Whether what the first hears is added behind the last.
    """

    images: int
    height: int
    width: int
    convs: tuple[Conv, ...]
    biases: int
    rectified: bool
    residual: bool


@compiled
def rectify(source, target):
    """ReLU."""
    for row in range(target.height):
        at, to = place(source, row, 0), place(target, row, 0)
        for k in range(0, target.width * target.features, WIDTH):
            relu16(target.data, to + k, source.data, at + k, source.data, at + k)


@compiled
def shut(heard, target, base):
    """The gradient of a ReLU: a base and, where what was heard is above zero, the target."""
    for row in range(target.height):
        for column in range(target.width):
            at, to = place(heard, row, column), place(target, row, column)
            also = place(base, row, column)
            for f in range(0, target.features, WIDTH):
                shut16(target.data, to + f, heard.data, at + f, target.data, to + f)
                add16(target.data, to + f, target.data, to + f, base.data, also + f)


@compiled
def hear(chain, source, target):
    """What the first convolution reads."""
    if chain.rectified:
        rectify(source, target)
    else:
        copy(source, target)


@compiled
def forward(chain, weights, biases, x, kept, made):
    """The chain.

    Args:
        chain: What it consists of.
        weights: Of all convolutions, one behind the other.
        biases: Of all convolutions side by side, (B or 1, all).
        x: What the first hears, (B, H, W, inputs).
        kept: Room for what the other convolutions read, (B, H, W, inputs) each.
        made: Room for the outcome, (B, H, W, outputs).
    """
    height, width, convs, last = chain.height, chain.width, chain.convs, len(chain.convs) - 1
    given = [panels(conv, weights) for conv in convs]
    read = [before(conv, height, width) for conv in convs]
    for image in range(chain.images):
        heard = image_of(x, image, height, width, convs[0].inputs)
        hear(chain, heard, read[0])
        for number in range(last):
            conv, target = convs[number], read[number + 1]
            bias = told(biases, conv.biases, image, chain.biases, target)
            begin(target, zeros_like(target), bias)
            convolve(read[number], conv.window.seen, given[number], target)
            rectify(target, target)
            copy(target, image_of(kept[number], image, height, width, conv.outputs))
        new = image_of(made, image, height, width, convs[last].outputs)
        base = heard if chain.residual else zeros_like(new)
        begin(new, base, told(biases, convs[last].biases, image, chain.biases, new))
        convolve(read[last], convs[last].window.seen, given[last], new)


@compiled
def backward(chain, weights, x, kept, back, made, of_weights, of_biases):
    """Gradients of `forward`.

    Args:
        chain: As in `forward`.
        weights: See there.
        x: See there.
        kept: See there.
        back: What comes back, (B, H, W, outputs).
        made: Room for what goes back to `x`; empty if nothing is asked.
        of_weights: Room for the gradient of `weights`.
        of_biases: Zeros, to which those of the biases are added for each image, (B, all).
    """
    height, width, convs, last = chain.height, chain.width, chain.convs, len(chain.convs) - 1
    given = [panels_back(conv, weights) for conv in convs]
    read = [before(conv, height, width) for conv in convs]
    returned = [behind(conv, height, width) for conv in convs]
    sums = np.zeros(of_weights.size, np.float32)
    for image in range(chain.images):
        came = image_of(back, image, height, width, convs[last].outputs)
        copy(came, returned[last])
        for number in range(last, 0, -1):
            conv, target = convs[number], returned[number - 1]
            copy(image_of(kept[number - 1], image, height, width, conv.inputs), read[number])
            begin(target, zeros_like(target), zeros_like(target))
            convolve(returned[number], conv.window.back, given[number], target)
            shut(read[number], target, zeros_like(target))
        hear(chain, image_of(x, image, height, width, convs[0].inputs), read[0])
        if len(made):
            gone = image_of(made, image, height, width, convs[0].inputs)
            base = came if chain.residual else zeros_like(gone)
            begin(gone, zeros_like(gone), zeros_like(gone))
            convolve(returned[0], convs[0].window.back, given[0], gone)
            if chain.rectified:
                shut(read[0], gone, base)
            else:
                begin(gone, gone, base)
        for number in range(last + 1):
            conv = convs[number]
            correlate(read[number], conv.window.seen, returned[number], sums, conv.weights)
            gather(returned[number], of_biases, image * chain.biases + conv.biases)
    for conv in convs:
        turn(conv, sums, of_weights)
