"""Convolutions in one operation, each after a ReLU or one alone, for training on a CPU.

A block of a residual net is x + conv(ReLU(... conv(ReLU(x)))). As separate operations, every map of
the batch goes to memory and back between them, and taps that are masked are multiplied with zeros.
Here an image goes through all of a chain at a time, so its maps stay in the processor's second
cache, and only taps that some output sees take part. Sums are fused and ordered otherwise than
torch's, so values are the same but for rounding: good enough for gradients.

In the kernels maps are (B, H, W, F), flat; images are independent, so a batch may be split
anywhere.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nextpixel.accelerate import spectral
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
from nextpixel.runtime.vectors import WIDTH, add16, relu16, shut16

LARGEST = 256
"""The most features for which `should_fuse`, by measurement on a CPU with AVX-512."""


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


def should_fuse(x: Tensor, *weights: Tensor) -> bool:
    """Whether `chain` can be used, and is expected to be faster than torch's operations.

    It runs in one thread, so it is for the threads of a run, in each of which torch works alone.

    Args:
        x: What the first convolution, or the ReLU before it, reads.
        weights: Kernels, (outputs, inputs, rows, columns).
    """
    sizes = [*(weight.shape[1] for weight in weights), len(weights[-1])]
    fits = max(sizes) <= LARGEST and not any(size % WIDTH for size in sizes[:-1])
    alone = torch.get_num_threads() == 1
    wide = any(spectral.should_fuse(x, weight) for weight in weights)
    return fits and alone and usable(x) and not wide


def chain(
    x: Tensor,
    taps: Sequence[Taps],
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    *,
    rectified: bool = True,
    residual: bool = False,
) -> Tensor:
    """ReLU and convolution, one or more times.

    Args:
        x: What the first ReLU reads, (B, inputs, H, W), float32.
        taps: Of each convolution.
        weights: Of each, (outputs, inputs, taps).
        biases: Of each, (B or 1, outputs).
        rectified: Whether there is a ReLU before the first convolution.
        residual: Whether `x` is added after the last convolution.

    Returns:
        (B, outputs, H, W), differentiable once.
    """
    outputs = len(weights[-1])
    weights = [*weights[:-1], _filled(weights[-1], 0)]
    biases = [*biases[:-1], _filled(biases[-1], 1)]
    sizes = tuple((len(weight), weight.shape[1]) for weight in weights)
    layout = _layout(tuple(taps), sizes, (len(x), *x.shape[2:]), rectified, residual)
    apply: Any = _Chain.apply
    made: Tensor = apply(layout, x, *joined(weights, biases))
    return made if made.shape[1] == outputs else made[:, :outputs]


def _filled(x: Tensor, dimension: int) -> Tensor:
    """Zeros after the outputs of a convolution, to whole vectors."""
    missing = list(x.shape)
    missing[dimension] = -missing[dimension] % WIDTH
    return torch.cat([x, x.new_zeros(missing)], dimension) if missing[dimension] else x


class _Chain(torch.autograd.Function):
    """The kernels and their gradient."""

    @staticmethod
    def forward(ctx: Any, layout: Chain, x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        *kept, made = (empty(x, conv.outputs) for conv in layout.convs)
        x, *kept = map(inner, (x, *kept))
        forward_images(layout, *flat([weights, biases, x]), flat([*kept, x]), *flat([inner(made)]))
        ctx.save_for_backward(weights, x, *kept)
        ctx.layout, ctx.rows = layout, len(biases)
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        weights, x, *kept = ctx.saved_tensors
        made = empty(back, x.shape[3]) if ctx.needs_input_grad[1] else None
        of_weights = torch.empty_like(weights)
        of_biases = x.new_zeros(len(x), ctx.layout.biases)
        backward_images(
            ctx.layout,
            *flat([weights, x]),
            flat([*kept, x]),
            *flat([inner(back), x[:0] if made is None else inner(made), of_weights, of_biases]),
        )
        return None, made, of_weights, of_biases.sum_to_size(ctx.rows, ctx.layout.biases)


@cache
def _layout(
    taps: tuple[Taps, ...],
    sizes: tuple[tuple[int, int], ...],
    shape: tuple[int, int, int],
    rectified: bool,  # noqa: FBT001 - as a key of the cache
    residual: bool,  # noqa: FBT001
) -> Chain:
    made = convs(taps, sizes, shape[2])
    return Chain(*shape, made, made[-1].biases + made[-1].outputs, rectified, residual)


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
def forward_images(chain, weights, biases, x, kept, made):
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
def backward_images(chain, weights, x, kept, back, made, of_weights, of_biases):
    """Gradients of `forward_images`.

    Args:
        chain: As in `forward_images`.
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
