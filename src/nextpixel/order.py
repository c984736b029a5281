r"""Scan order: the one definition of "before".

An image of shape (C, H, W) is visited sub-pixel by sub-pixel: rows from the top, columns from the
left, and at each pixel the colors in order (R, then G, then B). With steps numbered i = 0, 1, ...,
the model is

.. math:: p(x) = \prod_i p(x_i \mid x_0, \ldots, x_{i-1}).

Everything else in the package (masks, samplers, audits) asks here what comes before what.

References:
    van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, eq. 1 and 2.
    https://arxiv.org/abs/1601.06759
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

Shape = tuple[int, int, int]
"""Colors, height and width of one image."""


class Step(NamedTuple):
    """One sub-pixel: where the scan stands."""

    row: int
    column: int
    color: int


def steps(shape: Shape) -> Iterator[Step]:
    """Visit every sub-pixel of an image of `shape` (C, H, W) in scan order.

    Example:
        >>> [tuple(step) for step in steps((1, 2, 2))]
        [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]
    """
    colors, height, width = shape
    for row in range(height):
        for column in range(width):
            for color in range(colors):
                yield Step(row, column, color)


def index_of(step: Step, shape: Shape) -> int:
    """Number of steps before `step` in an image of `shape` (C, H, W).

    Example:
        >>> index_of(Step(row=1, column=0, color=2), (3, 2, 2))
        8
    """
    colors, _, width = shape
    return (step.row * width + step.column) * colors + step.color


def step_at(index: int, shape: Shape) -> Step:
    """The step with `index` steps before it; the inverse of `index_of`."""
    colors, _, width = shape
    pixel, color = divmod(index, colors)
    return Step(*divmod(pixel, width), color)


def to_sequence(images: Tensor) -> Tensor:
    """Lay images out in scan order, (B, C, H, W) -> (B, C * H * W)."""
    return images.permute(0, 2, 3, 1).flatten(1)


def from_sequence(sequence: Tensor, shape: Shape) -> Tensor:
    """Undo `to_sequence`, (B, C * H * W) -> (B, C, H, W)."""
    colors, height, width = shape
    return sequence.view(-1, height, width, colors).permute(0, 3, 1, 2)
