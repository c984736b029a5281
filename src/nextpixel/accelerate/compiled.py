"""What layers share that are compiled for training on a CPU: who may take them, maps and taps.

Their kernels read and write memory as it lies: maps as (B, H, W, F), float32, with features that
fill whole vectors.
"""

import importlib.util
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from nextpixel.accelerate.convs import Conv
    from nextpixel.accelerate.grids import Spans, Window

Taps = tuple[tuple[int, int], ...]
"""Rows and columns from a place to what it sees, in the order of the weights."""

WIDTH = 16
"""Features must be a multiple of it; see `nextpixel.runtime.vectors`."""


def usable(*maps: Tensor) -> bool:
    """Whether kernels can read maps and, where asked for, make their gradients."""
    return all(map(_plain, maps)) and has_numba()


def _plain(x: Tensor) -> bool:
    whole = x.shape[1] % WIDTH == 0 or not x.requires_grad
    return whole and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0


@cache
def has_numba() -> bool:
    """Whether kernels can be compiled."""
    return importlib.util.find_spec("numba") is not None


def inner(x: Tensor) -> Tensor:
    """(B, F, H, W) -> (B, H, W, F), contiguous."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def empty(x: Tensor, features: int) -> Tensor:
    """Room for a map of as many places, (B, F, H, W), with features innermost in memory."""
    size = (len(x), features, *x.shape[2:])
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def flat(tensors: Iterable[Tensor]) -> tuple[Any, ...]:
    """Memory of contiguous tensors, as kernels read and write it."""
    tensors = list(tensors)
    assert all(one.dtype == torch.float32 for one in tensors)
    return tuple(one.detach().view(-1).numpy() for one in tensors)


def joined(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Weights and biases of several convolutions, each as one tensor.

    Args:
        weights: Of each, (outputs, inputs, taps).
        biases: Of each, (B or 1, outputs).

    Returns:
        All weights, each (outputs, taps, inputs), flat; all biases side by side, (B or 1, all).
    """
    rows = max(map(len, biases))
    return (
        torch.cat([weight.transpose(1, 2).flatten() for weight in weights]),
        torch.cat([bias.expand(rows, -1) for bias in biases], 1),
    )


def convs(taps: Sequence[Taps], sizes: Sequence[tuple[int, int]], width: int) -> tuple["Conv", ...]:
    """Convolutions whose weights and biases are joined, from their taps, outputs and inputs."""
    from nextpixel.accelerate.convs import Conv

    made: list[Conv] = []
    weights = biases = 0
    for seen, (outputs, inputs) in zip(taps, sizes, strict=True):
        where = _window(seen, width, inputs, outputs)
        made.append(Conv(inputs, outputs, len(seen), weights, biases, where))
        weights, biases = weights + len(seen) * inputs * outputs, biases + outputs
    return tuple(made)


@cache
def _window(taps: Taps, width: int, inputs: int, outputs: int) -> "Window":
    """Where taps lie in maps of a width that have zeros around them."""
    from nextpixel.accelerate.grids import Window

    top = max(-row for row, _ in taps)
    left = max(0, *(-column for _, column in taps))
    right = max(0, *(column for _, column in taps))
    columns = left + width + right
    seen = [(row * columns + column) * inputs for row, column in taps]
    back = [-(row * columns + column) * outputs for row, column in taps]
    return Window(top, left, right, _spans(seen, inputs), _spans(back, outputs))


def _spans(taps: Sequence[int], length: int) -> "Spans":
    """Taps that lie side by side as one span of memory."""
    from nextpixel.accelerate.grids import Spans

    begins: list[int] = []
    lengths: list[int] = []
    for tap in taps:
        if begins and begins[-1] + lengths[-1] == tap:
            lengths[-1] += length
        else:
            begins, lengths = [*begins, tap], [*lengths, length]
    return Spans(np.array(begins, np.int64), np.array(lengths, np.int64), total=length * len(taps))
