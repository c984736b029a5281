r"""Generated sets of filled shapes, 20x20: `shapes` in 2 levels and `color-shapes` in 3 x 4 levels.

A shape is a square, a disc, a triangle or a cross of side s, 5 to 14, anywhere in the frame. Kind,
side and place are drawn uniformly, the place from the :math:`(21 - s)^2` that there are, and no two
choices give the same image. So the entropy, which no model's mean nats can undercut, is known:

.. math:: H = \log 4 + \log 10 + \frac{2}{10} \sum_{s=5}^{14} \log(21 - s) = 8.507

nats for `shapes`. A color is three levels 0..3; ink and paper always differ, and their
:math:`64 \cdot 63` pairs add 8.302 for `color-shapes`.
There are only 5,620 shapes, so most test images occur in training too: the test is of the whole
distribution, not of unseen images.
"""

import math

import torch
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.splits import Images, Splits, rng_of

FRAME = 20
"""Height and width of an image."""

KINDS = ("square", "disc", "triangle", "cross")
"""Names of the classes, in the order of the labels."""

SIDES = range(5, 15)
"""Sides that a shape can have, in pixels."""

LEVELS = 4
"""K of each color."""

_COLORS = LEVELS**3
_CHUNK = 1024  # images painted at a time, so that integers wider than a byte stay few

_COUNTS = {"train": 6000, "validation": 1000, "test": 1000}
_WIDE = 2**31  # numbers to take a remainder of, so many that every remainder is as likely


def load_shapes(config: DataConfig) -> Splits:
    """Binary shapes, (N, 1, 20, 20): 6,000 train, 1,000 validation and 1,000 test images."""
    train, validation, test = (_draw(part, config, colored=False) for part in _COUNTS)
    return Splits(train, validation, test, KINDS, 2)


def load_color_shapes(config: DataConfig) -> Splits:
    """The same shapes in random ink on random paper, 4 levels, (N, 3, 20, 20)."""
    train, validation, test = (_draw(part, config, colored=True) for part in _COUNTS)
    return Splits(train, validation, test, KINDS, LEVELS)


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


def draw_colors(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw colors of ink and of paper, all pairs that differ being equally likely.

    Returns:
        Levels 0..3 of ink and of paper, uint8, (count, 3) each.
    """
    ink = torch.randint(_COLORS, (count,), generator=rng)
    paper = (ink + torch.randint(1, _COLORS, (count,), generator=rng)) % _COLORS
    return _levels_of(ink), _levels_of(paper)


def _levels_of(color: Tensor) -> Tensor:
    places = torch.tensor([LEVELS**2, LEVELS, 1])
    return (color.unsqueeze(1) // places % LEVELS).to(torch.uint8)


def paint(coverage: Tensor, ink: Tensor, paper: Tensor) -> Tensor:
    """Mix ink and paper, rounding to the nearest level.

    Args:
        coverage: How much ink a pixel has, 0..255, uint8, (N, 1, H, W).
        ink: Levels of the ink, (N, 3).
        paper: Levels of the paper, (N, 3).

    Returns:
        Levels 0..3, uint8, (N, 3, H, W).

    Example:
        >>> coverage = torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 1, 1, 3)
        >>> paint(coverage, torch.tensor([[3, 0, 1]]), torch.tensor([[0, 0, 3]]))[0, :, 0].tolist()
        [[0, 3, 2], [0, 0, 0], [3, 1, 2]]
    """
    count, _, height, width = coverage.shape
    levels = torch.empty(count, 3, height, width, dtype=torch.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        levels[part] = _mix(coverage[part], ink[part], paper[part])
    return levels


def _mix(coverage: Tensor, ink: Tensor, paper: Tensor) -> Tensor:
    covered = coverage.to(torch.int16)
    over, under = (color.to(torch.int16)[:, :, None, None] for color in (ink, paper))
    return ((over * covered + under * (255 - covered) + 127) // 255).to(torch.uint8)
