"""PixelCNN with residual blocks, optionally with a learned map that tells each pixel where it is.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, table
    1 and figure 5: 7x7 mask A, blocks of 2h features (1x1 to h, masked k x k, 1x1 back to 2h), two
    1x1 layers. https://arxiv.org/abs/1601.06759
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_choice, check_counts, check_sides
from nextpixel.models.pixelcnn import lower_norm, make_norm
from nextpixel.nn import ConditionalConv2d, Conditioner, Embedding, MaskedConv2d, PositionMap
from nextpixel.order import Shape
from nextpixel.program import Map, Program

BLOCKS = ("bottleneck", "single", "post-activation")


@dataclass(frozen=True, kw_only=True)
class ResidualPixelCNNConfig(ModelConfig):
    """Options of `ResidualPixelCNN`.

    Attributes:
        features: Features on the residual path (2h in the paper).
        inner: Features inside a "bottleneck" block (h in the paper).
        blocks: Residual blocks.
        first_side: Width of the first kernel, which has mask A; odd, at least 3.
        side: Width of the kernels in the blocks; odd.
        dilations: Rows and columns from one of their taps to the next, block by block, over and
            over.
        block: "bottleneck" is the paper's x + conv(ReLU(...)) of 1x1, k x k, 1x1; "single" has one
            k x k convolution from `features` to `features`, faster on CPUs for its size;
            "post-activation" is the published code of seed 004, ReLU(norm(x + ReLU(conv(...)))) of
            the bottleneck's convolutions, with ReLU(norm) after the first layer too.
        head_features: Features between the two last 1x1 convolutions; 0: there is one alone.
        position: Whether a learned map (features, H, W) is added after the first layer. It is the
            same for all images, so it leaks nothing; the model then takes images of one size only.
        batch_norm: Batch norm before each ReLU in the blocks and before the head, none between the
            two convolutions of the head; in "post-activation" nets where `block` says. In training
            mode it is not causal; see `PixelCNNConfig`.
    """

    features: int = 128
    inner: int = 64
    blocks: int = 15
    first_side: int = 7
    side: int = 3
    dilations: tuple[int, ...] = (1,)
    block: str = "bottleneck"
    head_features: int = 128
    position: bool = False
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check the sizes and choices."""
        super().__post_init__()
        check_counts(self, "features", "inner", "blocks")
        check_counts(self, "head_features", least=0)
        check_sides(self, "first_side", least=3)
        check_sides(self, "side")
        check_choice("block", self.block, BLOCKS)
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations must be a list of 1 or more, got {self.dilations}")

    def dilation(self, block: int) -> int:
        """Of the kernels in a block."""
        return self.dilations[block % len(self.dilations)]

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features."""
        names = ("features", "inner", "head_features")
        return names if self.block != "single" else ("features", "head_features")


class ResidualBlock(nn.Module):
    """x + conv(ReLU(...)): every convolution follows a ReLU, and the sum has none.

    Args:
        config: Sizes of the block.
        groups: Color groups of its features.
        conditioner: Conditions of its convolutions.
        dilation: Rows and columns from a tap to the next.
    """

    def __init__(
        self,
        config: ResidualPixelCNNConfig,
        groups: int,
        conditioner: Conditioner,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        convs = [
            MaskedConv2d(inputs, outputs, side, groups=groups, sees_self=True, dilation=dilation)
            for inputs, outputs, side in self.sizes(config)
        ]
        with torch.no_grad():  # keeps the sum of many blocks from growing
            convs[-1].weight.mul_(1 / math.sqrt(config.blocks))
        self.layers = nn.ModuleList(ConditionalConv2d(conv, conditioner) for conv in convs)
        self.norms = nn.ModuleList(
            make_norm(conv.weight.shape[1], batch_norm=config.batch_norm) for conv in convs
        )

    @staticmethod
    def sizes(config: ResidualPixelCNNConfig) -> list[tuple[int, int, int]]:
        """Inputs, outputs and side of each convolution."""
        features, inner, side = config.features, config.inner, config.side
        if config.block != "single":
            return [(features, inner, 1), (inner, inner, side), (inner, features, 1)]
        return [(features, features, side)]

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        change = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            assert isinstance(layer, ConditionalConv2d)
            change = layer.lower(program, program.relu(lower_norm(program, norm, change)))
        return program.add(x, change)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, features, H, W) -> the same."""
        change = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            change = layer(F.relu(norm(change)), embedding)
        return x + change


