"""Both stacks of a gated layer, forward and back, image by image: compiled, for training on CPUs.

All maps of one image stay in the processor's second cache while they are made and used, where a
layer of separate operations takes every map of the whole batch to memory and back. Maps are
(B, H, W, F), flat. Images are independent, so a batch may be split anywhere.
"""

from typing import NamedTuple

import numpy as np

from nextpixel.native.compiling import compiled, inlined
from nextpixel.native.gates import gate_back16
from nextpixel.native.grids import (
    Grid,
    Window,
    begin,
    convolve,
    correlate,
    gather,
    image_of,
    pad,
    place,
    room,
    vector_of,
    within,
)
from nextpixel.native.vectors import WIDTH, add16, gate16


class Layout(NamedTuple):
    """Sizes of a layer's maps, and what its convolutions see.

    Attributes:
        images: B.
        height: H.
        width: W.
        inputs: Features of the stacks that it reads.
        features: F, of those that it gives; gates read twice as many.
        vertical: Taps of the vertical convolution.
        horizontal: Taps of the horizontal one.
        link: The place itself, with 2 F inputs.
        out: The place itself, with F inputs.
        mixes: Whether the last 1x1 convolution is part of it.
        residual: Whether the horizontal stack that it reads is added behind that.
    """

    images: int
    height: int
    width: int
    inputs: int
    features: int
    vertical: Window
    horizontal: Window
    link: Window
    out: Window
    mixes: bool
    residual: bool


@compiled
def gate(source, told, target, height, width, features):
    """Open the gates of a grid, with what they are told added."""
    both = np.empty(2 * features, np.float32)
    for row in range(height):
        for column in range(width):
            here, also = place(source, row, column), place(told, row, column)
            to = place(target, row, column)
            for f in range(0, 2 * features, WIDTH):
                add16(both, f, source.data, here + f, told.data, also + f)
            for f in range(0, features, WIDTH):
                gate16(target.data, to + f, both, f, both, features + f)


@compiled
def gate_back(source, told, came, target, height, width, features):
    """Gradients of what `gate` was given."""
    both = np.empty(2 * features, np.float32)
    for row in range(height):
        for column in range(width):
            here, also = place(source, row, column), place(told, row, column)
            to, back = place(target, row, column), place(came, row, column)
            for f in range(0, 2 * features, WIDTH):
                add16(both, f, source.data, here + f, told.data, also + f)
            for f in range(0, features, WIDTH):
                x, y, g = f, features + f, back + f
                gate_back16(target.data, to + x, to + y, both, x, y, came.data, g)


@compiled
def forward(layout, weights, added, stacks, kept, made):
    """Both stacks: what the gates read is kept, what they give is made.

    Args:
        layout: Of the layer.
        weights: Of the vertical convolution, the horizontal one, the link, and the last one.
        added: To the vertical convolution, to the horizontal one with the link, and in the vertical
            gate, (B or 1, 2 F); behind the last convolution, (1, F).
        stacks: The vertical and the horizontal one, (B, H, W, inputs).
        kept: Room for what the two gates read, (B, H, W, 2 F).
        made: Room for the new stacks, (B, H, W, F); without the last convolution the second is what
            the horizontal gates give.
    """
    height, width, inputs, features = layout.height, layout.width, layout.inputs, layout.features
    vertical, horizontal, both = layout.vertical, layout.horizontal, 2 * features
    room_v, room_h = room(vertical, height, width, inputs), room(horizontal, height, width, inputs)
    inner_v = within(room_v, vertical.top, vertical.left)
    inner_h = within(room_h, horizontal.top, horizontal.left)
    zeros = np.zeros(both, np.float32)
    opened, nothing = room(layout.out, height, width, features), Grid(zeros, 0, 0, 0)
    for image in range(layout.images):
        above, row = [image_of(maps, image, height, width, both) for maps in kept]
        v, h = [image_of(maps, image, height, width, inputs) for maps in stacks]
        new_v, new_h = [image_of(maps, image, height, width, features) for maps in made]
        pad(v, inner_v, height, width * inputs)
        pad(h, inner_h, height, width * inputs)
        begin(above, nothing, vector_of(added[0], image, both), height, width, both)
        begin(row, nothing, vector_of(added[1], image, both), height, width, both)
        convolve(room_v, vertical.seen, weights[0], above, height, width, both)
        convolve(room_h, horizontal.seen, weights[1], row, height, width, both)
        convolve(above, layout.link.seen, weights[2], row, height, width, both)
        gate(above, vector_of(added[2], image, both), new_v, height, width, features)
        if layout.mixes:
            gate(row, nothing, opened, height, width, features)
            base = h if layout.residual else nothing
            begin(new_h, base, vector_of(added[3], image, features), height, width, features)
            convolve(opened, layout.out.seen, weights[3], new_h, height, width, features)
        else:
            gate(row, nothing, new_h, height, width, features)


