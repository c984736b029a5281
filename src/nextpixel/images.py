r"""Levels, and the two other things an image can be: 8-bit pixels, and the network's scale.

Levels are integers 0..K-1 and the public form everywhere. They meet the two others only here:

- 8-bit pixels v: level = min(K - 1, floor(v K / 255)). At K = 2 that is "v at least 128", at K =
  256 it is v itself. `to_pixels` picks, of the pixels that have a level, the one nearest to its
  even share 255 level / (K - 1), so `quantize(to_pixels(level))` is the level again for every K.
- network scale: x = 2 level / (K - 1) - 1, in [-1, 1], or level / (K - 1), in [0, 1]. On the
  first no level is 0 where K is even (for odd K the middle one is); on the second level 0 is, as
  the zero padding around an image.

All arithmetic on pixels is in integers: truncated floats are a well known source of levels that
    are one too low.
"""

import torch
from torch import Tensor

SCALES = ("symmetric", "unit")
"""Scales of the network: -1 to 1, and 0 to 1."""

MOST_LEVELS = 65_536
"""Of 16 bits."""


def check_levels(levels: int, most: int = MOST_LEVELS) -> None:
    """Refuse a number of levels that images cannot have.

    Raises:
        ValueError: Unless 2 <= levels <= most.
    """
    if not 2 <= levels <= most:
        raise ValueError(f"levels must be 2 to {most}, got {levels}")


def level_dtype(levels: int) -> torch.dtype:
    """What levels are kept as: uint8 up to K = 256, else int32 (torch's uint16 lacks much).

    Example:
        >>> level_dtype(256), level_dtype(257)
        (torch.uint8, torch.int32)
    """
    return torch.uint8 if levels <= 256 else torch.int32


def quantize(pixels: Tensor, levels: int) -> Tensor:
    """Map 8-bit pixels onto K levels.

    Args:
        pixels: Integers 0..255 of any shape.
        levels: K, 2 to 256.

    Returns:
        Levels 0..K-1 as uint8, of the same shape.

    Raises:
        ValueError: If `levels` is not 2 to 256.

    Example:
        >>> quantize(torch.tensor([0, 127, 128, 255]), 2).tolist()
        [0, 0, 1, 1]
    """
    check_levels(levels, 256)
    return (pixels.to(torch.int32) * levels // 255).clamp(max=levels - 1).to(torch.uint8)


def to_pixels(images: Tensor, levels: int) -> Tensor:
    """Map levels onto 8-bit pixels, evenly spread from 0 to 255; `quantize` undoes it exactly.

    Args:
        images: Levels 0..K-1 of any shape.
        levels: K, 2 to 256.

    Returns:
        Pixels as uint8, of the same shape.

    Raises:
        ValueError: If `levels` is not 2 to 256.

    Example:
        >>> to_pixels(torch.arange(4), 4).tolist()
        [0, 85, 170, 255]
    """
    check_levels(levels, 256)
    level = torch.arange(levels)
    even_share = (2 * 255 * level + levels - 1) // (2 * (levels - 1))
    lowest = -(-255 * level // levels)
    highest = -(-255 * (level + 1) // levels) - 1
    highest[-1] = 255
    table = even_share.clamp(lowest, highest).to(torch.uint8)
    return table.to(images.device)[images.long()]


def to_network(images: Tensor, levels: int, dtype: torch.dtype, scale: str = "symmetric") -> Tensor:
    """Map levels 0..K-1 onto a scale of the network; same shape, given dtype."""
    if scale == "unit":
        return images.to(dtype) * (1 / (levels - 1))
    return images.to(dtype) * (2 / (levels - 1)) - 1
