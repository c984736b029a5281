"""Both stacks of a gated layer in one operation, and a gate alone, for training on a CPU.

With A the vertical convolution, R the horizontal one, L the link, and * over the taps of each:

    a = A * v + bias        r = R * h + L a + bias        v' = gate(a + added)        o = gate(r)

Written as separate operations, most of the time of narrow layers goes into taking maps of the whole
batch to memory and back: padding, cropping, sums, gates and their gradients. Here all of it is done
image by image, so the maps of one image stay in the processor's second cache while they are used.
Sums are fused and ordered otherwise than torch's, so values are the same but for rounding: good
enough for gradients.

In the kernels maps are (B, H, W, F), flat; images are independent, so a batch may be split
anywhere.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nextpixel.accelerate.convs import (
    Conv,
    Taps,
    bias_of,
    convs,
    empty,
    flat,
    inner,
    joined,
    padded_gradient,
    padded_input,
    panels,
    panels_back,
    turn,
    usable,
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
from nextpixel.runtime.vectors import WIDTH, add16, gate16, gate_back16

LARGEST = 128
"""The most features for which `should_fuse`, by measurement on a CPU with AVX-512."""


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


def should_fuse(stacks: tuple[Tensor, Tensor], features: int) -> bool:
    """Whether `both_stacks` can be used, and is expected to be faster than torch's operations."""
    return features % WIDTH == 0 and features <= LARGEST and usable(*stacks)


def both_stacks(
    stacks: tuple[Tensor, Tensor],
    taps: tuple[Taps, Taps],
    weights: Sequence[Tensor],
    added: Sequence[Tensor],
    *,
    residual: bool = False,
) -> tuple[Tensor, Tensor]:
    """Convolutions, link and gates of a layer.

    Args:
        stacks: The vertical and the horizontal one, (B, inputs, H, W), float32.
        taps: Of the two convolutions.
        weights: Of the two, (2 F, inputs, taps), of the link, (2 F, 2 F, 1), and, if it is to be
            part of it, of the last one, (F, F, 1).
        added: To the vertical convolution, to the horizontal one with the link, and in the vertical
            gate, (B or 1, 2 F); after the last convolution, (1, F).
        residual: Whether the horizontal stack is added after the last convolution.

    Returns:
        The vertical stack, and the horizontal one or, without the last convolution, its gates,
        (B, F, H, W), differentiable once.
    """
    images, inputs, *sides = stacks[0].shape
    features, mixes = len(weights[0]) // 2, len(weights) == 4
    layer = _layer(taps, (images, *sides), inputs, features, mixes, mixes and residual)
    apply: Any = _BothStacks.apply
    made: tuple[Tensor, Tensor] = apply(layer, *stacks, *joined(weights, added))
    return made


class _BothStacks(torch.autograd.Function):
    """The kernels and their gradient."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, *arguments: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's own
        *stacks, weights, biases = arguments
        features = layer.out.outputs
        kept = [inner(empty(stacks[0], 2 * features)) for _ in stacks]
        made = [empty(stacks[0], features) for _ in stacks]
        stacks = [inner(stack) for stack in stacks]
        forward_images(
            layer, *flat([weights, biases]), *map(flat, (stacks, kept, map(inner, made)))
        )
        ctx.save_for_backward(weights, biases, *stacks, *kept)
        ctx.layer = layer
        return tuple(made)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        weights, biases, *saved = ctx.saved_tensors
        stacks, kept = saved[:2], saved[2:]
        inputs = stacks[0].shape[3]
        made = [
            empty(one, inputs) if ask else None
            for one, ask in zip(back, ctx.needs_input_grad[1:3], strict=True)
        ]
        of_weights, of_biases = (
            torch.empty_like(weights),
            biases.new_zeros(len(back[0]), biases.shape[1]),
        )
        backward_images(
            ctx.layer,
            *flat([weights, biases]),
            *map(flat, (stacks, kept, map(inner, back))),
            flat(weights[:0] if one is None else inner(one) for one in made),
            *flat([of_weights, of_biases]),
        )
        return None, *made, of_weights, of_biases.sum_to_size(biases.shape)


def gate(x: Tensor) -> Tensor:
    """`nextpixel.nn.gate` with its own gradient, (B, 2 F, H, W) -> (B, F, H, W)."""
    apply: Any = _Gate.apply
    opened: Tensor = apply(x)
    return opened


class _Gate(torch.autograd.Function):
    """One sigmoid over all features, since tanh(a) = 2 s(2a) - 1.

    Torch's tanh costs five times its sigmoid on CPUs, and both several times more on half of the
    features of a tensor that has its features innermost.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        """(B, 2 F, H, W) -> (B, F, H, W)."""
        features = x.shape[1] // 2
        factor = x.new_tensor([2.0, 1.0]).repeat_interleave(features).view(-1, 1, 1)
        both = (x * factor).sigmoid_()
        activation, opening = both[:, :features] * 2 - 1, both[:, features:]
        ctx.save_for_backward(activation, both)
        return activation * opening

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        """(B, F, H, W) -> (B, 2 F, H, W)."""
        activation, both = ctx.saved_tensors
        opening = both[:, activation.shape[1] :]
        opened = gradient * opening
        product = opened * activation
        halves = (
            torch.addcmul(opened, product, activation, value=-1),
            torch.addcmul(product, product, opening, value=-1),
        )
        return torch.cat(halves, 1)


@cache
def _layer(
    taps: tuple[Taps, Taps],
    shape: tuple[int, int, int],
    inputs: int,
    features: int,
    mixes: bool,  # noqa: FBT001 - as a key of the cache
    residual: bool,  # noqa: FBT001
) -> Layer:
    here, both = ((0, 0),), 2 * features
    sizes = [(both, inputs), (both, inputs), (both, both), (features, features)]
    vertical, horizontal, link, out = convs((*taps, here, here), sizes, shape[2])
    return Layer(
        *shape,
        vertical,
        horizontal,
        link,
        out,
        link.biases,
        out.biases + features * mixes,
        mixes,
        residual,
    )


@compiled
def gate_map(source, added, target):
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
def gate_map_back(source, added, came, target):
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
def forward_images(layer, weights, biases, stacks, kept, made):
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
        gate_map(above, bias_of(biases, layer.opened, image, layer.biases, above), new_v)
        if layer.mixes:
            gate_map(row, nothing, read_o)
            base = h if layer.residual else zeros_like(new_h)
            begin(new_h, base, bias_of(biases, out.biases, image, layer.biases, new_h))
            convolve(read_o, out.window.seen, packed_o, new_h)
        else:
            gate_map(row, nothing, new_h)


@compiled
def backward_images(layer, weights, biases, stacks, kept, back, made, of_weights, of_biases):
    """Gradients of `forward_images`.

    Args:
        layer: As in `forward_images`.
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
        gate_map_back(
            above, bias_of(biases, layer.opened, image, layer.biases, above), came_v, back_v
        )
        gather(back_v, of_biases, at + layer.opened)
        came = came_h
        if layer.mixes:
            gate_map(row, nothing, gates)
            correlate(gates, out.window.seen, came_h, sums, out.weights)
            gather(came_h, of_biases, at + out.biases)
            begin(gates, nothing, nothing)
            convolve(came_h, out.window.back, packed_o, gates)
            came = gates
        gate_map_back(row, nothing, came, back_h)
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
