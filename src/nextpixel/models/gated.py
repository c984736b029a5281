"""Gated PixelCNN: a vertical and a horizontal stack, so that there is no blind spot.

Layer by layer, with * a convolution over the taps that each stack may see:

    v' = gate(W_v * v + V_v h)          h' = h + W * gate(W_h * h + W_link (W_v * v) + V_h h)

The link is a 1x1 convolution taken before the gate. The first layer reads the image in both stacks,
without its own pixel, and has no residual, which would carry that pixel along.

References:
    van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), Conditional Image
    Generation with PixelCNN Decoders, section 2 and figure 2. https://arxiv.org/abs/1606.05328
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts, check_sides
from nextpixel.nn import (
    Condition,
    Conditioner,
    Embedding,
    Gate,
    HorizontalConv2d,
    Injection,
    Injections,
    MaskedConv2d,
    PositionMap,
    VerticalConv2d,
)
from nextpixel.nn.gated import grouped
from nextpixel.order import Shape
from nextpixel.program import ROW, Map, Program


@dataclass(frozen=True, kw_only=True)
class GatedPixelCNNConfig(ModelConfig):
    """Options of `GatedPixelCNN`.

    Attributes:
        features: Features of each stack.
        layers: Gated layers after the first.
        first_side: Width of the first layer's kernels; odd.
        side: Width of the other kernels; odd.
        dilations: Distance between taps, layer by layer after the first, over and over.
        skip: Whether every layer feeds the head directly, by a 1x1 convolution of its own; else the
            head reads the last horizontal stack alone.
        head_features: Features between the last two 1x1 convolutions.
        dropout: Share of gate outputs set to zero in training.
        position: Whether a learned map is added to both stacks after the first layer; the model
            then takes images of one size only.
    """

    features: int = 32
    layers: int = 12
    first_side: int = 7
    side: int = 3
    dilations: tuple[int, ...] = (1,)
    skip: bool = False
    head_features: int = 32
    dropout: float = 0.0
    position: bool = False

    def __post_init__(self) -> None:
        """Check the sizes and shares."""
        super().__post_init__()
        check_counts(self, "features", "head_features")
        check_counts(self, "layers", least=0)
        check_sides(self, "first_side", least=3)
        check_sides(self, "side")
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations must be a list of 1 or more, got {self.dilations}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features."""
        return ("features", "head_features")

    def dilation(self, layer: int) -> int:
        """Distance between the taps of a layer after the first, counted from 0."""
        return self.dilations[layer % len(self.dilations)]


class GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        config: Sizes and switches.
        conditioner: Its conditions: added before the convolutions ("input"), after them ("bias"),
            or in the gates ("gate", "map").
        number: Of the layer. The first, 0, reads the image. After the last, `config.layers`, only
            the head follows: the vertical stack then ends before its gate, and where layers skip to
            the head, the horizontal one ends with its gate.
        inputs: Features, or planes of the image in the first layer.
        groups: Color groups.
    """

    def __init__(
        self,
        config: GatedPixelCNNConfig,
        conditioner: Conditioner,
        number: int,
        *,
        inputs: int,
        groups: int,
    ) -> None:
        super().__init__()
        both = 2 * config.features
        first, final = number == 0, number == config.layers
        side = config.first_side if first else config.side
        dilation = 1 if first else config.dilation(number - 1)
        self.first = first
        self.vertical = VerticalConv2d(inputs, both, side, first=first, dilation=dilation)
        self.horizontal = HorizontalConv2d(
            inputs, both, side, groups=groups, sees_self=not first, sets=2, dilation=dilation
        )
        self.link = nn.Conv2d(both, both, 1)  # rows above are known to all colors: no mask
        narrow = functools.partial(MaskedConv2d, side=1, groups=groups, sees_self=True)
        features, ends = config.features, final and config.skip
        self.out = None if ends else narrow(features, features)
        self.skip = narrow(features, config.head_features) if config.skip else None
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        every, gates = config.condition_all, conditioner.widths("gate", "map")
        self.inject_link = Injections(conditioner, both, both, enabled=every)
        self.inject_out = Injections(conditioner, features, features, enabled=every and not ends)
        self.inject_skip = Injections(
            conditioner, features, config.head_features, enabled=every and config.skip
        )
        self.inject_v = Injections(conditioner, inputs, both)
        self.inject_gate_v = Injection([] if final else gates, both)
        self.inject_h = Injections(conditioner, inputs, both)
        self.inject_gate_h = Injection(gates, both)
        self.gate = Gate()

    def lower(self, program: Program, v: Map, h: Map, groups: int) -> tuple[Map, Map, Map | None]:
        """`forward` as operations."""
        features = self.horizontal.weight.shape[0] // 2
        plain, order = torch.arange(2 * features), grouped(features, groups)
        above = self.inject_v.lower(program, self.vertical.lower, v, plain)
        left = functools.partial(self.horizontal.lower, order=order)
        link = functools.partial(self._lower_link, order=order)
        row = program.add(
            self.inject_h.lower(program, left, h, order),
            self.inject_link.lower(program, link, above, order),
        )
        opened = program.gate(program.inject(row, self.inject_gate_h, order), groups)
        skip = change = opened
        if self.skip is not None:
            skip = self.inject_skip.lower(program, self.skip.lower, opened)
        if self.out is not None:
            change = self.inject_out.lower(program, self.out.lower, opened)
        v = program.gate(program.inject(above, self.inject_gate_v))
        h = change if self.first else program.add(h, change)
        return v, h, None if self.skip is None else skip

    def _lower_link(self, program: Program, x: Map, order: Tensor) -> Map:
        weight = self.link.weight[order].flatten(2)
        return program.conv(x, weight, [(0, 0)], self._link_bias[order], phase=ROW)

    @property
    def _link_bias(self) -> Tensor:
        assert self.link.bias is not None
        return self.link.bias

    def forward(
        self, v: Tensor, h: Tensor, embedding: Embedding
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Two stacks (B, inputs, H, W) -> two stacks (B, features, H, W), and the skip if any."""
        above = self.inject_v(self.vertical, v, embedding)
        row = self.inject_h(self.horizontal, h, embedding)
        row = row + self.inject_link(self.link, above, embedding)
        v = self.gate(self.inject_gate_v(above, embedding))
        opened = self.gate(self.inject_gate_h(row, embedding))
        return v, *self.mix(h, opened, embedding)

    def mix(self, h: Tensor, opened: Tensor, embedding: Embedding) -> tuple[Tensor, Tensor | None]:
        """The horizontal stack (B, inputs, H, W) and its gates' outputs -> the stack, the skip."""
        opened = self.dropout(opened)
        skip = None if self.skip is None else self.inject_skip(self.skip, opened, embedding)
        change = opened if self.out is None else self.inject_out(self.out, opened, embedding)
        return change if self.first else h + change, skip


