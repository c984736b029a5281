r"""What every model is: a network that sees the past only, and a head.

Calling a model on levels returns the distribution of every sub-pixel given its past, in one pass:

.. math:: \log p(x) = \sum_i \log p(x_i \mid x_0, \ldots, x_{i-1}).

A model knows shapes and levels; it does not know data sets, training or sampling.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nextpixel.heads import Distribution, head_for
from nextpixel.images import check_levels, to_network
from nextpixel.order import Shape

MODE_MATTERS = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)
"""Layers that compute something else in training mode."""


class PixelModel(nn.Module, ABC):
    """Base of all models.

    Subclasses set `name` and `Config`, build their layers, of which `last` gives the outputs, and
    define `network` and `reach`.

    Args:
        shape: (C, H, W) of the images.
        levels: K, 2 to 256.
        edge: Whether the network's input has, beside each color, a plane of ones: it tells the zero
            padding around the image from a level that happens to map to zero.

    Raises:
        ValueError: If `shape` or `levels` cannot be meant.
    """

    name: ClassVar[str]
    Config: ClassVar[type]
    config: Any
    last: nn.Module

    def __init__(self, shape: Shape, levels: int, *, edge: bool = True) -> None:
        super().__init__()
        check_levels(levels)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape must be (colors, height, width), each at least 1, got {shape}")
        self.shape: Shape = shape
        self.levels = levels
        self.edge = edge
        self.head = head_for(levels)

    @property
    def colors(self) -> int:
        """Number of colors C."""
        return self.shape[0]

    @property
    def inputs(self) -> int:
        """Input planes of the network."""
        return self.colors * (2 if self.edge else 1)

    @property
    def outputs(self) -> int:
        """Output planes of the network: the head's parameters, color by color."""
        return self.colors * self.head.size

    def kernels(self) -> list[nn.Parameter]:
        """Weights that an optimiser may read as matrices: kernels of hidden convolutions."""
        last = set(map(id, self.last.parameters()))
        return [
            weight for weight in self.parameters() if weight.ndim == 4 and id(weight) not in last
        ]

    @property
    @abstractmethod
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""

    @abstractmethod
    def network(self, x: Tensor, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """The network proper, on an image or on a window of one.

        Args:
            x: What `encode` made, or a window of it, shape (B, inputs, h, w).
            corner: Row and column in the image of the window's first pixel.

        Returns:
            Parameters of the head, shape (B, outputs, h, w).
        """

    def encode(self, levels: Tensor) -> Tensor:
        """Levels (B, C, H, W) -> network input (B, inputs, H, W), in the dtype of the weights."""
        x = to_network(levels, self.levels, next(self.parameters()).dtype)
        if not self.edge:
            return x
        return torch.stack([x, torch.ones_like(x)], 2).flatten(1, 2)

    def forward(self, levels: Tensor, condition: Tensor | None = None) -> Distribution:
        """Predict every sub-pixel from its past.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: Must be None: this model takes no condition.

        Returns:
            Distributions over (B, C, H, W).

        Raises:
            TypeError: If `levels` are no integers.
            ValueError: If their shape or range is not the model's, or a condition is given.
        """
        self.check(levels)
        if condition is not None:
            raise ValueError("condition must be None: the model was built without one")
        return self.predict(levels)

    def predict(self, levels: Tensor) -> Distribution:
        """`forward` without its checks; differentiable where `levels` are floats."""
        return self.head(self.network(self.encode(levels)), self.colors)

    def log_prob(self, levels: Tensor, condition: Tensor | None = None) -> Tensor:
        """Exact log-probability of images.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: Must be None: this model takes no condition.

        Returns:
            Nats, shape (B,).

        Raises:
            TypeError: If `levels` are no integers.
            ValueError: If their shape or range is not the model's, a condition is given, or the
                model is in training mode and that changes what it computes.
        """
        if self.training and self.mode_matters:
            raise ValueError(
                "log_prob must be taken in evaluation mode, got a model in training mode, where "
                "batch norm lets a pixel see its future; call model.eval() first"
            )
        distribution: Distribution = self(levels, condition)
        return distribution.log_prob(levels).flatten(1).sum(1)

    @property
    def mode_matters(self) -> bool:
        """Whether training mode computes something else, as batch norm does (not causally)."""
        return any(isinstance(module, MODE_MATTERS) for module in self.modules())

    def check(self, levels: Tensor) -> None:
        """Refuse what is no batch of images of this model.

        Raises:
            TypeError: If `levels` are no integers.
            ValueError: If their shape or range is not the model's.
        """
        if not isinstance(levels, Tensor) or levels.is_floating_point() or levels.is_complex():
            kind = levels.dtype if isinstance(levels, Tensor) else type(levels).__name__
            raise TypeError(f"levels must be a tensor of integers 0..{self.levels - 1}, got {kind}")
        if levels.ndim != 4 or tuple(levels.shape[1:]) != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ValueError(f"levels must have shape (B, {expected}), got {tuple(levels.shape)}")
        if levels.numel() and not 0 <= int(levels.min()) <= int(levels.max()) < self.levels:
            low, high = int(levels.min()), int(levels.max())
            raise ValueError(f"levels must be 0..{self.levels - 1}, got {low}..{high}")
