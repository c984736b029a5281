"""Convolutions after ReLUs, forward and back, image by image: compiled, for training on CPUs.

All maps of one image stay in the processor's second cache while they are made and used. Maps are
(B, H, W, F), flat. Images are independent, so a batch may be split anywhere.
"""

from typing import NamedTuple

import numpy as np

from nextpixel.accelerate.convs import (
    Conv,
    bias_of,
    padded_gradient,
    padded_input,
    panels,
    panels_back,
    turn,
)
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
    """Convolutions one after the other.

    Attributes:
        images: B.
        height: H.
        width: W.
        convs: The convolutions.
        biases: How many biases they have together.
        rectified: Whether there is a ReLU before the first.
        residual: Whether what the first reads is added after the last.
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
def shut(source, target, base):
    """The gradient of a ReLU: a base and, where what the ReLU read is above zero, the target."""
    for row in range(target.height):
        for column in range(target.width):
            at, to = place(source, row, column), place(target, row, column)
            also = place(base, row, column)
            for f in range(0, target.features, WIDTH):
                shut16(target.data, to + f, source.data, at + f, target.data, to + f)
                add16(target.data, to + f, target.data, to + f, base.data, also + f)


@compiled
def read_first(chain, source, target):
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
        weights: Of all convolutions, one after the other.
        biases: Of all convolutions side by side, (B or 1, all).
        x: What the first reads, (B, H, W, inputs).
        kept: Room for what the other convolutions read, (B, H, W, inputs) each.
        made: Room for the outcome, (B, H, W, outputs).
    """
    height, width, convs, last = chain.height, chain.width, chain.convs, len(chain.convs) - 1
    packed = [panels(conv, weights) for conv in convs]
    read = [padded_input(conv, height, width) for conv in convs]
    for image in range(chain.images):
        source = image_of(x, image, height, width, convs[0].inputs)
        read_first(chain, source, read[0])
        for number in range(last):
            conv, target = convs[number], read[number + 1]
            bias = bias_of(biases, conv.biases, image, chain.biases, target)
            begin(target, zeros_like(target), bias)
            convolve(read[number], conv.window.seen, packed[number], target)
            rectify(target, target)
            copy(target, image_of(kept[number], image, height, width, conv.outputs))
        new = image_of(made, image, height, width, convs[last].outputs)
        base = source if chain.residual else zeros_like(new)
        begin(new, base, bias_of(biases, convs[last].biases, image, chain.biases, new))
        convolve(read[last], convs[last].window.seen, packed[last], new)


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
    packed = [panels_back(conv, weights) for conv in convs]
    read = [padded_input(conv, height, width) for conv in convs]
    returned = [padded_gradient(conv, height, width) for conv in convs]
    sums = np.zeros(of_weights.size, np.float32)
    for image in range(chain.images):
        came = image_of(back, image, height, width, convs[last].outputs)
        copy(came, returned[last])
        for number in range(last, 0, -1):
            conv, target = convs[number], returned[number - 1]
            copy(image_of(kept[number - 1], image, height, width, conv.inputs), read[number])
            begin(target, zeros_like(target), zeros_like(target))
            convolve(returned[number], conv.window.back, packed[number], target)
            shut(read[number], target, zeros_like(target))
        read_first(chain, image_of(x, image, height, width, convs[0].inputs), read[0])
        if len(made):
            gone = image_of(made, image, height, width, convs[0].inputs)
            base = came if chain.residual else zeros_like(gone)
            begin(gone, zeros_like(gone), zeros_like(gone))
            convolve(returned[0], convs[0].window.back, packed[0], gone)
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
