r"""Generated sets of filled shapes, 20x20: `shapes` in 2 levels and `color-shapes` in 3 x 4 levels.

A shape is a square, a disc, a triangle or a cross of side s, 5 to 14, anywhere in the frame. Kind,
side and place are drawn uniformly, the place from the :math:`(21 - s)^2` that there are, and no two
choices give the same image. So the entropy, which no model's mean nats can undercut, is known:

.. math:: H = \log 4 + \log 10 + \frac{2}{10} \sum_{s=5}^{14} \log(21 - s) = 8.507

nats for `shapes`; the :math:`64 \cdot 63` pairs of ink and paper add 8.302 for `color-shapes`.
There are only 5,620 shapes, so most test images occur in training too: the test is of the whole
distribution, not of unseen images.
"""

import math

import torch
from torch import Tensor

from nextpixel.data.colors import LEVELS, draw_colors, paint
from nextpixel.data.config import DataConfig
from nextpixel.data.parts import Images, Parts
from nextpixel.data.seeds import rng_of

FRAME = 20
"""Height and width of an image."""

KINDS = ("square", "disc", "triangle", "cross")
"""Names of the classes, in the order of the labels."""

SIDES = range(5, 15)
"""Sides that a shape can have, in pixels."""

_COUNTS = {"train": 6000, "validation": 1000, "test": 1000}
_WIDE = 2**31  # numbers to take a remainder of, so many that every remainder is as likely


def load_shapes(config: DataConfig) -> Parts:
    """Binary shapes, (N, 1, 20, 20): 6,000 train, 1,000 validation and 1,000 test images."""
    train, validation, test = (_draw(part, config, colored=False) for part in _COUNTS)
    return Parts(train, validation, test, KINDS, 2)


def load_color_shapes(config: DataConfig) -> Parts:
    """The same shapes in random ink on random paper, 4 levels, (N, 3, 20, 20)."""
    train, validation, test = (_draw(part, config, colored=True) for part in _COUNTS)
    return Parts(train, validation, test, KINDS, LEVELS)


def entropy(*, colored: bool) -> float:
    """Nats an image: what a perfect model of the set needs on average.

    Example:
        >>> round(entropy(colored=False), 3), round(entropy(colored=True), 3)
        (8.507, 16.809)
    """
    places = sum(2 * math.log(FRAME + 1 - side) for side in SIDES) / len(SIDES)
    colors = math.log(LEVELS**3 * (LEVELS**3 - 1)) if colored else 0.0
    return math.log(len(KINDS)) + math.log(len(SIDES)) + places + colors


def _draw(part: str, config: DataConfig, *, colored: bool) -> Images:
    rng = rng_of(config.seed, "shapes", part)
    asked = config.validation if part == "validation" else None
    count = _COUNTS[part] if asked is None else asked
    kind = torch.randint(len(KINDS), (count,), generator=rng)
    side = torch.randint(SIDES.start, SIDES.stop, (count,), generator=rng)
    top, left = torch.randint(_WIDE, (2, count), generator=rng) % (FRAME + 1 - side)
    levels = paint_shapes(kind, side, top, left)
    return Images(paint(levels * 255, *draw_colors(count, rng)) if colored else levels, kind)


def paint_shapes(kind: Tensor, side: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Paint one shape an image.

    Args:
        kind: Index into `KINDS`, (N,).
        side: Height and width in pixels, (N,).
        top: First row of the shape, (N,).
        left: First column of the shape, (N,).

    Returns:
        Levels 0 and 1, uint8, (N, 1, 20, 20).

    Example:
        >>> one = torch.tensor([1])
        >>> disc = paint_shapes(kind=one, side=5 * one, top=0 * one, left=0 * one)
        >>> disc[0, 0, :5, :5].tolist()
        [[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]]
    """
    s = side.view(-1, 1, 1)
    # Distance from the shape's center in half pixels, so that even sides have a center too.
    rows = 2 * (torch.arange(FRAME).view(1, -1, 1) - top.view(-1, 1, 1)) - s + 1
    columns = 2 * (torch.arange(FRAME).view(1, 1, -1) - left.view(-1, 1, 1)) - s + 1
    inside = (rows.abs() < s) & (columns.abs() < s)
    forms = [
        inside,
        rows**2 + columns**2 <= s**2,
        inside & (2 * columns.abs() <= rows + s + 1),
        inside & (3 * torch.minimum(rows.abs(), columns.abs()) <= s),
    ]
    chosen = torch.stack(forms)[kind, torch.arange(len(kind))]
    return chosen.to(torch.uint8).unsqueeze(1)
