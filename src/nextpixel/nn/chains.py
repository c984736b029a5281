"""Convolutions that each follow a ReLU in one operation, for training on a CPU.

A block of a residual net is x + conv(ReLU(... conv(ReLU(x)))). As separate operations, every map of
the batch goes to memory and back between them, and taps that are masked are multiplied with zeros.
Here an image goes through all of a chain at a time (`nn.chain_kernels`), and only taps that some
output sees take part. Sums are fused and ordered otherwise than torch's, so values are the same
but for rounding: good enough for gradients. Evaluation never does this.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nextpixel.nn import spectral
from nextpixel.nn.compiled import WIDTH, Taps, convs, empty, flat, inner, joined, usable
from nextpixel.nn.conditioner import Given
from nextpixel.nn.conv import ConditionalConv2d

if TYPE_CHECKING:
    from nextpixel.nn.chain_kernels import Chain

LARGEST = 128
"""The most features for which `pays`, by measurement on a CPU with AVX-512."""


def pays(x: Tensor, layers: Sequence[ConditionalConv2d], given: Given) -> bool:
    """Whether `chain` can be used, and is expected to be faster than torch's operations."""
    training = all(layer.training for layer in layers)
    return training and usable(x) and given.everywhere and all(_fits(x, one) for one in layers)


def _fits(x: Tensor, layer: ConditionalConv2d) -> bool:
    weight = layer.conv.weight
    vectors = all(size % WIDTH == 0 and size <= LARGEST for size in weight.shape[:2])
    whole = layer.plain_inputs and layer.conv.bias is not None
    return vectors and whole and not spectral.pays(x, weight)


def chain(
    x: Tensor, layers: Sequence[ConditionalConv2d], given: Given, *, residual: bool
) -> Tensor:
    """ReLU and convolution, one or more times.

    Args:
        x: What the first ReLU hears, (B, inputs, H, W), float32.
        layers: The convolutions.
        given: What they are told, the same at every place.
        residual: Whether `x` is added behind the last convolution.

    Returns:
        (B, outputs, H, W), differentiable once.
    """
    taps = tuple(layer.conv.taps for layer in layers)
    weights = [layer.conv.seen for layer in layers]
    sizes = tuple((len(weight), weight.shape[1]) for weight in weights)
    biases = [layer.told(given) for layer in layers]
    layout = _layout(taps, sizes, (len(x), *x.shape[2:]), residual)
    apply: Any = _Chain.apply
    made: Tensor = apply(layout, x, *joined(weights, biases))
    return made


class _Chain(torch.autograd.Function):
    """The kernels and their gradient."""

    @staticmethod
    def forward(ctx: Any, layout: "Chain", x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        from nextpixel.nn import chain_kernels

        *kept, made = (empty(x, conv.outputs) for conv in layout.convs)
        x, *kept = map(inner, (x, *kept))
        chain_kernels.forward(
            layout, *flat([weights, biases, x]), flat([*kept, x]), *flat([inner(made)])
        )
        ctx.save_for_backward(weights, x, *kept)
        ctx.layout, ctx.rows = layout, len(biases)
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        from nextpixel.nn import chain_kernels

        weights, x, *kept = ctx.saved_tensors
        made, of_weights = empty(back, x.shape[3]), torch.empty_like(weights)
        of_biases = x.new_zeros(len(x), ctx.layout.biases)
        chain_kernels.backward(
            ctx.layout,
            *flat([weights, x]),
            flat([*kept, x]),
            *flat([inner(back), inner(made), of_weights, of_biases]),
        )
        return None, made, of_weights, of_biases.sum_to_size(ctx.rows, ctx.layout.biases)


@cache
def _layout(
    taps: tuple[Taps, ...],
    sizes: tuple[tuple[int, int], ...],
    shape: tuple[int, int, int],
    residual: bool,  # noqa: FBT001 - as a key of the cache
) -> "Chain":
    from nextpixel.nn.chain_kernels import Chain

    made = convs(taps, sizes, shape[2])
    return Chain(*shape, made, made[-1].biases + made[-1].outputs, residual)
