"""Two levels, one logit: p(1) = sigmoid(logit)."""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.heads.base import Distribution, Head, split_colors
from nextpixel.heads.compiled import CompiledHead, Spot
from nextpixel.runtime.compiling import compiled


class Bernoulli(Distribution):
    """Distributions over levels 0 and 1.

    Args:
        logit: log p(1) - log p(0), shape S.

    Example:
        >>> Bernoulli(torch.zeros(2)).probs.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(self, logit: Tensor) -> None:
        self.logit = logit

    @property
    def level_count(self) -> int:
        """2."""
        return 2

    @property
    def batch_shape(self) -> torch.Size:
        """S."""
        return self.logit.shape

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.logit.device

    @property
    def logits(self) -> Tensor:
        """Log-probability of both levels in nats, shape (*S, 2)."""
        return torch.stack([F.logsigmoid(-self.logit), F.logsigmoid(self.logit)], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats of levels 0 or 1, shape S -> S."""
        target = value.to(self.logit.dtype)
        return -F.binary_cross_entropy_with_logits(self.logit, target, reduction="none")

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same with another logit."""
        return type(self)(function(self.logit))


@compiled
def bernoulli_log_weights(spot: Spot) -> None:
    """Log-probabilities of both levels up to a constant."""
    spot.p[0], spot.p[1] = 0.0, np.float64(spot.state[spot.at])


class BernoulliHead(Head):
    """One logit for each sub-pixel.

    Args:
        levels: 2.

    Raises:
        ValueError: For another number of levels.
    """

    name = "bernoulli"
    compiled = CompiledHead(bernoulli_log_weights)
    size = 1

    def __init__(self, levels: int = 2) -> None:
        if levels != 2:
            raise ValueError(f"levels must be 2 for the head bernoulli, got {levels}")
        super().__init__(levels)

    def __call__(self, outputs: Tensor, colors: int, levels: Tensor | None = None) -> Bernoulli:
        """(B, C, H, W) -> distributions over (B, C, H, W)."""
        return Bernoulli(split_colors(outputs, colors).squeeze(-1))
