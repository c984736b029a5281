"""Levels as colors of a screen: as they are, or spread where there are more than it can show.

A screen has 256 shades. Images of more levels are shown between two percentiles of their levels,
which are stated; colors that are neither one nor red, green and blue lie side by side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.images import to_pixels

PERCENTILES = (1, 99)
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Screen:
    """How levels are shown.

    Attributes:
        level_count: K.
        low: The level that is shown black, and all below; only where K is above 256.
        high: The level that is shown white, and all above.
    """

    level_count: int
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, levels: Tensor, level_count: int) -> "Screen":
        """That for images (N, C, H, W) and what is to be compared with them."""
        if level_count <= 256:
            return cls(level_count)
        values = levels.cpu().numpy()
        low, high = np.percentile(values, PERCENTILES)
        return cls(level_count, float(low), float(max(high, low + 1)))

    def show(self, levels: Tensor) -> Pixels:
        """(N, C, H, W) levels -> (N, H, W', 3) pixels; W' = W for one color and for three."""
        pixels = self._shades(levels.cpu())
        if pixels.shape[1] not in (1, 3):
            pixels = side_by_side(pixels)
        colors: Pixels = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
        return colors

    def _shades(self, levels: Tensor) -> Tensor:
        if self.level_count <= 256:
            return to_pixels(levels, self.level_count)
        share = (levels.double() - self.low) / (self.high - self.low)
        return (255 * share.clamp(0, 1)).round().to(torch.uint8)

    def note(self, colors: int) -> str:
        """What a viewer must know; empty if nothing."""
        parts = []
        if self.level_count > 256:
            parts.append(
                f"levels {self.low:.0f} (percentile {PERCENTILES[0]}) to {self.high:.0f} "
                f"({PERCENTILES[1]}) are shown black to white"
            )
        if colors not in (1, 3):
            parts.append(f"{colors} colors side by side")
        return ", ".join(parts)


def side_by_side(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, 1, H, C * W)."""
    return images.movedim(1, 2).flatten(2).unsqueeze(1)
