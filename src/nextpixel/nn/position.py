"""A learned map that tells each pixel where it is: the same for all images, so it leaks nothing."""

import torch
from torch import Tensor, nn

from nextpixel.order import Shape


class PositionMap(nn.Module):
    """Features + a constant of their own for every place.

    Args:
        features: Features of the layer that it is added to.
        shape: (C, H, W) of the images.
    """

    def __init__(self, features: int, shape: Shape) -> None:
        super().__init__()
        self.map = nn.Parameter(torch.zeros(features, *shape[1:]))

    def forward(self, x: Tensor, corner: tuple[int, int]) -> Tensor:
        """(B, features, h, w), a window whose first pixel is at `corner` -> the same."""
        (row, column), (height, width) = corner, x.shape[2:]
        return x + self.map[:, row : row + height, column : column + width]
