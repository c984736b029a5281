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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.accelerate import blocks, stacks
from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts
from nextpixel.nn import (
    NO_EMBEDDING,
    Condition,
    Conditioner,
    Embedding,
    HorizontalConv2d,
    Injection,
    MaskedConv2d,
    PositionMap,
    VerticalConv2d,
    gate,
)
from nextpixel.nn.gated import grouped
from nextpixel.order import Shape
from nextpixel.program import ROW, Map, Program


@dataclass(frozen=True, kw_only=True)
class GatedPixelCNNConfig(ModelConfig):
    """Options of `GatedPixelCNN`.

    Attributes:
        features: Features of each stack.
        layers: Gated layers behind the first.
        first_side: Width of the first layer's kernels; odd.
        side: Width of the other kernels; odd.
        dilations: Distance between taps, layer by layer behind the first, over and over.
        skip: Whether every layer feeds the head directly, by a 1x1 convolution of its own; else the
            head reads the last horizontal stack alone.
        head_features: Features between the last two 1x1 convolutions.
        dropout: Share of gate outputs set to zero in training.
        position: Whether a learned map is added to both stacks behind the first layer; the model
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
        check_counts(self, "features", "side", "head_features")
        check_counts(self, "layers", least=0)
        check_counts(self, "first_side", least=3)
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations must be a list of 1 or more, got {self.dilations}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    def dilation(self, layer: int) -> int:
        """Distance between the taps of a layer behind the first, counted from 0."""
        return self.dilations[layer % len(self.dilations)]


class Hearing(nn.Module):
    """Where one stack of a layer hears conditions: around its convolution, and in its gate.

    Args:
        conditioner: What can be given, and in which form.
        inputs: Features that the convolution reads.
        outputs: Features that it gives: both halves of the gate.
        gated: Whether there is a gate behind it that matters.
    """

    def __init__(
        self, conditioner: Conditioner, inputs: int, outputs: int, *, gated: bool = True
    ) -> None:
        super().__init__()
        self.before = Injection(conditioner.widths("input"), inputs)
        self.behind = Injection(conditioner.widths("bias"), outputs)
        self.gate = Injection(conditioner.widths("gate", "map") if gated else [], outputs)

    def lower(
        self, program: Program, conv: Callable[[Program, Map], Map], x: Map, order: Tensor
    ) -> Map:
        """`conv` as operations, its outputs in `order`."""
        heard = conv(program, program.inject(x, self.before))
        return program.inject(heard, self.behind, order)


class Around(nn.Module):
    """Where a 1x1 convolution hears conditions: before it ("input") and behind it ("bias").

    Args:
        conditioner: What can be given, and in which form.
        inputs: Features that the convolution reads.
        outputs: Features that it gives.
        hears: Whether it hears anything.
    """

    def __init__(self, conditioner: Conditioner, inputs: int, outputs: int, *, hears: bool) -> None:
        super().__init__()
        self.before = Injection(conditioner.widths("input") if hears else [], inputs)
        self.behind = Injection(conditioner.widths("bias") if hears else [], outputs)

    def forward(self, conv: nn.Module, x: Tensor, embedding: Embedding) -> Tensor:
        """`conv` of x, (B, inputs, H, W) -> (B, outputs, H, W)."""
        heard: Tensor = self.behind(conv(self.before(x, embedding)), embedding)
        return heard

    def lower(
        self,
        program: Program,
        conv: Callable[[Program, Map], Map],
        x: Map,
        order: Tensor | None = None,
    ) -> Map:
        """`forward` as operations, the outputs of `conv` in `order`."""
        return program.inject(conv(program, program.inject(x, self.before)), self.behind, order)


class GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        config: Sizes and switches.
        conditioner: What it hears: before the convolutions ("input"), behind them ("bias"), or in
            the gates ("gate", "map").
        inputs: Features, or planes of the image in the first layer.
        groups: Color groups.
        side: Width of the kernels.
        dilation: Distance between taps.
        first: Whether it reads the image.
        final: Whether only the head follows: the vertical stack then ends before its gate, and
            where layers skip to the head, the horizontal one ends with its gate.
    """

    def __init__(
        self,
        config: GatedPixelCNNConfig,
        conditioner: Conditioner,
        inputs: int,
        groups: int,
        *,
        side: int,
        dilation: int = 1,
        first: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__()
        both = 2 * config.features
        self.first, self.features, self.drops = first, config.features, config.dropout > 0
        self.hears_all = config.condition_all
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
        self.hears_link = Around(conditioner, both, both, hears=config.condition_all)
        self.hears_out = Around(
            conditioner, features, features, hears=config.condition_all and not ends
        )
        self.hears_skip = Around(
            conditioner, features, config.head_features, hears=config.condition_all and config.skip
        )
        self.hears_v = Hearing(conditioner, inputs, both, gated=not final)
        self.hears_h = Hearing(conditioner, inputs, both)

    def lower(self, program: Program, v: Map, h: Map, groups: int) -> tuple[Map, Map, Map | None]:
        """`forward` as operations."""
        features = self.horizontal.weight.shape[0] // 2
        plain, order = torch.arange(2 * features), grouped(features, groups)
        above = self.hears_v.lower(program, self.vertical.lower, v, plain)
        left = functools.partial(self.horizontal.lower, order=order)
        link = functools.partial(self._lower_link, order=order)
        row = program.add(
            self.hears_h.lower(program, left, h, order),
            self.hears_link.lower(program, link, above, order),
        )
        opened = program.gate(program.inject(row, self.hears_h.gate, order), groups)
        skip = change = opened
        if self.skip is not None:
            skip = self.hears_skip.lower(program, self.skip.lower, opened)
        if self.out is not None:
            change = self.hears_out.lower(program, self.out.lower, opened)
        v = program.gate(program.inject(above, self.hears_v.gate))
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
        heard = self.hears_v.before(v, embedding), self.hears_h.before(h, embedding)
        at_once = self.training and embedding.everywhere and stacks.pays(heard, self.features)
        at_once = at_once and not self.hears_all
        plain = self.skip is None and not self.drops and heard[1] is h
        if at_once and plain and self.out is not None:
            return *self._at_once(*heard, embedding, self.out), None
        v, opened = self._at_once(*heard, embedding) if at_once else self._gates(*heard, embedding)
        opened = self.dropout(opened)
        skip = None if self.skip is None else self.hears_skip(self.skip, opened, embedding)
        change = opened if self.out is None else self.hears_out(self.out, opened, embedding)
        return v, change if self.first else h + change, skip

    def _gates(self, v: Tensor, h: Tensor, embedding: Embedding) -> tuple[Tensor, Tensor]:
        """The vertical stack, and the gates of the horizontal one."""
        above = self.hears_v.behind(self.vertical(v), embedding)
        row = self.hears_h.behind(self.horizontal(h), embedding) + self.hears_link(
            self.link, above, embedding
        )
        return gate(self.hears_v.gate(above, embedding)), gate(self.hears_h.gate(row, embedding))

    def _at_once(
        self, v: Tensor, h: Tensor, embedding: Embedding, out: MaskedConv2d | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `_gates` in one operation; with `out`, which comes last, both stacks."""
        row_bias = self.horizontal.bias + self._link_bias
        above = self.hears_v.behind(self.vertical.bias.view(1, -1, 1, 1), embedding)
        row = self.hears_h.gate(
            self.hears_h.behind(row_bias.view(1, -1, 1, 1), embedding), embedding
        )
        told = self.hears_v.gate(torch.zeros_like(row_bias).view(1, -1, 1, 1), embedding)
        weights = [self.vertical.weight, self.horizontal.masked, self.link.weight]
        added = [above, row, told]
        if out is not None and out.bias is not None:
            weights, added = [*weights, out.masked], [*added, out.bias.view(1, -1, 1, 1)]
        return stacks.both_stacks(
            (v, h),
            (self.vertical.taps, self.horizontal.taps),
            [weight.flatten(2) for weight in weights],
            [one.flatten(1) for one in added],
            residual=not self.first,
        )


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
        self.first = GatedLayer(
            config,
            self.conditioner,
            self.inputs,
            groups,
            side=config.first_side,
            first=True,
            final=config.layers == 0,
        )
        self.layers = nn.ModuleList(
            GatedLayer(
                config,
                self.conditioner,
                features,
                groups,
                side=config.side,
                dilation=config.dilation(layer),
                final=layer == config.layers - 1,
            )
            for layer in range(config.layers)
        )
        self.position_v = PositionMap(features, shape) if config.position else None
        self.position_h = PositionMap(features, shape) if config.position else None
        read = config.head_features if config.skip else features
        self.squash = MaskedConv2d(read, config.head_features, 1, groups=groups, sees_self=True)
        self.hears_squash = Around(
            self.conditioner, read, config.head_features, hears=config.condition_all
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
            v = program.inject(v, self.position_v.map.unsqueeze(0))
            h = program.inject(h, self.position_h.map.unsqueeze(0))
        for layer in self.layers:
            assert isinstance(layer, GatedLayer)
            v, h, skip = layer.lower(program, v, h, self.groups)
            total = None if skip is None or total is None else program.add(total, skip)
        x = h if total is None else program.relu(total)
        self.lower_last(
            program, program.relu(self.hears_squash.lower(program, self.squash.lower, x))
        )
        return program

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        v, h, total = self.first(x, x, embedding)
        if self.position_v is not None and self.position_h is not None:
            v, h = self.position_v(v, corner), self.position_h(h, corner)
        for layer in self.layers:
            v, h, skip = layer(v, h, embedding)
            total = None if skip is None else total + skip
        x, rectified = (h, False) if total is None else (total, True)
        head = [self.squash, self.last]
        if blocks.pays(x, head, NO_EMBEDDING) and not self.config.condition_all:
            return blocks.block(x, head, NO_EMBEDDING, rectified=rectified)
        x = F.relu(x) if rectified else x
        return self.read_out(F.relu_(self.hears_squash(self.squash, x, embedding)), embedding)
