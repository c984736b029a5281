"""Learned features of levels: what the network sees of a pixel next to the level itself.

A convolution is linear in what it sees, so that from a level on a scale it cannot tell that the
level is exactly 0, or 255. A table of features for each level can.
"""

import math

import torch
from torch import Tensor, nn


class LevelFeatures(nn.Module):
    """A table of features, one row a level; at first cosines and sines of the level on its scale.

    Args:
        levels: K.
        features: Features of a level.
    """

    def __init__(self, levels: int, features: int) -> None:
        super().__init__()
        angle = math.pi * torch.linspace(-1, 1, levels).unsqueeze(1)
        waves = [
            (torch.cos if number % 2 else torch.sin)((number // 2 + 1) * angle)
            for number in range(features)
        ]
        self.weight = nn.Parameter(torch.cat(waves, 1))

    def forward(self, levels: Tensor) -> Tensor:
        """Levels of any shape -> (..., features); between two levels as between their features.

        Levels are floats where an audit takes the derivative by them.
        """
        if not levels.is_floating_point():
            return self.weight[levels.long()]
        low = levels.detach().floor().clamp(0, len(self.weight) - 2)
        share, row = (levels - low).unsqueeze(-1), low.long()
        return (1 - share) * self.weight[row] + share * self.weight[row + 1]
