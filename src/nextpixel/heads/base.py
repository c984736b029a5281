"""What every head promises: a distribution over levels that sums to one, without floors.

Probabilities stay logarithms of exact expressions (log-softmax, log-sigmoid): nothing is clamped,
so a likelihood is never better or worse than what the network says.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from nextpixel.heads.compiled import CompiledCDF, CompiledHead
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.order import by_cross
from nextpixel.runtime.device import check_rng


class Distribution(ABC):
    """Independent distributions over levels 0..K-1, one for each entry of a batch shape S.

    For a whole image S is (B, C, H, W); indexing gives the distributions of a part of it. Names are
    those of `torch.distributions`.
    """

    def __repr__(self) -> str:
        shape = by_cross(self.batch_shape) or "one"
        return f"{type(self).__name__}({shape}, {self.level_count:,} levels)"

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """Log-probability of every level in nats, normalised, shape (*S, K)."""

    @abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats of integer levels, shape S -> S."""

    @abstractmethod
    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same with every parameter replaced by what a function gives for it."""

    @property
    def level_count(self) -> int:
        """K."""
        return self.logits.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        """S."""
        return self.logits.shape[:-1]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.logits.device

    @property
    def probs(self) -> Tensor:
        """Probability of every level, shape (*S, K)."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """Expected level, shape S."""
        probs = self.probs
        mean: Tensor = (probs * torch.arange(self.level_count).to(probs)).sum(-1)
        return mean

    @property
    def mode(self) -> Tensor:
        """The likeliest level, the lowest of equals, int64, shape S."""
        return self.logits.argmax(-1)

    def entropy(self) -> Tensor:
        """Expected surprise in nats, shape S."""
        entropy: Tensor = torch.special.entr(self.probs).sum(-1)
        return entropy

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of a level of at most `value`, integers, shape S -> S."""
        reached = self.probs.cumsum(-1)
        inside = value.long().clamp(0, self.level_count - 1)
        below = reached.gather(-1, inside.unsqueeze(-1)).squeeze(-1)
        return torch.where(value < 0, torch.zeros_like(below), below)

    def sample(self, rng: torch.Generator | None = None) -> Tensor:
        """Draw levels.

        Args:
            rng: Source of the uniforms, on the CPU; None: torch's global generator.

        Returns:
            Levels, int64, shape S.
        """
        check_rng(rng)
        uniforms = torch.rand(self.batch_shape, generator=rng, dtype=torch.float64)
        return self.icdf(uniforms.to(self.device))

    def icdf(self, uniforms: Tensor, truncation: Truncation = PLAIN) -> Tensor:
        """Levels by the inverse of the cumulative distribution.

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
        probabilities = truncation.checked().probabilities(self.logits)
        reached = probabilities.cumsum(-1)
        last = self.level_count - 1 - (probabilities > 0).flip(-1).int().argmax(-1)
        drawn = (reached <= uniforms.unsqueeze(-1) * reached[..., -1:]).sum(-1)
        return torch.minimum(drawn, last)

    def __getitem__(self, index: Any) -> Self:  # noqa: ANN401 - what tensors take
        """The distributions at `index` of the batch shape."""
        return self.map(lambda parameter: parameter[index])

    def to(self, *arguments: Any, **options: Any) -> Self:  # noqa: ANN401 - what tensors take
        """The same with parameters of another device or floating type, as `Tensor.to`."""
        return self.map(lambda parameter: parameter.to(*arguments, **options))


class HeadOptions(Protocol):
    """The options of a model that are about its head: see `nextpixel.models.options`."""

    @property
    def head(self) -> str:
        """Its name, or "auto"."""

    @property
    def colors(self) -> str:
        """How colors depend on each other."""

    @property
    def components(self) -> int:
        """Of a mixture."""


class Head(ABC):
    """Turns `size` network outputs per sub-pixel into a `Distribution`.

    Args:
        levels: K.

    Attributes:
        name: What the option `head` of a model calls it.
        size: Outputs per sub-pixel, where `outputs` says nothing else.
        compiled: Its steps for the compiled engine and the codec; None: it is drawn from by torch,
            and cannot compress.
        sees_colors: Whether a color's distribution depends on the colors drawn before it at the
            same pixel directly, not only through the network.
    """

    name: ClassVar[str]
    compiled: CompiledHead | CompiledCDF | None = None
    sees_colors: bool = False
    size: int

    def __init__(self, levels: int) -> None:
        self.levels = levels

    @classmethod
    def of(cls, levels: int, colors: int, options: HeadOptions) -> Self:
        """The head that a model's options ask for."""
        del colors, options
        return cls(levels)

    def outputs(self, colors: int) -> int:
        """Network outputs for a pixel of so many colors."""
        return colors * self.size

    def initial(self, colors: int) -> Tensor:
        """Network outputs from which training starts, (outputs,): a near uniform distribution."""
        return torch.zeros(self.outputs(colors))

    @abstractmethod
    def __call__(self, outputs: Tensor, colors: int, levels: Tensor | None = None) -> Distribution:
        """Read outputs (B, C * size, H, W), color by color, as distributions over (B, C, H, W).

        Args:
            outputs: The network's.
            colors: C.
            levels: The images, (B, C, H, W), for a head that sees colors; of these it may use, for
                each color, the ones before only.
        """


def split_colors(outputs: Tensor, colors: int) -> Tensor:
    """(B, colors * size, H, W) -> (B, colors, H, W, size)."""
    batch, _, height, width = outputs.shape
    return outputs.reshape(batch, colors, -1, height, width).movedim(2, -1)
