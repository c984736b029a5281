"""Convolutions in one operation, each after a ReLU or one alone, for training on a CPU.

A block of a residual net is x + conv(ReLU(... conv(ReLU(x)))). As separate operations, every map of
the batch goes to memory and back between them, and taps that are masked are multiplied with zeros.
Here an image goes through all of a chain at a time (`accelerate.chain_kernels`), and only taps
that some output sees take part. Sums are fused and ordered otherwise than torch's, so values are
the same but for rounding: good enough for gradients.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nextpixel.accelerate import spectral
from nextpixel.accelerate.compiled import WIDTH, Taps, convs, empty, flat, inner, joined, usable

if TYPE_CHECKING:
    from nextpixel.accelerate.chain_kernels import Chain

LARGEST = 256
"""The most features for which `should_fuse`, by measurement on a CPU with AVX-512."""


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
    def forward(ctx: Any, layout: "Chain", x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        from nextpixel.accelerate import chain_kernels

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
        from nextpixel.accelerate import chain_kernels

        weights, x, *kept = ctx.saved_tensors
        made = empty(back, x.shape[3]) if ctx.needs_input_grad[1] else None
        of_weights = torch.empty_like(weights)
        of_biases = x.new_zeros(len(x), ctx.layout.biases)
        chain_kernels.backward(
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
) -> "Chain":
    from nextpixel.accelerate.chain_kernels import Chain

    made = convs(taps, sizes, shape[2])
    return Chain(*shape, made, made[-1].biases + made[-1].outputs, rectified, residual)
