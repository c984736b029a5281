"""Convolutions of a layer in training, and what fused layers share: maps, taps, who may use them.

Kernels read and write memory as it lies: maps as (B, H, W, F), float32, with features that fill
whole vectors. Weights of all convolutions of a layer lie one after the other, each (outputs, taps,
inputs), as torch has them with features innermost. A panel holds what belongs to 16 features, side
by side.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nextpixel.accelerate.grids import Grid, Spans, Window, padded
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import WIDTH, copy16


class Conv(NamedTuple):
    """One convolution.

    Attributes:
        inputs: Features that it reads.
        outputs: Features that it gives.
        taps: Places that it sees.
        weights: Where its weights begin among those of the layer.
        biases: Where its biases begin.
        window: Where the taps lie.
    """

    inputs: int
    outputs: int
    taps: int
    weights: int
    biases: int
    window: Window


@inlined
def weights_of(conv, weights):
    """The weights of a convolution among those of its layer, or their gradients."""
    return weights[conv.weights : conv.weights + conv.outputs * conv.taps * conv.inputs]


@inlined
def padded_input(conv, height, width):
    """A map of what a convolution reads, with zeros around it."""
    window = conv.window
    return padded(window, height, width, conv.inputs, window.top, window.left)


@inlined
def padded_gradient(conv, height, width):
    """A map of what comes back to a convolution, with zeros around it."""
    return padded(conv.window, height, width, conv.outputs, 0, conv.window.right)


@inlined
def bias_of(biases, start, image, of_all, grid):
    """Biases at all places of a map: from `start` on, of (B, of_all) or of (1, of_all) for all."""
    at = start + (image * of_all if len(biases) > of_all else 0)
    return Grid(biases, at, 0, 0, grid.height, grid.width, grid.features)


@compiled
def panels(conv, weights):
    """(outputs, taps, inputs) -> (outputs / 16, taps, inputs, 16), for the way forward."""
    source, size, to = weights_of(conv, weights), conv.taps * conv.inputs, 0
    made = np.empty(source.size, np.float32)
    for o in range(0, conv.outputs, WIDTH):
        for k in range(size):
            for k16 in range(WIDTH):
                made[to + k16] = source[(o + k16) * size + k]
            to += WIDTH
    return made


@compiled
def panels_back(conv, weights):
    """(outputs, taps, inputs) -> (inputs / 16, taps, outputs, 16), for the way back."""
    source, to = weights_of(conv, weights), 0
    made = np.empty(source.size, np.float32)
    for i in range(0, conv.inputs // WIDTH * WIDTH, WIDTH):  # none goes back to an image's planes
        for tap in range(conv.taps):
            for o in range(conv.outputs):
                at = (o * conv.taps + tap) * conv.inputs + i
                copy16(made, to, source, at, source, at)
                to += WIDTH
    return made


@compiled
def turn(conv, sums, of_weights):
    """Gradients (taps, inputs, outputs) -> (outputs, taps, inputs)."""
    found, made = weights_of(conv, sums), weights_of(conv, of_weights)
    size = conv.taps * conv.inputs
    for o in range(0, conv.outputs, WIDTH):
        for k in range(size):
            for k16 in range(WIDTH):
                made[(o + k16) * size + k] = found[k * conv.outputs + o + k16]


Taps = tuple[tuple[int, int], ...]
"""Rows and columns from a place to what it sees, in the order of the weights."""


def usable(*maps: Tensor) -> bool:
    """Whether kernels can read maps and, where asked for, make their gradients."""
    return all(map(_plain, maps))


def _plain(x: Tensor) -> bool:
    whole = x.shape[1] % WIDTH == 0 or not x.requires_grad
    return whole and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0


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


def convs(taps: Sequence[Taps], sizes: Sequence[tuple[int, int]], width: int) -> tuple[Conv, ...]:
    """Convolutions whose weights and biases are joined, from their taps, outputs and inputs."""
    made: list[Conv] = []
    weights = biases = 0
    for seen, (outputs, inputs) in zip(taps, sizes, strict=True):
        where = _window(seen, width, inputs, outputs)
        made.append(Conv(inputs, outputs, len(seen), weights, biases, where))
        weights, biases = weights + len(seen) * inputs * outputs, biases + outputs
    return tuple(made)


@cache
def _window(taps: Taps, width: int, inputs: int, outputs: int) -> Window:
    """Where taps lie in maps of a width that have zeros around them."""
    top = max(-row for row, _ in taps)
    left = max(0, *(-column for _, column in taps))
    right = max(0, *(column for _, column in taps))
    columns = left + width + right
    seen = [(row * columns + column) * inputs for row, column in taps]
    back = [-(row * columns + column) * outputs for row, column in taps]
    return Window(top, left, right, _spans(seen, inputs), _spans(back, outputs))


def _spans(taps: Sequence[int], length: int) -> Spans:
    """Taps that lie side by side as one span of memory."""
    begins: list[int] = []
    lengths: list[int] = []
    for tap in taps:
        if begins and begins[-1] + lengths[-1] == tap:
            lengths[-1] += length
        else:
            begins, lengths = [*begins, tap], [*lengths, length]
    return Spans(np.array(begins, np.int64), np.array(lengths, np.int64), total=length * len(taps))
