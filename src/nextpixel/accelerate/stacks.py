"""Both stacks of a gated layer in one operation, and a gate alone, for training on a CPU.

With A the vertical convolution, R the horizontal one, L the link, and * over the taps of each:

    a = A * v + bias        r = R * h + L a + bias        v' = gate(a + added)        o = gate(r)

Written as separate operations, most of the time of narrow layers goes into taking maps of the whole
batch to memory and back: padding, cropping, sums, gates and their gradients. Here all of it is done
image by image (`accelerate.stack_kernels`). Sums are fused and ordered otherwise than torch's, so
values are the same but for rounding: good enough for gradients.
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
"""The most features for which `should_fuse`, by measurement on a CPU with AVX-512."""


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
    def forward(ctx: Any, layer: "Layer", *arguments: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's own
        from nextpixel.accelerate import stack_kernels

        *stacks, weights, biases = arguments
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
