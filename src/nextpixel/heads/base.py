"""What every head promises: a distribution over levels that sums to one, without floors.

Probabilities stay logarithms of exact expressions (log-softmax, log-sigmoid): nothing is clamped,
so a likelihood is never better or worse than what the network says.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


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

    def draw(self, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        """Pick levels by the inverse of the cumulative distribution.

        The level is the number of cumulative probabilities that do not exceed the uniform,
        computed in float64, so that another implementation can be compared integer by integer.

        Args:
            uniforms: In [0, 1), float64, shape S.
            temperature: Above 0. Log-probabilities are divided by it; 1 samples the model itself.

        Returns:
            Levels, int64, shape S.

        Raises:
            ValueError: If `temperature` is not above 0.
        """
        check_temperature(temperature)
        log_p = self.log_probabilities().double() / temperature
        cumulative = log_p.softmax(-1).cumsum(-1)[..., :-1]  # the last is 1: above every uniform
        return (cumulative <= uniforms.unsqueeze(-1)).sum(-1)


class Head(ABC):
    """Turns `size` network outputs per sub-pixel into a `Distribution`."""

    size: int

    @abstractmethod
    def __call__(self, outputs: Tensor, colors: int) -> Distribution:
        """Read outputs (B, C * size, H, W), color by color, as distributions over (B, C, H, W)."""


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is no positive number.

    Raises:
        ValueError: If `temperature` is not above 0.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be above 0 and finite, got {temperature}")


def split_colors(outputs: Tensor, colors: int) -> Tensor:
    """(B, colors * size, H, W) -> (B, colors, H, W, size)."""
    batch, _, height, width = outputs.shape
    return outputs.reshape(batch, colors, -1, height, width).movedim(2, -1)
