"""Random ink on random paper: what makes a colored set of a gray one.

A color is three levels 0..3, so there are 64; ink and paper always differ.
"""

import torch
from torch import Tensor

LEVELS = 4
"""K of each color."""

_COLORS = LEVELS**3
_CHUNK = 1024  # images painted at a time, so that integers wider than a byte stay few


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
