"""What every head promises: a distribution over levels that sums to one, without floors.

Probabilities stay logarithms of exact expressions (log-softmax, log-sigmoid): nothing is clamped,
so a likelihood is never better or worse than what the network says.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from nextpixel.heads.truncation import PLAIN, Truncation


class Distribution(ABC):
    """Independent distributions over levels 0..K-1, one for each entry of a batch shape S.

    For a whole image S is (B, C, H, W); indexing gives the distributions of a part of it.
    """

    @property
    @abstractmethod
    def level_count(self) -> int:
        """K."""

    @abstractmethod
    def log_probabilities(self) -> Tensor:
        """Log-probability of every level in nats, shape (*S, K)."""

    @abstractmethod
    def log_prob(self, levels: Tensor) -> Tensor:
        """Log-probability in nats of given integer levels, shape S -> S."""

    @abstractmethod
    def __getitem__(self, index: Any) -> "Distribution":  # noqa: ANN401 - what tensors take
        """The distributions at `index` of the batch shape."""

    def entropy(self) -> Tensor:
        """Expected surprise in nats, shape S."""
        log_p = self.log_probabilities()
        entropy: Tensor = torch.special.entr(log_p.exp()).sum(-1)
        return entropy

    def draw(self, uniforms: Tensor, truncation: Truncation = PLAIN) -> Tensor:
        """Pick levels by the inverse of the cumulative distribution.

        The level is the number of cumulative probabilities that do not exceed the uniform,
        computed in float64, so that another implementation can be compared integer by integer.

        Args:
            uniforms: In [0, 1), float64, shape S.
            truncation: How to depart from the distribution.

        Returns:
            Levels, int64, shape S.

        Raises:
            ValueError: If a number of `truncation` is out of its range.
        """
        weights = truncation.checked().weights(self.log_probabilities())
        reached = weights.cumsum(-1)
        last = self.level_count - 1 - (weights > 0).flip(-1).int().argmax(-1)
        drawn = (reached <= uniforms.unsqueeze(-1) * reached[..., -1:]).sum(-1)
        return torch.minimum(drawn, last)


class Head(ABC):
    """Turns `size` network outputs per sub-pixel into a `Distribution`."""

    size: int

    @abstractmethod
    def __call__(self, outputs: Tensor, colors: int) -> Distribution:
        """Read outputs (B, C * size, H, W), color by color, as distributions over (B, C, H, W)."""


def split_colors(outputs: Tensor, colors: int) -> Tensor:
    """(B, colors * size, H, W) -> (B, colors, H, W, size)."""
    batch, _, height, width = outputs.shape
    return outputs.reshape(batch, colors, -1, height, width).movedim(2, -1)