class GatedPixelCNN(PixelModel):
    """Gated layers, then two 1x1 convolutions on the horizontal stack or on all skips.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.
        conditions: In place of those of `config`, for models that make their own.
    """

    name = "gated-pixelcnn"
    ADDED = ("bias",)
    Config = GatedPixelCNNConfig
    config: GatedPixelCNNConfig

    def __init__(
        self,
        shape: Shape,
        levels: int,
        config: GatedPixelCNNConfig,
        conditions: Sequence[Condition] | None = None,
    ) -> None:
        super().__init__(shape, levels, config, conditions)
        groups, features = self.groups, config.features
        self.first = GatedLayer(config, self.conditioner, 0, inputs=self.inputs, groups=groups)
        self.layers = nn.ModuleList(
            GatedLayer(config, self.conditioner, number, inputs=features, groups=groups)
            for number in range(1, config.layers + 1)
        )
        self.position_v = (
            PositionMap(features, shape, self.conditioner) if config.position else None
        )
        self.position_h = (
            PositionMap(features, shape, self.conditioner) if config.position else None
        )
        read = config.head_features if config.skip else features
        self.squash = MaskedConv2d(read, config.head_features, 1, groups=groups, sees_self=True)
        self.inject_squash = Injections(
            self.conditioner, read, config.head_features, enabled=config.condition_all
        )
        self.add_last(config.head_features)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""
        steps = sum(map(self.config.dilation, range(self.config.layers)))
        return self.config.first_side // 2 + steps * (self.config.side // 2)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        v, h, total = self.first.lower(program, program.image, program.image, self.groups)
        if self.position_v is not None and self.position_h is not None:
            v = self.position_v.lower(program, v)
            h = self.position_h.lower(program, h)
        for layer in self.layers:
            assert isinstance(layer, GatedLayer)
            v, h, skip = layer.lower(program, v, h, self.groups)
            total = None if skip is None or total is None else program.add(total, skip)
        x = h if total is None else program.relu(total)
        self.lower_last(
            program, program.relu(self.inject_squash.lower(program, self.squash.lower, x))
        )
        return program

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        v, h, total = self.first(x, x, embedding)
        if self.position_v is not None and self.position_h is not None:
            v = self.position_v(v, embedding, corner)
            h = self.position_h(h, embedding, corner)
        for layer in self.layers:
            v, h, skip = layer(v, h, embedding)
            total = None if skip is None else total + skip
        return self.read_out(h if total is None else F.relu(total), embedding)

    def read_out(self, x: Tensor, embedding: Embedding) -> Tensor:
        """The last two convolutions, (B, inputs, h, w) -> (B, outputs, h, w)."""
        x = F.relu(self.inject_squash(self.squash, x, embedding))
        return super().read_out(x, embedding)
