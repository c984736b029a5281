"""Locally masked PixelCNN: one net for any order of the pixels.

Trained over many orders it completes any region exactly: what is known is visited first, so each
missing pixel is drawn given all of it.

References: Jain, Abbeel, Pathak (2020), Locally Masked Convolution for Autoregressive Models:
    section 4 (masks by place), section 5 (S-curves from all corners, one order a training image),
    section 6.3 (completion in an order that visits the known pixels first).
    https://arxiv.org/abs/2006.12486
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.errors import nearest
from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts, check_sides
from nextpixel.nn import Condition, ConditionalConv2d, Embedding, MaskedConv2d, Orders, PositionMap
from nextpixel.nn.local import LocallyMaskedConv2d
from nextpixel.nn.orders import AnyOrders
from nextpixel.order import CURVES, MIRRORS, Shape, known_first
from nextpixel.program import Program


@dataclass(frozen=True, kw_only=True)
class LocallyMaskedConfig(ModelConfig):
    """Options of `LocallyMasked`.

    Attributes:
        features: Features on the residual path.
        blocks: Residual blocks x + conv(ReLU(x)).
        first_side: Width of the first kernel; odd, at least 3.
        side: Width of the kernels in the blocks; odd.
        dilations: Pixels from a tap to the next, of the blocks in turn.
        head_features: Features between the two last 1x1 convolutions; 0: there is one alone.
        position: Whether a learned map (features, H, W) is added after the first layer.
        order: The order where none is stated: "s-curve", "hilbert", "spiral", or a mirror order.
        known_first: Share of the training images whose order visits first what a random half plane
            or rectangle holds, as in completion; the others are scanned along `order` from one of
            its corners.
    """

    features: int = 48
    blocks: int = 4
    first_side: int = 7
    side: int = 3
    dilations: tuple[int, ...] = (1, 2)
    head_features: int = 64
    position: bool = True
    order: str = "s-curve"
    known_first: float = 0.5

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_counts(self, "features", "blocks")
        check_counts(self, "head_features", least=0)
        check_sides(self, "first_side", least=3)
        check_sides(self, "side")
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations must be at least 1 each, got {self.dilations}")
        if self.order not in (names := [*CURVES, *MIRRORS]):
            raise ValueError(f"there is no order {self.order!r}; {nearest(self.order, names)}")
        if not 0 <= self.known_first <= 1:
            raise ValueError(f"known_first must be 0 to 1, got {self.known_first}")
        if self.orders != 1:
            raise ValueError("orders must be left out: a locally masked net takes any order")

    def suited(self, colors: int, stated: Collection[str]) -> Self:
        """As in `ModelConfig`; several colors are coupled, as the network cannot order them."""
        config = super().suited(colors, stated)
        return config if colors == 1 or "colors" in stated else replace(config, colors="coupled")


class LocallyMasked(PixelModel):
    """Locally masked convolutions in residual blocks, the first aware of the order.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.

    Raises:
        ValueError: For several colors that depend on each other through the network: they may
            through the head ("coupled"), or not at all.
    """

    name = "locally-masked"
    Config = LocallyMaskedConfig
    config: LocallyMaskedConfig

    def __init__(self, shape: Shape, levels: int, config: LocallyMaskedConfig) -> None:
        super().__init__(shape, levels, config)
        if self.groups > 1:
            raise ValueError(
                "colors must be 'coupled' or 'independent' in a locally masked net, got 'dependent'"
            )
        features = config.features
        self.first = LocallyMaskedConv2d(
            self.inputs, features, config.first_side, self.conditioner, sees_self=False, aware=True
        )
        self.position = PositionMap(features, shape, self.conditioner) if config.position else None
        self.blocks = nn.ModuleList(self._block(number) for number in range(config.blocks))
        self.squash = None if not config.head_features else self._squash()
        self.add_last(config.head_features or features)

    def _block(self, number: int) -> LocallyMaskedConv2d:
        config = self.config
        dilation = config.dilations[number % len(config.dilations)]
        conv = LocallyMaskedConv2d(
            config.features, config.features, config.side, self.conditioner, dilation=dilation
        )
        with torch.no_grad():  # keeps the sum of many blocks from growing
            conv.weight.mul_(1 / math.sqrt(config.blocks))
        return conv

    def _squash(self) -> ConditionalConv2d:
        features, head = self.config.features, self.config.head_features
        return ConditionalConv2d(MaskedConv2d(features, head, 1, sees_self=True), self.conditioner)

    def order_condition(self, conditions: Sequence[Condition]) -> Orders:
        """The indices of the pixels."""
        del conditions
        return AnyOrders(self.shape[1], self.shape[2], self.config.order)

    def draw_orders(self, count: int, rng: torch.Generator) -> Tensor:
        """Indices (count, H, W), see `LocallyMaskedConfig.known_first`."""
        assert self.conditioner.order is not None
        curves = self.conditioner.order.every()
        drawn = []
        for number in torch.randint(0, len(curves), (count,), generator=rng).tolist():
            indices = curves[number]
            if torch.rand((), generator=rng) < self.config.known_first:
                indices = known_first(random_region(self.shape[1:], rng), indices)
            drawn.append(indices)
        return torch.stack(drawn)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most: all."""
        return max(self.shape[1:])

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        x = self.first(x, embedding)
        if self.position is not None:
            x = self.position(x, embedding, corner)
        for block in self.blocks:
            x = x + block(F.relu(x), embedding)
        x = F.relu(x)
        if self.squash is not None:
            x = F.relu(self.squash(x, embedding))
        return self.read_out(x, embedding)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = self.first.lower(program, program.image)
        if self.position is not None:
            x = self.position.lower(program, x)
        for block in self.blocks:
            assert isinstance(block, LocallyMaskedConv2d)
            x = program.add(x, block.lower(program, program.relu(x)))
        x = program.relu(x)
        if self.squash is not None:
            x = program.relu(self.squash.lower(program, x))
        self.lower_last(program, x)
        return program


def random_region(size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """A random half plane or rectangle, or all outside of one, boolean, (H, W)."""
    known = torch.zeros(size, dtype=torch.bool)
    sides = [sorted(torch.randint(0, side + 1, (2,), generator=rng).tolist()) for side in size]
    kind = int(torch.randint(0, 4, (), generator=rng))
    if kind < 2:  # rows or columns as a whole
        sides[kind] = [0, size[kind]]
        sides[1 - kind] = [0, sides[1 - kind][0]]
    (top, bottom), (left, right) = sides
    known[top:bottom, left:right] = True
    return known if torch.rand((), generator=rng) < 0.5 else ~known
