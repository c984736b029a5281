"""A plain causal transformer over pixels, as in ImageGPT.

The sequence is the scan: a token reads the one before it, which for the first of a row is the last
of the row above, and a learned position. Tokens are pixels; where colors depend on each other they
are sub-pixels, red, green and blue of a pixel in turn, with the same weights.

Departures from ImageGPT: a level enters as a number and not by an embedding of its own, and no
weights are shared between the two ends.

References: Chen, Radford, Child, Wu, Jun, Luan, Sutskever (2020), Generative Pretraining from
    Pixels, section 2. https://cdn.openai.com/papers/Generative_Pretraining_from_Pixels_V2.pdf
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts
from nextpixel.nn import Embedding, Injection, PositionMap
from nextpixel.nn.attention import attend
from nextpixel.order import Shape
from nextpixel.program import PIXEL, Map, Program
from nextpixel.program.ops import Attend, Gelu, LayerNorm


@dataclass(frozen=True, kw_only=True)
class PixelTransformerConfig(ModelConfig):
    """Options of `PixelTransformer`; the smallest ImageGPT has 512 features, 8 heads, 24 layers.

    Attributes:
        features: Of a token; a multiple of `heads`.
        heads: Of each attention.
        layers: Blocks of an attention and a net of two layers.
        expansion: Features between these two, for each of `features`.
    """

    features: int = 64
    heads: int = 4
    layers: int = 4
    expansion: int = 4

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            TypeError: Naming what is no integer.
            ValueError: Naming what is too small, or that heads do not share out the features.
        """
        super().__post_init__()
        check_counts(self, "features", "heads", "layers", "expansion")
        if self.features % self.heads:
            raise ValueError(
                f"features must be a multiple of heads, {self.heads}, got {self.features}"
            )


class Block(nn.Module):
    """x + attention(norm(x)), then x + net(norm(x)).

    Args:
        config: Sizes.
    """

    def __init__(self, config: PixelTransformerConfig) -> None:
        super().__init__()
        f, self.heads = config.features, config.heads
        self.norms = nn.ModuleList(nn.LayerNorm(f) for _ in range(2))
        self.query, self.key, self.value, self.merge = (nn.Linear(f, f) for _ in range(4))
        self.wide = nn.Linear(f, config.expansion * f)
        self.narrow = nn.Linear(config.expansion * f, f)
        for layer in (self.merge, self.narrow):  # keeps the sum of many blocks from growing
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(B, tokens, F) -> the same."""
        y = self.norms[0](x)
        query, key, value = (
            torch.unflatten(layer(y), 2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        gathered = attend(query, key, value, inclusive=True).transpose(1, 2).flatten(2)
        x = x + self.merge(gathered)
        wide = self.wide(self.norms[1](x))
        net: Tensor = self.narrow(wide * torch.sigmoid(1.702 * wide))
        return x + net

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        first, second = self.norms
        y = lower_norm(program, first, x)
        query, key, value = (
            lower_linear(program, layer, y) for layer in (self.query, self.key, self.value)
        )
        gathered = program.apply(
            Attend, query, key, value, heads=self.heads, inclusive=True, groups=program.groups
        )
        x = program.add(x, lower_linear(program, self.merge, gathered))
        wide = program.apply(Gelu, lower_linear(program, self.wide, lower_norm(program, second, x)))
        return program.add(x, lower_linear(program, self.narrow, wide))


def lower_linear(program: Program, layer: nn.Linear, x: Map) -> Map:
    """A linear layer of each token, as an operation."""
    weight = _diagonal(layer.weight, program.groups)
    bias = layer.bias.repeat(program.groups)
    return program.conv(x, weight.unsqueeze(-1), [(0, 0)], bias, phase=PIXEL)


def _diagonal(weight: Tensor, count: int) -> Tensor:
    """A matrix so many times along the diagonal of a larger one."""
    made: Tensor = torch.block_diag(*[weight] * count)  # type: ignore[no-untyped-call]
    return made


def lower_norm(program: Program, norm: nn.Module, x: Map) -> Map:
    """A layer norm of each token, as an operation."""
    assert isinstance(norm, nn.LayerNorm)
    groups = program.groups
    factor, bias = norm.weight.repeat(groups), norm.bias.repeat(groups)
    return program.apply(LayerNorm, x, factor=factor, bias=bias, groups=groups)


class PixelTransformer(PixelModel):
    """The network: tokens that know what comes before them, and attend to each other.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes.

    Raises:
        ValueError: If a condition has the form "gate".
    """

    name = "pixel-transformer"
    Config = PixelTransformerConfig
    config: PixelTransformerConfig

    def __init__(self, shape: Shape, levels: int, config: PixelTransformerConfig) -> None:
        super().__init__(shape, levels, config)
        features = self.groups * config.features
        if any(self.conditioner.widths("gate")):
            raise ValueError("form must be input, bias or map in a model without gates, got 'gate'")
        self.read = nn.Linear(self.inputs // self.groups, config.features, bias=False)
        self.position = PositionMap(features, shape, self.conditioner)
        nn.init.normal_(self.position.map, std=0.02)
        self.inject = Injection(self.conditioner.widths("input", "bias", "map"), features)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.features)
        self.add_last(features)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most: all."""
        return max(self.shape[1:])

    def kernels(self) -> list[nn.Parameter]:
        """Weights that an optimiser may read as matrices: those of the blocks."""
        return [weight for weight in self.blocks.parameters() if weight.ndim == 2]

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, W) -> (B, outputs, h, W)."""
        size = (x.shape[2], x.shape[3])
        before = F.pad(self._to_tokens(x), (0, 0, 1, 0))[:, :-1]
        features = self.position(self._to_map(self.read(before), size), embedding, corner)
        tokens = self._to_tokens(self.inject(features, embedding))
        for block in self.blocks:
            tokens = block(tokens)
        return self.read_out(self._to_map(self.norm(tokens), size), embedding)

    def _to_tokens(self, x: Tensor) -> Tensor:
        """(B, groups * F, h, W) -> (B, tokens, F), in the order of the scan."""
        return torch.unflatten(x.flatten(2).transpose(1, 2), 2, (self.groups, -1)).flatten(1, 2)

    def _to_map(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, tokens, F) -> (B, groups * F, h, W)."""
        features = torch.unflatten(x, 1, (-1, self.groups)).flatten(2).transpose(1, 2)
        return torch.unflatten(features, 2, size)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        weight, taps = self._taps()
        x = program.conv(program.image, weight, taps, None, phase=PIXEL)
        x = self.position.lower(program, x)
        x = program.inject(x, self.inject)
        for block in self.blocks:
            assert isinstance(block, Block)
            x = block.lower(program, x)
        self.lower_last(program, lower_norm(program, self.norm, x))
        return program

    def _taps(self) -> tuple[Tensor, Sequence[tuple[int, int]]]:
        """What the first layer is as a convolution: its weights, and the places that it reads.

        The first token of a pixel reads the last one of the pixel to the left, and in the first
        column that of the row above: a tap so far to the right that it is outside elsewhere.
        """
        read, groups = self.read.weight.detach(), self.groups
        features, planes = read.shape
        before = read.new_zeros(groups * features, groups * planes)
        before[:features, -planes:] = read
        weights, taps = [before, before], [(0, -1), (-1, self.shape[2] - 1)]
        if groups > 1:
            own = torch.zeros_like(before)
            own[features:, :-planes] = _diagonal(read, groups - 1)
            weights, taps = [*weights, own], [*taps, (0, 0)]
        return torch.stack(weights, -1), taps
