r"""Mixture of discretized logistics: a few numbers for any number of levels, near ones alike.

A level k takes the mass of a logistic between k - 1/2 and k + 1/2; the lowest and the highest take
the tails beyond them. Edges are those of integers, so the levels share a total of exactly one,
whatever means and scales are. With a = (k - 1/2 - m) / s and b = a + 1 / s,

.. math:: \sigma(b) - \sigma(a) = \sigma(b)\,\sigma(-a)\,(1 - e^{-1/s}),

whose logarithm is exact to rounding for every a and s: there is no second formula for small
probabilities, and no floor.

Coupled colors share the component: it is drawn once a pixel, and the mean of a color is linear in
the colors before it. A color given those before is again a mixture, whose weights are what the
drawn colors leave of the components: so every sub-pixel has its distribution, exactly.

Anchored means are counted from a level that the network says for each color, the anchor, and are
linear in how far the colors before lie from theirs. With an anchor near the levels around a pixel,
what is left to learn is the same in dark and in bright places.

References: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, sections 2.1 and 2.2.
    https://arxiv.org/abs/1701.05517
"""

import math
from collections.abc import Callable
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.heads.base import Distribution, Head, HeadOptions, split_colors
from nextpixel.heads.compiled import CompiledCDF
from nextpixel.heads.compiled_logistic import (
    advance,
    below,
    log_prob,
    moments,
    places,
    prepare,
)
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.runtime.device import require

LEAST_SCALE = 1 / 32
"""Of what a network says, in bins: a smaller scale puts all but 1e-7 of a logistic into one bin."""

LARGEST_LOG_SCALE = 10.0
"""Of what a network says, for levels on -1 to 1: there a logistic is as good as uniform."""

_ROOM = 1 << 22
"""Numbers at a time where a table of all levels is made."""


