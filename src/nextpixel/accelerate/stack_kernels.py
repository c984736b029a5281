"""Both stacks of a gated layer, forward and back, image by image: compiled, for training on CPUs.

All maps of one image stay in the processor's second cache while they are made and used, where a
layer of separate operations takes every map of the whole batch to memory and back. Maps are
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
from nextpixel.accelerate.gates import gate_back16
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
from nextpixel.runtime.vectors import WIDTH, add16, gate16


class Layer(NamedTuple):
    """Convolutions of a gated layer with F features, and what else is part of it.

    Attributes:
        images: B.
        height: H.
        width: W.
        vertical: From the vertical stack to 2 F.
        horizontal: From the horizontal stack to 2 F; its biases are also those of the link.
        link: From 2 F to 2 F at the place itself.
        out: From F to F at the place itself; last.
        opened: Where what is added in the vertical gate begins among the biases.
        biases: How many biases there are, those in the gate among them.
        mixes: Whether the last convolution is part of it.
        residual: Whether the horizontal stack that it reads is added after that.
    """

    images: int
    height: int
    width: int
    vertical: Conv
    horizontal: Conv
    link: Conv
    out: Conv
    opened: int
    biases: int
    mixes: bool
    residual: bool


@compiled
def gate(source, added, target):
    """Open the gates of a map, with something added."""
    features = target.features
    both = np.empty(2 * features, np.float32)
    for row in range(target.height):
        for column in range(target.width):
            here, also = place(source, row, column), place(added, row, column)
            to = place(target, row, column)
            for f in range(0, 2 * features, WIDTH):
                add16(both, f, source.data, here + f, added.data, also + f)
            for f in range(0, features, WIDTH):
                gate16(target.data, to + f, both, f, both, features + f)


@compiled
def gate_back(source, added, came, target):
    """Gradients of what `gate` read."""
    features = came.features
    both = np.empty(2 * features, np.float32)
    for row in range(target.height):
        for column in range(target.width):
            here, also = place(source, row, column), place(added, row, column)
            to, back = place(target, row, column), place(came, row, column)
            for f in range(0, 2 * features, WIDTH):
                add16(both, f, source.data, here + f, added.data, also + f)
            for f in range(0, features, WIDTH):
                x, y, g = f, features + f, back + f
                gate_back16(target.data, to + x, to + y, both, x, y, came.data, g)


@compiled
def forward(layer, weights, biases, stacks, kept, made):
    """Both stacks: what the gates read is kept, what they give is made.

    Args:
        layer: What it consists of.
        weights: Of all convolutions, one after the other.
        biases: Of all convolutions and the vertical gate side by side, (B or 1, all).
        stacks: The vertical and the horizontal one, (B, H, W, inputs).
        kept: Room for what the two gates read, (B, H, W, 2 F).
        made: Room for the new stacks, (B, H, W, F); without the last convolution the second is what
            the horizontal gates give.
    """
    height, width, features = layer.height, layer.width, layer.out.outputs
    vertical, horizontal, link, out = layer.vertical, layer.horizontal, layer.link, layer.out
    packed_v, packed_h, packed_l = [panels(conv, weights) for conv in (vertical, horizontal, link)]
    packed_o = panels(out, weights) if layer.mixes else weights
    read_v, read_h, read_o = [
        padded_input(conv, height, width) for conv in (vertical, horizontal, out)
    ]
    for image in range(layer.images):
        v, h = [image_of(maps, image, height, width, vertical.inputs) for maps in stacks]
        above, row = [image_of(maps, image, height, width, 2 * features) for maps in kept]
        new_v, new_h = [image_of(maps, image, height, width, features) for maps in made]
        copy(v, read_v)
        copy(h, read_h)
        nothing = zeros_like(above)
        begin(above, nothing, bias_of(biases, vertical.biases, image, layer.biases, above))
        begin(row, nothing, bias_of(biases, horizontal.biases, image, layer.biases, row))
        convolve(read_v, vertical.window.seen, packed_v, above)
        convolve(read_h, horizontal.window.seen, packed_h, row)
        convolve(above, link.window.seen, packed_l, row)
        gate(above, bias_of(biases, layer.opened, image, layer.biases, above), new_v)
        if layer.mixes:
            gate(row, nothing, read_o)
            base = h if layer.residual else zeros_like(new_h)
            begin(new_h, base, bias_of(biases, out.biases, image, layer.biases, new_h))
            convolve(read_o, out.window.seen, packed_o, new_h)
        else:
            gate(row, nothing, new_h)


@compiled
def backward(layer, weights, biases, stacks, kept, back, made, of_weights, of_biases):
    """Gradients of `forward`.

    Args:
        layer: As in `forward`.
        weights: See there.
        biases: See there.
        stacks: See there.
        kept: See there.
        back: What comes back to what was made, (B, H, W, F).
        made: Room for the gradients of both stacks, (B, H, W, inputs); empty where none is asked.
        of_weights: Room for the gradient of `weights`.
        of_biases: Zeros, to which those of `biases` are added for each image, (B, all).
    """
    height, width, features = layer.height, layer.width, layer.out.outputs
    vertical, horizontal, link, out = layer.vertical, layer.horizontal, layer.link, layer.out
    packed_l = panels_back(link, weights)
    packed_v, packed_h = [panels_back(conv, weights) for conv in (vertical, horizontal)]
    packed_o = panels_back(out, weights) if layer.mixes else weights
    read_v, read_h, gates = [
        padded_input(conv, height, width) for conv in (vertical, horizontal, out)
    ]
    back_v, back_h = [padded_gradient(conv, height, width) for conv in (vertical, horizontal)]
    sums = np.zeros(of_weights.size, np.float32)
    for image in range(layer.images):
        v, h = [image_of(maps, image, height, width, vertical.inputs) for maps in stacks]
        above, row = [image_of(maps, image, height, width, 2 * features) for maps in kept]
        came_v, came_h = [image_of(maps, image, height, width, features) for maps in back]
        at, nothing = image * layer.biases, zeros_like(above)
        gate_back(above, bias_of(biases, layer.opened, image, layer.biases, above), came_v, back_v)
        gather(back_v, of_biases, at + layer.opened)
        came = came_h
        if layer.mixes:
            gate(row, nothing, gates)
            correlate(gates, out.window.seen, came_h, sums, out.weights)
            gather(came_h, of_biases, at + out.biases)
            begin(gates, nothing, nothing)
            convolve(came_h, out.window.back, packed_o, gates)
            came = gates
        gate_back(row, nothing, came, back_h)
        gather(back_h, of_biases, at + horizontal.biases)
        convolve(back_h, link.window.back, packed_l, back_v)
        gather(back_v, of_biases, at + vertical.biases)
        copy(v, read_v)
        copy(h, read_h)
        correlate(read_v, vertical.window.seen, back_v, sums, vertical.weights)
        correlate(read_h, horizontal.window.seen, back_h, sums, horizontal.weights)
        correlate(above, link.window.seen, back_h, sums, link.weights)
        if len(made[0]):
            gone = image_of(made[0], image, height, width, vertical.inputs)
            begin(gone, zeros_like(gone), zeros_like(gone))
            convolve(back_v, vertical.window.back, packed_v, gone)
        if len(made[1]):
            gone = image_of(made[1], image, height, width, horizontal.inputs)
            begin(gone, came_h if layer.residual else zeros_like(gone), zeros_like(gone))
            convolve(back_h, horizontal.window.back, packed_h, gone)
    for conv in (vertical, horizontal, link):
        turn(conv, sums, of_weights)
    if layer.mixes:
        turn(out, sums, of_weights)