class PostActivationBlock(nn.Module):
    """ReLU(norm(x + ReLU(conv(...)))): every convolution is followed by a ReLU, and so is the sum.

    Args:
        config: Sizes of the block.
        groups: Color groups of its features.
        conditioner: Conditions of its convolutions.
        dilation: Rows and columns from a tap to the next.
    """

    def __init__(
        self,
        config: ResidualPixelCNNConfig,
        groups: int,
        conditioner: Conditioner,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConditionalConv2d(
                MaskedConv2d(
                    inputs, outputs, side, groups=groups, sees_self=True, dilation=dilation
                ),
                conditioner,
            )
            for inputs, outputs, side in ResidualBlock.sizes(config)
        )
        self.norm = make_norm(config.features, batch_norm=config.batch_norm)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        change = x
        for layer in self.layers:
            assert isinstance(layer, ConditionalConv2d)
            change = program.relu(layer.lower(program, change))
        return program.relu(lower_norm(program, self.norm, program.add(x, change)))

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, features, H, W) -> the same."""
        change = x
        for layer in self.layers:
            change = F.relu(layer(change, embedding))
        return F.relu(self.norm(x + change))


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
        super().__init__(shape, levels, config)
        groups, features = self.groups, config.features
        first = MaskedConv2d(
            self.inputs, features, config.first_side, groups=groups, sees_self=False
        )
        self.first = ConditionalConv2d(first, self.conditioner)
        self.position = PositionMap(features, shape, self.conditioner) if config.position else None
        self.post = config.block == "post-activation"
        block = PostActivationBlock if self.post else ResidualBlock
        self.blocks = nn.ModuleList(
            block(config, groups, self.conditioner, config.dilation(number))
            for number in range(config.blocks)
        )
        self.squash = None if not config.head_features else self._squash(config)
        self.norm = make_norm(features, batch_norm=config.batch_norm)
        self.add_last(config.head_features or features)

    def _squash(self, config: ResidualPixelCNNConfig) -> ConditionalConv2d:
        conv = MaskedConv2d(
            config.features, config.head_features, 1, groups=self.groups, sees_self=True
        )
        return ConditionalConv2d(conv, self.conditioner)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""
        config = self.config
        steps = sum(config.dilation(number) for number in range(config.blocks))
        return config.first_side // 2 + steps * (config.side // 2)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = self.first.lower(program, program.image)
        if self.position is not None:
            x = self.position.lower(program, x)
        if self.post:
            x = program.relu(lower_norm(program, self.norm, x))
        for block in self.blocks:
            assert isinstance(block, ResidualBlock | PostActivationBlock)
            x = block.lower(program, x)
        if not self.post:
            x = program.relu(lower_norm(program, self.norm, x))
        if self.squash is not None:
            x = program.relu(self.squash.lower(program, x))
        self.lower_last(program, x)
        return program

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        x = self.first(x, embedding)
        if self.position is not None:
            x = self.position(x, embedding, corner)
        if self.post:
            x = F.relu(self.norm(x))
        for block in self.blocks:
            x = block(x, embedding)
        return self.read_out(x, embedding)

    def read_out(self, x: Tensor, embedding: Embedding) -> Tensor:
        """What follows the blocks, (B, features, h, w) -> (B, outputs, h, w)."""
        if not self.post:
            x = F.relu(self.norm(x))
        if self.squash is not None:
            x = F.relu(self.squash(x, embedding))
        return super().read_out(x, embedding)
