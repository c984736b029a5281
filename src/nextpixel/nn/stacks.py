"""Both stacks of a gated layer in one operation, for training on a CPU.

With A the vertical convolution, R the horizontal one, L the link, and * over the taps of each:

    a = A * v + bias        r = R * h + L a + bias        v' = gate(a + told)        o = gate(r)

Written as separate operations, most of the time of narrow layers goes into taking maps of the whole
batch to memory and back: padding, cropping, sums, gates and their gradients. Here all of it is done
image by image (`nn.stack_kernels`). Sums are fused and ordered otherwise than torch's, so values
are the same but for rounding: good enough for gradients. Evaluation never does this.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from nextpixel.native.grids import Stretches, Window
    from nextpixel.nn.stack_kernels import Layout

Taps = tuple[tuple[int, int], ...]
"""Rows and columns from a place to what it sees, in the order of the weights."""

WIDTH = 16
"""Features must be a multiple of it; see `nextpixel.native.vectors`."""

LARGEST = 128
"""The most features for which `pays`, by measurement on a CPU with AVX-512."""


def pays(stacks: tuple[Tensor, Tensor], features: int) -> bool:
    """Whether `both_stacks` can be used, and is expected to be faster than torch's operations."""
    fits = features % WIDTH == 0 and features <= LARGEST
    eager = not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling())
    return fits and eager and torch.is_grad_enabled() and all(map(_plain, stacks)) and _has_numba()


def _plain(x: Tensor) -> bool:
    """Whether kernels can read a stack and, where it is asked for, make its gradient."""
    whole = x.shape[1] % WIDTH == 0 or not x.requires_grad
    return whole and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0


@cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


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
    if len(weights) == 3:
        features = len(weights[0]) // 2
        weights = [*weights, weights[0].new_empty(0, features, 1)]
        added, residual = [*added, added[0].new_empty(1, 0)], False
    apply: Any = _BothStacks.apply
    made: tuple[Tensor, Tensor] = apply(taps, residual, *stacks, *weights, *added)
    return made


class _BothStacks(torch.autograd.Function):
    """The kernels and their gradient."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        taps: tuple[Taps, Taps],
        residual: bool,  # noqa: FBT001 - torch passes no keywords
        *given: Tensor,
    ) -> tuple[Tensor, ...]:
        from nextpixel.nn import stack_kernels

        stacks, weights, added = [_inner(x) for x in given[:2]], given[2:6], given[6:]
        layout = _layout(taps, stacks[0].shape, len(weights[0]) // 2, len(weights[3]) > 0, residual)
        shape = stacks[0].shape[:3]
        kept = [stacks[0].new_empty(*shape, 2 * layout.features) for _ in range(2)]
        made = [stacks[0].new_empty(*shape, layout.features) for _ in range(2)]
        stack_kernels.forward(
            layout, _flat(map(_panels, weights)), *map(_flat, (added, stacks, kept, made))
        )
        ctx.save_for_backward(*stacks, *weights, *added, *kept)
        ctx.layout = layout
        return tuple(one.permute(0, 3, 1, 2) for one in made)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        from nextpixel.nn import stack_kernels

        saved = ctx.saved_tensors
        stacks, weights, added, kept = saved[:2], saved[2:6], saved[6:10], saved[10:]
        asked = ctx.needs_input_grad[2:4]
        made = [torch.empty_like(x if ask else x[:0]) for x, ask in zip(stacks, asked, strict=True)]
        told = added[2]
        sizes = [*(one.numel() for one in weights), *(one[:1].numel() for one in added)]
        sums = told.new_zeros(len(stacks[0]), sum(sizes))
        stack_kernels.backward(
            ctx.layout,
            _flat(map(_panels_back, weights)),
            *_flat([told]),
            *map(_flat, (stacks, kept, map(_inner, back), made)),
            *_flat([sums]),
        )
        of_stacks = (one.permute(0, 3, 1, 2) if len(one) else None for one in made)
        return None, None, *of_stacks, *_summed(sums, sizes, weights, added)


def _summed(
    sums: Tensor, sizes: list[int], weights: Sequence[Tensor], added: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Gradients of the weights, and of what was added, from those of each image."""
    totals = torch.split(sums.sum(0), sizes)
    for weight, total in zip(weights, totals[:4], strict=True):
        yield _turned(total.view(weight.shape[2], weight.shape[1], weight.shape[0]))
    for one, each, total in zip(added, torch.split(sums, sizes, 1)[4:], totals[4:], strict=True):
        yield total.unsqueeze(0) if len(one) == 1 else each


def _inner(x: Tensor) -> Tensor:
    """(B, F, H, W) -> (B, H, W, F), contiguous."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _turned(weight: Tensor) -> Tensor:
    """(outputs, inputs, taps) -> (taps, inputs, outputs), and the other way."""
    return weight.permute(2, 1, 0)


def _panels(weight: Tensor) -> Tensor:
    """(outputs, inputs, taps) -> (outputs / 16, taps, inputs, 16), contiguous."""
    return (
        weight.reshape(len(weight) // WIDTH, WIDTH, *weight.shape[1:])
        .permute(0, 3, 2, 1)
        .contiguous()
    )


def _panels_back(weight: Tensor) -> Tensor:
    """(outputs, inputs, taps) -> (inputs / 16, taps, outputs, 16); none of an image's planes."""
    weight = weight.transpose(0, 1)
    return _panels(weight[: len(weight) // WIDTH * WIDTH])


def _flat(tensors: Iterable[Tensor]) -> tuple[Any, ...]:
    """What kernels read: they take memory as it lies, so it must be float32."""
    tensors = list(tensors)
    assert all(one.dtype == torch.float32 for one in tensors)
    return tuple(one.detach().contiguous().view(-1).numpy() for one in tensors)


@cache
def _layout(
    taps: tuple[Taps, Taps],
    shape: tuple[int, ...],
    features: int,
    mixes: bool,  # noqa: FBT001 - as a key of the cache
    residual: bool,  # noqa: FBT001
) -> "Layout":
    from nextpixel.nn.stack_kernels import Layout

    images, height, width, inputs = shape
    vertical, horizontal = (_window(one, width, inputs, 2 * features) for one in taps)
    link, out = (_window(((0, 0),), width, count, count) for count in (2 * features, features))
    return Layout(
        images=images,
        height=height,
        width=width,
        inputs=inputs,
        features=features,
        vertical=vertical,
        horizontal=horizontal,
        link=link,
        out=out,
        mixes=mixes,
        residual=residual,
    )


@cache
def _window(taps: Taps, width: int, inputs: int, outputs: int) -> "Window":
    """Where the taps lie in images of a width, with zeros around them."""
    from nextpixel.native.grids import Window

    top = max(-row for row, _ in taps)
    left, right = max(-column for _, column in taps), max(column for _, column in taps)
    columns = left + width + right
    seen = [((row + top) * columns + column + left) * inputs for row, column in taps]
    back = [(-row * columns - column + right) * outputs for row, column in taps]
    return Window(top, left, right, _stretches(seen, inputs), _stretches(back, outputs))


def _stretches(taps: Sequence[int], length: int) -> "Stretches":
    """Taps that lie side by side as one stretch of memory."""
    from nextpixel.native.grids import Stretches

    begins: list[int] = []
    lengths: list[int] = []
    for tap in taps:
        if begins and begins[-1] + lengths[-1] == tap:
            lengths[-1] += length
        else:
            begins, lengths = [*begins, tap], [*lengths, length]
    return Stretches(
        np.array(begins, np.int64), np.array(lengths, np.int64), total=length * len(taps)
    )