@compiled
def backward(layout, weights, told, stacks, kept, back, made, sums):
    """Gradients of `forward`.

    Args:
        layout: As in `forward`, and so are `stacks` and `kept`.
        weights: For the way back: panels of inputs.
        told: What was added in the vertical gate.
        stacks: See there.
        kept: See there.
        back: What came back to what was made, (B, H, W, F).
        made: Room for the gradients of both stacks, (B, H, W, inputs); empty where none is asked.
        sums: Zeros, (B, ...): an image's gradients of the weights and of what is added, in order.
    """
    height, width, inputs, features = layout.height, layout.width, layout.inputs, layout.features
    vertical, horizontal, both = layout.vertical, layout.horizontal, 2 * features
    room_v, room_h = room(vertical, height, width, inputs), room(horizontal, height, width, inputs)
    inner_v = within(room_v, vertical.top, vertical.left)
    inner_h = within(room_h, horizontal.top, horizontal.left)
    wide_v, wide_h = room(vertical, height, width, both), room(horizontal, height, width, both)
    back_v, back_h = within(wide_v, 0, vertical.right), within(wide_h, 0, horizontal.right)
    zeros = np.zeros(max(both, inputs), np.float32)
    gates, nothing = room(layout.out, height, width, features), Grid(zeros, 0, 0, 0)
    for image in range(layout.images):
        above, row = [image_of(maps, image, height, width, both) for maps in kept]
        v, h = [image_of(maps, image, height, width, inputs) for maps in stacks]
        came_v, came_h = [image_of(maps, image, height, width, features) for maps in back]
        at_v, at_h, at_link, at_out, at_added = _places(
            layout, image * (len(sums) // layout.images)
        )
        gate_back(above, vector_of(told, image, both), came_v, back_v, height, width, features)
        gather(back_v, sums, at_added + 2 * both, height, width, both)
        if layout.mixes:
            _mix_back(
                layout, row, came_h, weights[3], gates, sums, at_out, at_added + 3 * both, nothing
            )
            came = gates
        else:
            came = came_h
        gate_back(row, nothing, came, back_h, height, width, features)
        gather(back_h, sums, at_added + both, height, width, both)
        convolve(back_h, layout.link.seen, weights[2], back_v, height, width, both)
        gather(back_v, sums, at_added, height, width, both)
        pad(v, inner_v, height, width * inputs)
        pad(h, inner_h, height, width * inputs)
        correlate(room_v, vertical.seen, back_v, sums, at_v, height, width, both)
        correlate(room_h, horizontal.seen, back_h, sums, at_h, height, width, both)
        correlate(above, layout.link.seen, back_h, sums, at_link, height, width, both)
        base = came_h if layout.residual else nothing
        _stack_back(layout, wide_v, vertical, weights[0], nothing, made[0], image, nothing)
        _stack_back(layout, wide_h, horizontal, weights[1], base, made[1], image, nothing)


@inlined
def _places(layout, at):
    """Where the sums of an image begin: of the four weights, and of what is added."""
    both = 2 * layout.features
    at_h = at + layout.vertical.seen.total * both
    at_link = at_h + layout.horizontal.seen.total * both
    at_out = at_link + both * both
    return at, at_h, at_link, at_out, at_out + layout.features * layout.features * layout.mixes


@compiled
def _mix_back(layout, row, came, weights, gates, sums, at, at_bias, nothing):
    """Gradients of the last convolution, and in `gates` what it sends back to them."""
    height, width, features = layout.height, layout.width, layout.features
    gate(row, nothing, gates, height, width, features)
    correlate(gates, layout.out.seen, came, sums, at, height, width, features)
    gather(came, sums, at_bias, height, width, features)
    begin(gates, nothing, nothing, height, width, features)
    convolve(came, layout.out.seen, weights, gates, height, width, features)


@compiled
def _stack_back(layout, wide, window, weights, base, made, image, nothing):
    """The gradient of a stack if it is asked for: a base, and what its convolution sends back."""
    if len(made):
        height, width, inputs = layout.height, layout.width, layout.inputs
        new = image_of(made, image, height, width, inputs)
        begin(new, base, nothing, height, width, inputs)
        convolve(wide, window.back, weights, new, height, width, inputs)