class LogisticMixture(Distribution):
    """Mixtures of M logistics over levels 0..K-1.

    Args:
        log_weights: Logarithms of the weights up to a constant, shape (*S, M).
        means: In levels, shape (*S, M).
        log_scales: Logarithms of the scales in levels, shape (*S, M).
        levels: K.

    Example:
        >>> zeros = torch.zeros(1, 1)
        >>> round(LogisticMixture(zeros, zeros + 1.5, zeros, 4).probs.sum().item(), 6)
        1.0
    """

    def __init__(self, log_weights: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> None:
        self.log_weights = log_weights.log_softmax(-1)
        self.means, self.log_scales, self.levels = means, log_scales, levels

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same with other parameters."""
        weights, means, scales = map(function, (self.log_weights, self.means, self.log_scales))
        return type(self)(weights, means, scales, self.levels)

    @property
    def level_count(self) -> int:
        """K."""
        return self.levels

    @property
    def batch_shape(self) -> torch.Size:
        """S."""
        return self.means.shape[:-1]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.means.device

    def component_log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of levels by each component, in nats, shape S -> (*S, M)."""
        level, rate = value.unsqueeze(-1), torch.exp(-self.log_scales)
        far = level.to(self.means.dtype) - self.means
        over = F.logsigmoid((far + 0.5) * rate)  # below the upper edge
        under = F.logsigmoid((0.5 - far) * rate)  # above the lower edge
        both = over + under + torch.log(-torch.expm1(-rate))
        inside = torch.where(level == self.levels - 1, under, both)
        return torch.where(level == 0, over, inside)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of integer levels in nats, shape S -> S."""
        return (self.log_weights + self.component_log_prob(value)).logsumexp(-1)

    def posterior(self, value: Tensor) -> Tensor:
        """Log-weights of the components once levels are seen, shape S -> (*S, M)."""
        return (self.log_weights + self.component_log_prob(value)).log_softmax(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of a level of at most `value`, integers, shape S -> S."""
        level = value.unsqueeze(-1).to(self.means.dtype)
        reached = torch.sigmoid((level + 0.5 - self.means) * torch.exp(-self.log_scales))
        inside = (self.log_weights.exp() * reached).sum(-1)
        top = torch.where(value >= self.levels - 1, torch.ones_like(inside), inside)
        return torch.where(value < 0, torch.zeros_like(top), top)

    @property
    def logits(self) -> Tensor:
        """Log-probability of every level in nats, shape (*S, K): 8 K bytes a sub-pixel.

        Raises:
            NextPixelError: If memory is too small for it.
        """
        count, kept = self.means.numel(), 3 * self.means[..., 0].numel() * self.levels
        what = f"a table of {self.levels} levels for each of {kept // 3 // self.levels} sub-pixels"
        require(kept * self.means.element_size(), what, "ask fewer of them at a time", self.device)
        step = max(1, _ROOM // max(1, count))
        every = torch.arange(self.levels, device=self.device)
        spread = self.map(lambda parameter: parameter.unsqueeze(-2))
        parts = torch.split(every, step)
        return torch.cat(
            [spread.log_prob(part.expand(*self.batch_shape, -1)) for part in parts], -1
        )

    def icdf(self, uniforms: Tensor, truncation: Truncation = PLAIN) -> Tensor:
        """The lowest level whose cumulative probability exceeds the uniform, shape S -> S.

        It is found by bisection, in float64, without a table of the levels; a truncation other than
        the plain one needs that table.
        """
        if truncation != PLAIN:
            return super().icdf(uniforms, truncation)
        exact = self.map(lambda parameter: parameter.double())
        low = torch.zeros(self.batch_shape, dtype=torch.int64, device=self.device)
        high = torch.full_like(low, self.levels - 1)
        for _ in range(math.ceil(math.log2(self.levels))):
            middle = (low + high) // 2
            is_above = exact.cdf(middle) > uniforms
            high = torch.where(is_above, middle, high)
            low = torch.where(is_above, low, torch.minimum(middle + 1, high))
        return low


class LogisticHead(Head):
    """Means, scales and weights of M logistics for each sub-pixel, or coupled for each pixel.

    The network says means on -1 to 1, over all levels, and logarithms of scales on the same. Of
    independent colors each has M log-weights, M means, M log-scales. Of coupled colors the pixel
    has M log-weights; then each color M means, M log-scales, and M coefficients (through tanh) for
    each color before it.

    Args:
        levels: K, 2 to 65,536.
        colors: C.
        components: M.
        coupled: Whether the colors of a pixel share a component.

    Raises:
        ValueError: If there is no component.
    """

    name = "logistic"
    anchored: ClassVar[bool] = False
    """Whether the network says an anchor for each color, on -1 to 1, before the weights."""
    spread: ClassVar[float] = 1.0
    """How far from 0, or from their anchor, means lie at first."""

    def __init__(
        self, levels: int, colors: int = 1, components: int = 10, *, coupled: bool = False
    ) -> None:
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        super().__init__(levels)
        self.colors, self.components, self.sees_colors = colors, components, coupled
        self.size = 3 * components + self.anchored
        self.anchors = self.anchored * (colors if coupled else 1)
        least = math.log(2 * LEAST_SCALE / (levels - 1))
        constants = (levels, components, coupled, least, LARGEST_LOG_SCALE, self.anchors)
        room = places(components)
        self.compiled = CompiledCDF(
            prepare, below, log_prob, room, tuple(map(float, constants)), advance, moments
        )

    @classmethod
    def of(cls, levels: int, colors: int, options: HeadOptions) -> Self:
        """The head that a model's options ask for."""
        return cls(
            levels, colors, options.components, coupled=options.colors == "coupled" and colors > 1
        )

    def outputs(self, colors: int) -> int:
        """Network outputs for a pixel."""
        if not self.sees_colors:
            return colors * self.size
        return self.anchors + self.components * (1 + 2 * colors + colors * (colors - 1) // 2)

    def initial(self, colors: int) -> Tensor:
        """Means spread over all levels, and scales that fill the gaps: near uniform, (outputs,)."""
        m = self.components
        even = self.spread * ((2 * torch.arange(m) + 1) / m - 1)
        flat, scale = torch.zeros(m), torch.full((m,), math.log(self.spread / (2 * m)))
        anchors = torch.zeros(self.anchors)
        if not self.sees_colors:
            return torch.cat([anchors, flat, even, scale]).repeat(colors)
        each = [torch.cat([even, scale, *[flat] * color]) for color in range(colors)]
        return torch.cat([anchors, flat, *each])

    def __call__(
        self, outputs: Tensor, colors: int, levels: Tensor | None = None
    ) -> LogisticMixture:
        """Outputs (B, outputs, H, W) to distributions over (B, C, H, W).

        Of levels (B, C, H, W), for coupled colors, each color reads those before it only.

        Raises:
            ValueError: If colors are coupled and `levels` is missing.
        """
        if not self.sees_colors:
            said = split_colors(outputs, colors)
            anchors, parts = self._split_anchors(said)
            weights, means, log_scales = parts.chunk(3, -1)
            return self._mixture(weights, means + anchors, log_scales)
        if levels is None:
            raise ValueError("levels must be given where colors are coupled")
        anchors, parts = self._split_anchors(outputs.movedim(1, -1))
        return self._coupled(anchors, torch.split(parts, self.components, -1), levels)

    def _split_anchors(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors (..., colors or 1), zeros where there are none, and what comes after them."""
        if not self.anchored:
            return said.new_zeros(self.colors if self.sees_colors else 1), said
        return said[..., : self.anchors], said[..., self.anchors :]

    def _mixture(self, weights: Tensor, means: Tensor, log_scales: Tensor) -> LogisticMixture:
        """A mixture of what the network says: to levels, and within limits."""
        half = (self.levels - 1) / 2
        least = math.log(2 * LEAST_SCALE / (self.levels - 1))
        log_scales = log_scales.clamp(least, LARGEST_LOG_SCALE) + math.log(half)
        return LogisticMixture(weights, (means + 1) * half, log_scales, self.levels)

    def _coupled(
        self, anchors: Tensor, parts: tuple[Tensor, ...], levels: Tensor
    ) -> LogisticMixture:
        """Color by color, from parts (B, H, W, M) in the order of the class's docstring."""
        weights, rest, made = parts[0], list(parts[1:]), []
        for color in range(levels.shape[1]):
            mean, log_scale, *coefficients = rest[: 2 + color]
            rest, mean = rest[2 + color :], mean + anchors[..., color, None]
            for number, coefficient in enumerate(coefficients):
                before = levels[:, number].to(mean.dtype) * (2 / (self.levels - 1)) - 1
                before = before - anchors[..., number]
                mean = mean + torch.tanh(coefficient) * before.unsqueeze(-1)
            made.append(self._mixture(weights, mean, log_scale))
            weights = made[-1].posterior(levels[:, color])
        names = ("log_weights", "means", "log_scales")
        weights, means, scales = (torch.stack([getattr(one, n) for one in made], 1) for n in names)
        return LogisticMixture(weights, means, scales, self.levels)


class AnchoredLogisticHead(LogisticHead):
    """`LogisticHead` with means counted from an anchor; arguments and errors as there.

    Of independent colors each has its anchor before its log-weights, of coupled colors the pixel
    has the C anchors before its log-weights.
    """

    name = "anchored-logistic"
    anchored = True
    spread = 1 / 16
