"""PixelSNAIL: gated residual blocks of causal convolutions, and attention to all of the past.

A pixel's query knows what comes before the pixel; keys and values also know the raw pixel of their
own place, so a pixel attends to earlier ones only. With it every pixel of the past is seen (where
keys are pooled: as far as the layers before see the pixels that wait for a key of theirs, which
`pool` up to 2 `layers` + 2 ensures); without the raw pixel in keys and values a pixel at the left
would never see the last one of the row above, however many layers there are.

Departures from the published code: a 1x1 convolution brings image, features and position to
`features` before the blocks that make keys and queries, where there those blocks are as wide as all
three side by side; keys may be pooled along the row (`pool`).

References: Chen, Mishra, Rohaninejad, Abbeel (2018), PixelSNAIL: An Improved Autoregressive
    Generative Model, and its public code. https://arxiv.org/abs/1712.09763
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts
from nextpixel.nn import Conditioner, Embedding, Value
from nextpixel.nn.attention import attend, attend_pooled, to_map, to_tokens
from nextpixel.nn.gated_residual import AT_PIXEL, STREAMS, GatedResidual, fit_gains
from nextpixel.nn.strided import ABOVE_ROW, LEFT, POINT, ShiftedConv2d, Window
from nextpixel.order import Shape
from nextpixel.program import Map, Program
from nextpixel.program.ops import Attend, Elu

_, DOWN_RIGHT_STREAM = STREAMS


@dataclass(frozen=True, kw_only=True)
class PixelSNAILConfig(ModelConfig):
    """Options of `PixelSNAIL`; the paper's net for CIFAR-10 has 256 features and 12 blocks.

    Attributes:
        features: Of every hidden layer.
        blocks: Blocks, each of gated residual layers and one of attention.
        layers: Gated residual layers of a block.
        heads: Of each attention.
        key: Features of a key, of each head.
        value: Features of a value, of each head; 0: half of `features`, shared out to the heads.
        pool: 1, or how many pixels of a row share a key and a value, which divides the width.
        raw: Whether keys and values know the raw pixel. Without it a blind spot remains.
        dropout: Share of the features inside a block that training leaves out.
        weight_norm: Whether kernels are normalised, as in PixelCNN++.
    """

    features: int = 64
    blocks: int = 2
    layers: int = 2
    heads: int = 1
    key: int = 16
    value: int = 0
    pool: int = 1
    raw: bool = True
    dropout: float = 0.0
    weight_norm: bool = False
    colors: str = "coupled"

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            TypeError: Naming what is no integer.
            ValueError: Naming what is too small, or a share out of its range.
        """
        super().__post_init__()
        check_counts(self, "features", "blocks", "layers", "heads", "key", "pool")
        check_counts(self, "value", least=0)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    @property
    def values(self) -> int:
        """Features of the values of all heads."""
        return self.heads * (self.value or max(1, self.features // (2 * self.heads)))


class Mixed(nn.Module):
    """A 1x1 convolution of features, of the position, and of the image if wanted; then a block.

    Args:
        config: Sizes.
        conditioner: Conditions of the block.
        planes: Of the network's input; 0: it is not read.
    """

    def __init__(self, config: PixelSNAILConfig, conditioner: Conditioner, planes: int) -> None:
        super().__init__()
        f, normed = config.features, config.weight_norm
        self.of_features = ShiftedConv2d(f, f, POINT, row=False, normed=normed)
        self.of_image = None
        if planes:
            self.of_image = ShiftedConv2d(planes, f, POINT, row=False, normed=normed)
        self.of_place = nn.Conv2d(2, f, 1, bias=False)
        self.block = GatedResidual(f, AT_PIXEL, conditioner, dropout=config.dropout, normed=normed)

    def forward(self, x: Tensor, image: Tensor, place: Tensor, embedding: Embedding) -> Tensor:
        """(B, F, H, W), (B, planes, H, W), (1, 2, H, W) -> (B, F, H, W)."""
        mixed = self.of_features(x) + self.of_place(place)
        if self.of_image is not None:
            mixed = mixed + self.of_image(image)
        made: Tensor = self.block(mixed, (), embedding)
        return made

    def lower(self, program: Program, x: Map, place: Tensor) -> Map:
        """`forward` as operations."""
        mixed = self.of_features.lower(program, x)
        if self.of_image is not None:
            mixed = program.add(mixed, self.of_image.lower(program, program.image))
        mixed = program.inject(mixed, self._place_in_one_order(place))
        return self.block.lower(program, mixed, ())

    def _place_in_one_order(self, place: Tensor) -> Tensor:
        """What places add, for archives: by products and sums that IEEE 754 fixes, (1, F, H, W).

        torch's convolution rounds otherwise on another processor.
        """
        weight = self.of_place.weight.detach()
        rows, columns = weight.double()[:, :, 0, 0, None, None].unbind(1)
        row, column = place[0].double()
        added: Tensor = rows * row + columns * column
        return added.to(weight).unsqueeze(0)


class Attention(nn.Module):
    """What a pixel gathers from all pixels before it.

    Args:
        config: Sizes.
        conditioner: Conditions of the blocks that make keys and queries.
        planes: Of the network's input.
    """

    def __init__(self, config: PixelSNAILConfig, conditioner: Conditioner, planes: int) -> None:
        super().__init__()
        self.heads, self.pool = config.heads, config.pool
        f, normed, keys = config.features, config.weight_norm, config.heads * config.key
        pooled = Window(1, config.pool, 0, 1 - config.pool)
        self.to_keys = Mixed(config, conditioner, planes if config.raw else 0)
        self.to_queries = Mixed(config, conditioner, 0)
        self.key = ShiftedConv2d(f, keys, pooled, row=False, normed=normed)
        self.value = ShiftedConv2d(f, config.values, pooled, row=False, normed=normed)
        self.query = ShiftedConv2d(f, keys, POINT, row=False, normed=normed)

    def forward(self, x: Tensor, image: Tensor, place: Tensor, embedding: Embedding) -> Tensor:
        """(B, F, H, W), (B, planes, H, W), (1, 2, H, W) -> (B, values, H, W)."""
        seen = self.to_keys(x, image, place, embedding)
        key, value = (
            to_tokens(one(seen)[:, :, :, self.pool - 1 :: self.pool], self.heads)
            for one in (self.key, self.value)
        )
        query = to_tokens(self.query(self.to_queries(x, image, place, embedding)), self.heads)
        if self.pool == 1:
            made = attend(query, key, value, inclusive=False)
        else:
            made = attend_pooled(query, key, value, pool=self.pool)
        return to_map(made, (x.shape[2], x.shape[3]))

    def lower(self, program: Program, x: Map, place: Tensor) -> Map:
        """`forward` as operations."""
        seen = self.to_keys.lower(program, x, place)
        key, value = self.key.lower(program, seen), self.value.lower(program, seen)
        query = self.query.lower(program, self.to_queries.lower(program, x, place))
        return program.apply(Attend, query, key, value, heads=self.heads, pool=self.pool)


class SnailBlock(nn.Module):
    """Gated residual layers, attention, and one more that reads what attention gathered.

    Args:
        config: Sizes.
        conditioner: Conditions of all layers.
        planes: Of the network's input.
    """

    def __init__(self, config: PixelSNAILConfig, conditioner: Conditioner, planes: int) -> None:
        super().__init__()
        f, dropout, normed = config.features, config.dropout, config.weight_norm
        self.layers = nn.ModuleList(
            GatedResidual(f, DOWN_RIGHT_STREAM, conditioner, dropout=dropout, normed=normed)
            for _ in range(config.layers)
        )
        self.attention = Attention(config, conditioner, planes)
        self.merge = GatedResidual(
            f,
            AT_PIXEL,
            conditioner,
            others=((config.values, False),),
            dropout=dropout,
            normed=normed,
        )

    def forward(self, x: Tensor, image: Tensor, place: Tensor, embedding: Embedding) -> Tensor:
        """(B, F, H, W), (B, planes, H, W), (1, 2, H, W) -> (B, F, H, W)."""
        for layer in self.layers:
            x = layer(x, (), embedding)
        gathered = self.attention(x, image, place, embedding)
        merged: Tensor = self.merge(x, (gathered,), embedding)
        return merged

    def lower(self, program: Program, x: Map, place: Tensor) -> Map:
        """`forward` as operations."""
        for layer in self.layers:
            assert isinstance(layer, GatedResidual)
            x = layer.lower(program, x, ())
        return self.merge.lower(program, x, (self.attention.lower(program, x, place),))


class PixelSNAIL(PixelModel):
    """The network of the paper.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.

    Raises:
        ValueError: If colors depend on each other by groups, `pool` does not divide the width, or a
            condition has the form "gate".
    """

    name = "pixelsnail"
    Config = PixelSNAILConfig
    config: PixelSNAILConfig
    place: Tensor

    def __init__(self, shape: Shape, levels: int, config: PixelSNAILConfig) -> None:
        super().__init__(shape, levels, config)
        _check(shape, config)
        f, normed = config.features, config.weight_norm
        if any(self.conditioner.widths("gate")):
            raise ValueError("form must be input, bias or map for pixelsnail, got 'gate'")
        self.above = ShiftedConv2d(self.inputs, f, ABOVE_ROW, row=True, normed=normed)
        self.left = ShiftedConv2d(self.inputs, f, LEFT, row=False, normed=normed)
        self.blocks = nn.ModuleList(
            SnailBlock(config, self.conditioner, self.inputs) for _ in range(config.blocks)
        )
        self.register_buffer("place", _place(shape), persistent=False)
        self.add_last(f)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most: all."""
        return max(self.shape[1:])

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, W) -> (B, outputs, h, W)."""
        image, place = x, self.place[:, :, : x.shape[2]]
        x = self.above(image) + self.left(image)
        for block in self.blocks:
            x = block(x, image, place, embedding)
        return self.read_out(F.elu(x), embedding)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        image = program.image
        x = program.add(self.above.lower(program, image), self.left.lower(program, image))
        for block in self.blocks:
            assert isinstance(block, SnailBlock)
            x = block.lower(program, x, self.place)
        self.lower_last(program, program.apply(Elu, x))
        return program

    def kernels(self) -> list[nn.Parameter]:
        """Weights that an optimiser may read as matrices: those of gated residual blocks.

        Keys and queries are left out: products of both would grow without bounds under updates of
        one size, until each pixel attends to a single other one.
        """
        blocks = [part for part in self.modules() if isinstance(part, GatedResidual)]
        inside = {id(weight) for block in blocks for weight in block.parameters()}
        return [weight for weight in super().kernels() if id(weight) in inside]

    def initialize(self, levels: Tensor, condition: Value | None = None) -> None:
        """Fit the gains of normalised weights to a batch (`nn.gated_residual.fit_gains`)."""
        fit_gains(self, lambda: self(levels, condition))


def _place(shape: Shape) -> Tensor:
    """Row and column of each place, from -1/2 to 1/2, (1, 2, H, W)."""
    _, height, width = shape
    rows = torch.arange(height).view(-1, 1).expand(height, width) / height - 0.5
    columns = torch.arange(width).expand(height, width) / width - 0.5
    return torch.stack([rows, columns]).unsqueeze(0)


def _check(shape: Shape, config: PixelSNAILConfig) -> None:
    if shape[0] > 1 and config.colors == "dependent":
        raise ValueError(
            "colors must be coupled or independent for pixelsnail, whose features are in no "
            "groups, got 'dependent'"
        )
    if shape[2] % config.pool:
        raise ValueError(f"pool must divide the width of the images, {shape[2]}, got {config.pool}")
