"""Both stacks of a gated layer in one operation, for training on a CPU.

With A the vertical convolution, R the horizontal one, L the link, and * over the taps of each:

    a = A * v + bias        r = R * h + L a + bias        v' = gate(a + told)        o = gate(r)

Written as separate operations, most of the time of narrow layers goes into taking maps of the whole
batch to memory and back: padding, cropping, sums, gates and their gradients. Here all of it is done
image by image (`nn.stack_kernels`). Sums are fused and ordered otherwise than torch's, so values
are the same but for rounding: good enough for gradients. Evaluation never does this.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nextpixel.accelerate.compiled import WIDTH, Taps, convs, empty, flat, inner, joined, usable

if TYPE_CHECKING:
    from nextpixel.accelerate.stack_kernels import Layer

LARGEST = 128
"""The most features for which `pays`, by measurement on a CPU with AVX-512."""


def pays(stacks: tuple[Tensor, Tensor], features: int) -> bool:
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
            gate, (B or 1, 2 F); behind the last convolution, (1, F).
        residual: Whether the horizontal stack is added behind the last convolution.

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
    def forward(ctx: Any, layer: "Layer", *given: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's own
        from nextpixel.accelerate import stack_kernels

        *stacks, weights, biases = given
        features = layer.out.outputs
        kept = [inner(empty(stacks[0], 2 * features)) for _ in stacks]
        made = [empty(stacks[0], features) for _ in stacks]
        stacks = [inner(stack) for stack in stacks]
        stack_kernels.forward(
            layer, *flat([weights, biases]), *map(flat, (stacks, kept, map(inner, made)))
        )
        ctx.save_for_backward(weights, biases, *stacks, *kept)
        ctx.layer = layer
        return tuple(made)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        from nextpixel.accelerate import stack_kernels

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
        stack_kernels.backward(
            ctx.layer,
            *flat([weights, biases]),
            *map(flat, (stacks, kept, map(inner, back))),
            flat(weights[:0] if one is None else inner(one) for one in made),
            *flat([of_weights, of_biases]),
        )
        return None, *made, of_weights, of_biases.sum_to_size(biases.shape)


@cache
def _layer(
    taps: tuple[Taps, Taps],
    shape: tuple[int, int, int],
    inputs: int,
    features: int,
    mixes: bool,  # noqa: FBT001 - as a key of the cache
    residual: bool,  # noqa: FBT001
) -> "Layer":
    from nextpixel.accelerate.stack_kernels import Layer

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
