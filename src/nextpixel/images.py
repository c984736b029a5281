r"""Levels, and the two other things an image can be: pixels, and the network's scale.

Levels are integers 0..K-1 and the public form everywhere. They meet the two others only here:

- pixels v of 8 bits: level = min(K - 1, floor(v K / 255)). At K = 2 that is "v at least 128", at
  K = 256 it is v itself. Of 16 bits likewise, with 65535 in place of 255: at K = 65536 it is v
  itself, at K = 4096 sixteen values become one. `to_pixels` picks, of the pixels that have a level,
  the one nearest to its even share of the values, so `quantize(to_pixels(level))` is the level
  again for every K.
- network scale: x = 2 level / (K - 1) - 1, in [-1, 1], or level / (K - 1), in [0, 1]. On the
  first no level is 0 where K is even (for odd K the middle one is); on the second level 0 is, as
  the zero padding around an image.

All arithmetic on pixels is in integers: truncated floats are a well known source of levels that
    are one too low.
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.errors import check_count

Mask: TypeAlias = Tensor | NDArray[np.bool_]
"""Truth values, a tensor or a NumPy array."""

SCALES = ("symmetric", "unit")
"""Scales of the network: -1 to 1, and 0 to 1."""

MOST_LEVELS = 65_536
"""Of 16 bits."""


def check_levels(levels: int, most: int = MOST_LEVELS) -> None:
    """Refuse a number of levels that images cannot have.

    Raises:
        TypeError: If it is no integer.
        ValueError: Unless 2 <= levels <= most.
    """
    check_count("levels", levels, -most)
    if not 2 <= levels <= most:
        raise ValueError(f"levels must be 2 to {most}, got {levels}")


def check_integers(levels: object, count: int) -> None:
    """Refuse what is no tensor of integers, and say what makes one of it.

    Args:
        levels: What was passed as levels 0..K-1.
        count: K.

    Raises:
        TypeError: With the remedy.
    """
    must = f"levels must be a tensor of integers 0..{count - 1}"
    if not isinstance(levels, Tensor):
        raise TypeError(f"{must}, got {type(levels).__name__}{_remedy(levels)}")
    if levels.is_floating_point() or levels.is_complex():
        remedy = f"(levels * {count - 1}).round().long() makes them of numbers from 0 to 1"
        raise TypeError(f"{must}, got {levels.dtype}; {remedy}")


def _remedy(levels: object) -> str:
    """How a tensor of levels is had of something else."""
    if isinstance(levels, np.ndarray):
        return "; torch.from_numpy(levels) makes one"
    if isinstance(levels, list | tuple):
        return "; torch.tensor(levels) makes one"
    if isinstance(levels, str | Path):
        return "; npx.load_data reads files and named sets, and data.test.levels are levels"
    parts = {"levels": "its .levels are", "test": "its .test.levels are"}
    return next((f"; {text}" for name, text in parts.items() if hasattr(levels, name)), "")


def to_mask(mask: object, name: str) -> Tensor:
    """A mask of truth values, a tensor or a NumPy array, as a tensor.

    Args:
        mask: The mask.
        name: What errors call it.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        return torch.tensor(mask)
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        return mask
    found = getattr(mask, "dtype", type(mask).__name__)
    made = f"; {name} != 0 is one" if isinstance(mask, Tensor | np.ndarray) else ""
    made = f"; torch.tensor({name}) != 0 is one" if isinstance(mask, list) else made
    raise TypeError(f"{name} must be a boolean tensor, got {found}{made}")


def level_dtype(levels: int) -> torch.dtype:
    """What levels are kept as: uint8 up to K = 256, else int32 (torch's uint16 lacks much).

    Example:
        >>> level_dtype(256), level_dtype(257)
        (torch.uint8, torch.int32)
    """
    return torch.uint8 if levels <= 256 else torch.int32


def quantize(pixels: Tensor, levels: int, depth: int = 8) -> Tensor:
    """Map pixels onto K levels; K = 2^depth leaves them as they are.

    Args:
        pixels: Integers 0..2^depth - 1 of any shape.
        levels: K, 2 to 2^depth.
        depth: Bits of a pixel, 8 or 16.

    Returns:
        Levels 0..K-1 as `level_dtype(levels)`, of the same shape.

    Raises:
        ValueError: If there are more levels than pixels have values.

    Example:
        >>> quantize(torch.tensor([0, 127, 128, 255]), 2).tolist()
        [0, 0, 1, 1]
        >>> quantize(torch.tensor([0, 15, 16, 65535]), 4096, depth=16).tolist()
        [0, 0, 1, 4095]
    """
    check_levels(levels, 1 << depth)
    if levels == 1 << depth:
        return pixels.clamp(max=levels - 1).to(level_dtype(levels))
    level = pixels.to(torch.int64) * levels // ((1 << depth) - 1)
    return level.clamp(max=levels - 1).to(level_dtype(levels))


def to_pixels(images: Tensor, levels: int, depth: int = 8) -> Tensor:
    """Map levels onto pixels, evenly spread over their values; `quantize` undoes it exactly.

    Args:
        images: Levels 0..K-1 of any shape.
        levels: K, 2 to 2^depth.
        depth: Bits of a pixel, 8 or 16.

    Returns:
        Pixels as `level_dtype(2^depth)`, of the same shape.

    Raises:
        ValueError: If there are more levels than pixels have values.

    Example:
        >>> to_pixels(torch.arange(4), 4).tolist()
        [0, 85, 170, 255]
    """
    check_levels(levels, 1 << depth)
    if levels == 1 << depth and images.dtype == torch.uint8:
        return images.clone()
    level, top = torch.arange(levels), (1 << depth) - 1
    even_share = (2 * top * level + levels - 1) // (2 * (levels - 1))
    lowest = -(-top * level // levels)
    highest = -(-top * (level + 1) // levels) - 1
    highest[-1] = top
    table = even_share.clamp(lowest, highest).to(level_dtype(1 << depth))
    return table.to(images.device)[images.long()]


def depth_of(levels: int) -> int:
    """Bits that pixels of K levels need: 8, or 16."""
    return 8 if levels <= 256 else 16


def to_network(images: Tensor, levels: int, dtype: torch.dtype, scale: str = "symmetric") -> Tensor:
    """Map levels 0..K-1 onto a scale of the network; same shape, given dtype."""
    if scale == "unit":
        return images.to(dtype) * (1 / (levels - 1))
    return images.to(dtype) * (2 / (levels - 1)) - 1
