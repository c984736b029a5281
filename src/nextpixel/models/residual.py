"""PixelCNN with residual blocks, optionally with a learned map that tells each pixel where it is.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, table
    1 and figure 5: 7x7 mask A, blocks of 2h features (1x1 to h, masked k x k, 1x1 back to 2h), two
    1x1 layers. https://arxiv.org/abs/1601.06759
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import check_choice, check_counts, color_groups
from nextpixel.models.pixelcnn import lower_norm
from nextpixel.nn import (
    ClassCondition,
    ConditionalConv2d,
    Conditioner,
    Given,
    MapCondition,
    MaskedConv2d,
    PositionMap,
    VectorCondition,
    blocks,
)
from nextpixel.nn.program import Map, Program
from nextpixel.order import Shape

BLOCKS = ("bottleneck", "single")


@dataclass(frozen=True, kw_only=True)
class ResidualPixelCNNConfig:
    """Options of `ResidualPixelCNN`.

    Attributes:
        features: Features on the residual path (2h in the paper).
        inner: Features inside a "bottleneck" block (h in the paper).
        blocks: Residual blocks.
        first_side: Width of the first kernel, which has mask A; odd.
        side: Width of the kernels in the blocks; odd.
        block: Convolutions of a block: "bottleneck" is the paper's 1x1, k x k, 1x1; "single" is one
            k x k convolution from `features` to `features`, faster on CPUs for its size.
        head_features: Features between the two last 1x1 convolutions.
        position: Whether a learned map (features, H, W) is added after the first layer. It is the
            same for all images, so it leaks nothing; the model then takes images of one size only.
        batch_norm: Batch norm after each convolution but the last; see `PixelCNNConfig`.
        colors: "dependent" (G sees R of its pixel) or "independent".
        condition: What the model is told beside the past: labels, vectors, maps.
        edge: See `PixelModel`.
    """

    features: int = 128
    inner: int = 64
    blocks: int = 15
    first_side: int = 7
    side: int = 3
    block: str = "bottleneck"
    head_features: int = 128
    position: bool = False
    batch_norm: bool = False
    colors: str = "dependent"
    condition: tuple[ClassCondition | VectorCondition | MapCondition, ...] = ()
    edge: bool = True

    def __post_init__(self) -> None:
        """Check the sizes and choices."""
        check_counts(self, "features", "inner", "blocks", "first_side", "side", "head_features")
        check_choice("block", self.block, BLOCKS)


class ResidualBlock(nn.Module):
    """x + conv(ReLU(...)): every convolution follows a ReLU, and the sum has none.

    Args:
        config: Sizes of the block.
        groups: Color groups of its features.
        conditioner: What its convolutions hear.
    """

    def __init__(
        self, config: ResidualPixelCNNConfig, groups: int, conditioner: Conditioner
    ) -> None:
        super().__init__()
        convs = [
            MaskedConv2d(inputs, outputs, side, groups=groups, sees_self=True)
            for inputs, outputs, side in self.sizes(config)
        ]
        with torch.no_grad():  # keeps the sum of many blocks from growing
            convs[-1].weight.mul_(1 / math.sqrt(config.blocks))
        self.layers = nn.ModuleList(ConditionalConv2d(conv, conditioner) for conv in convs)
        self.normed = config.batch_norm
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(conv.weight.shape[1]) if config.batch_norm else nn.Identity()
            for conv in convs
        )

    @staticmethod
    def sizes(config: ResidualPixelCNNConfig) -> list[tuple[int, int, int]]:
        """Inputs, outputs and side of each convolution."""
        features, inner, side = config.features, config.inner, config.side
        if config.block == "bottleneck":
            return [(features, inner, 1), (inner, inner, side), (inner, features, 1)]
        return [(features, features, side)]

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        change = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            assert isinstance(layer, ConditionalConv2d)
            change = layer.lower(program, program.relu(lower_norm(program, norm, change)))
        return program.add(x, change)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        """(B, features, H, W) -> the same."""
        layers = cast("Sequence[ConditionalConv2d]", self.layers)
        if not self.normed and blocks.pays(x, layers, given):
            return blocks.block(x, layers, given, residual=True)
        change = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            # In place: what a convolution or a norm gave is needed by nobody else, but x is.
            heard = norm(change)
            change = layer(F.relu(heard, inplace=heard is not x), given)
        return change.add_(x)


class ResidualPixelCNN(PixelModel):
    """A masked k x k convolution, residual blocks, and two 1x1 convolutions.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.
    """

    name = "residual-pixelcnn"
    Config = ResidualPixelCNNConfig
    config: ResidualPixelCNNConfig

    def __init__(self, shape: Shape, levels: int, config: ResidualPixelCNNConfig) -> None:
        super().__init__(shape, levels, conditions=config.condition, edge=config.edge)
        self.config = config
        groups = self.groups = color_groups(config.colors, shape[0])
        features = config.features
        first = MaskedConv2d(
            self.inputs, features, config.first_side, groups=groups, sees_self=False
        )
        self.first = ConditionalConv2d(first, self.conditioner)
        self.position = PositionMap(features, shape) if config.position else None
        self.blocks = nn.ModuleList(
            ResidualBlock(config, groups, self.conditioner) for _ in range(config.blocks)
        )
        squash = MaskedConv2d(features, config.head_features, 1, groups=groups, sees_self=True)
        self.squash = ConditionalConv2d(squash, self.conditioner)
        self.norm = nn.BatchNorm2d(features) if config.batch_norm else nn.Identity()
        self.last: MaskedConv2d = MaskedConv2d(
            config.head_features, self.outputs, 1, groups=groups, sees_self=True
        )
        nn.init.zeros_(self.last.weight)  # training starts from the uniform distribution

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""
        return self.config.first_side // 2 + self.config.blocks * (self.config.side // 2)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = self.first.lower(program, program.image)
        if self.position is not None:
            x = program.told(x, self.position.map.unsqueeze(0))
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            x = block.lower(program, x)
        x = self.squash.lower(program, program.relu(lower_norm(program, self.norm, x)))
        program.output = self.last.lower(program, program.relu(x))
        return program

    def network(self, x: Tensor, given: Given, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        x = self.first(x, given)
        if self.position is not None:
            x = self.position(x, corner)
        for block in self.blocks:
            x = block(x, given)
        head: list[ConditionalConv2d | MaskedConv2d] = [self.squash, self.last]
        if not self.config.batch_norm and blocks.pays(x, head, given):
            return blocks.block(x, head, given)
        outputs: Tensor = self.last(F.relu_(self.squash(F.relu(self.norm(x)), given)))
        return outputs
