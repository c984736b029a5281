"""Softmax over K levels: exact for any histogram; levels share no strength.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
    section 3: pixels as discrete variables. https://arxiv.org/abs/1601.06759
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from nextpixel.heads.base import Distribution, Head, split_colors


class Categorical(Distribution):
    """Any distribution over K levels.

    Args:
        logits: Log-probabilities up to a constant, shape (*S, K).
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @property
    def level_count(self) -> int:
        """K."""
        return self.logits.shape[-1]

    def log_probabilities(self) -> Tensor:
        """Log-probability of every level in nats, shape (*S, K)."""
        return self.logits.log_softmax(-1)

    def log_prob(self, levels: Tensor) -> Tensor:
        """Log-probability in nats of given integer levels, shape S -> S."""
        rows = self.logits.flatten(0, -2)
        return -F.cross_entropy(rows, levels.flatten().long(), reduction="none").view(levels.shape)

    def __getitem__(self, index: Any) -> "Categorical":  # noqa: ANN401 - what tensors take
        """The distributions at `index` of the batch shape."""
        return Categorical(self.logits[index])


class CategoricalHead(Head):
    """K logits for each sub-pixel.

    Args:
        levels: K.
    """

    def __init__(self, levels: int) -> None:
        self.size = levels

    def __call__(self, outputs: Tensor, colors: int) -> Categorical:
        """(B, C * K, H, W) -> distributions over (B, C, H, W)."""
        return Categorical(split_colors(outputs, colors))
