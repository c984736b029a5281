"""Softmax over K levels: exact for any histogram; levels share no strength.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
    section 3: pixels as discrete variables. https://arxiv.org/abs/1601.06759
"""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.heads.base import Distribution, Head, split_colors
from nextpixel.heads.compiled import CompiledHead, Spot
from nextpixel.runtime.compiling import compiled

MOST_LEVELS = 16_384
"""Of codes; of more, intensities as a rule, the mixture of logistics makes no list."""


class Categorical(Distribution):
    """Any distribution over K levels.

    Args:
        scores: Log-probabilities up to a constant, shape (*S, K).
    """

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    @property
    def level_count(self) -> int:
        """K."""
        return self.scores.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        """S."""
        return self.scores.shape[:-1]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.scores.device

    @property
    def logits(self) -> Tensor:
        """Log-probability of every level in nats, shape (*S, K)."""
        return self.scores.log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats of integer levels, shape S -> S."""
        rows = self.scores.flatten(0, -2)
        return -F.cross_entropy(rows, value.flatten().long(), reduction="none").view(value.shape)

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same with other scores."""
        return type(self)(function(self.scores))


@compiled
def categorical_log_weights(spot: Spot) -> None:
    """Log-probabilities of the levels up to a constant: the outputs as they are."""
    for k in range(len(spot.p)):
        spot.p[k] = np.float64(spot.state[spot.at + k])


class CategoricalHead(Head):
    """K scores for each sub-pixel.

    Args:
        levels: K, up to 16,384.

    Raises:
        ValueError: If there are more.
    """

    name = "categorical"
    compiled = CompiledHead(categorical_log_weights)

    def __init__(self, levels: int) -> None:
        if not 2 <= levels <= MOST_LEVELS:
            raise ValueError(
                f"levels must be 2 to {MOST_LEVELS} for the head categorical, got {levels}"
            )
        super().__init__(levels)
        self.size = levels

    def __call__(self, outputs: Tensor, colors: int, levels: Tensor | None = None) -> Categorical:
        """(B, C * K, H, W) -> distributions over (B, C, H, W)."""
        return Categorical(split_colors(outputs, colors))
