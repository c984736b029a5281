"""Two levels, one logit: p(1) = sigmoid(logit)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.heads.base import Distribution, Head, split_colors


class Bernoulli(Distribution):
    """Distributions over levels 0 and 1.

    Args:
        logit: log p(1) - log p(0), shape S.
    """

    level_count = 2

    def __init__(self, logit: Tensor) -> None:
        self.logit = logit

    def log_probabilities(self) -> Tensor:
        """Log-probability of both levels in nats, shape (*S, 2)."""
        return torch.stack([F.logsigmoid(-self.logit), F.logsigmoid(self.logit)], -1)

    def log_prob(self, levels: Tensor) -> Tensor:
        """Log-probability in nats of given levels 0 or 1, shape S -> S."""
        target = levels.to(self.logit.dtype)
        return -F.binary_cross_entropy_with_logits(self.logit, target, reduction="none")

    def __getitem__(self, index: Any) -> "Bernoulli":  # noqa: ANN401 - what tensors take
        """The distributions at `index` of the batch shape."""
        return Bernoulli(self.logit[index])


class BernoulliHead(Head):
    """One logit for each sub-pixel."""

    size = 1

    def __call__(self, outputs: Tensor, colors: int) -> Bernoulli:
        """(B, C, H, W) -> distributions over (B, C, H, W)."""
        return Bernoulli(split_colors(outputs, colors).squeeze(-1))
