r"""PixelCNN++: two streams over three resolutions, of gated residual blocks, with skip connections.

One stream reads the rows above, the other what is above and to the left, and every pixel of the
past. Each goes down to a quarter of the rows and columns, and back up, where it reads again what it
was on the way down:

.. math:: x' = x + a \sigma(b),\quad
    (a, b) = W_2\,e(W_1 e(x) + V e(\text{other})),\quad e(x) = \text{elu}([x, -x]).

References:
    Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++: Improving the PixelCNN with Discretized
    Logistic Mixture Likelihood and Other Modifications. https://arxiv.org/abs/1701.05517
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts
from nextpixel.nn import Embedding, Value
from nextpixel.nn.gated_residual import STREAMS, GatedResidual, fit_gains
from nextpixel.nn.strided import ABOVE, ABOVE_ROW, LEFT, ShiftedConv2d, UpConv2d
from nextpixel.order import Shape
from nextpixel.program import Map, Program
from nextpixel.program.ops import Elu

Node = TypeVar("Node", Tensor, Map)
"""A map of the network: of numbers, or of a program."""
Pair = tuple[nn.Module, nn.Module]
Pairs = Iterable[Pair]
RESOLUTIONS = 3


@dataclass(frozen=True, kw_only=True)
class PixelCNNPlusPlusConfig(ModelConfig):
    """Options of `PixelCNNPlusPlus`; the paper has 160 features, 5 blocks, 10 components.

    Attributes:
        features: Of every hidden layer.
        blocks: Gated residual blocks at each of the three resolutions, on the way down; on the way
            up there is one more at the two finer ones.
        dropout: Share of the features inside a block that training leaves out.
        weight_norm: Whether kernels are normalised, with gains that training begins by fitting to
            its first batch (Salimans & Kingma 2016).
    """

    features: int = 32
    blocks: int = 2
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
        check_counts(self, "features", "blocks")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")


class PixelCNNPlusPlus(PixelModel):
    """The network of the paper, at three resolutions.

    Args:
        shape: (C, H, W); H and W divisible by 4.
        levels: K.
        config: Sizes and switches.

    Raises:
        ValueError: If a size is not divisible by 4, colors depend on each other by groups, or a
            condition is added where no layer of this network takes one.
    """

    name = "pixelcnn-plusplus"
    Config = PixelCNNPlusPlusConfig
    config: PixelCNNPlusPlusConfig
    ADDED = ("bias",)

    def __init__(self, shape: Shape, levels: int, config: PixelCNNPlusPlusConfig) -> None:
        _check(shape, config)
        super().__init__(shape, levels, config)
        f, normed = config.features, config.weight_norm
        if wrong := [one.form for one in self.conditioner.conditions if one.form != "bias"]:
            raise ValueError(
                f"form must be bias for {self.name}, whose maps have several sizes, got {wrong[0]}"
            )
        self.above = ShiftedConv2d(self.inputs, f, ABOVE, row=True, normed=normed)
        self.above_row = ShiftedConv2d(self.inputs, f, ABOVE_ROW, row=True, normed=normed)
        self.left = ShiftedConv2d(self.inputs, f, LEFT, row=False, normed=normed)
        self.down = nn.ModuleList(
            self._pairs(((), (True,)), config.blocks) for _ in range(RESOLUTIONS)
        )
        self.up = nn.ModuleList(
            self._pairs(((True,), (True, False)), config.blocks + (n > 0))
            for n in range(RESOLUTIONS)
        )
        self.shrink, self.grow = (
            nn.ModuleList(self._resize(kind) for _ in range(RESOLUTIONS - 1))
            for kind in ("shrink", "grow")
        )
        self.add_last(f)

    def _pairs(self, others: tuple[tuple[bool, ...], ...], count: int) -> nn.ModuleList:
        """A block of each stream, so many times."""
        return nn.ModuleList(
            nn.ModuleList(
                GatedResidual(
                    self.config.features,
                    stream,
                    self.conditioner,
                    others=tuple((self.config.features, known) for known in more),
                    dropout=self.config.dropout,
                    normed=self.config.weight_norm,
                )
                for stream, more in zip(STREAMS, others, strict=True)
            )
            for _ in range(count)
        )

    def _resize(self, kind: str) -> nn.ModuleList:
        """To half as many rows and columns, or to twice as many, of each stream."""
        f, normed = self.config.features, self.config.weight_norm
        return nn.ModuleList(
            ShiftedConv2d(f, f, window, row=row, stride=2, normed=normed)
            if kind == "shrink"
            else UpConv2d(f, f, window, row=row, normed=normed)
            for window, row in STREAMS
        )

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most: all.

        Each of the coarsest convolutions moves by four; with two blocks all of 28 x 28 is seen.
        """
        return max(self.shape[1:])

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w); rows that lack to a multiple of 4 are zeros."""
        height = x.shape[2]
        x = F.pad(x, (0, 0, 0, -height % 4))
        start = self.above(x), self.above_row(x) + self.left(x)

        def block(layer: nn.Module, y: Tensor, others: Sequence[Tensor]) -> Tensor:
            made: Tensor = layer(y, others, embedding)
            return made

        ul = self._through(start, block, lambda layer, y: layer(y))
        return self.read_out(F.elu(ul), embedding)[:, :, :height]

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        image = program.image
        u = self.above.lower(program, image)
        ul = program.add(self.above_row.lower(program, image), self.left.lower(program, image))

        def block(layer: nn.Module, y: Map, others: Sequence[Map]) -> Map:
            assert isinstance(layer, GatedResidual)
            return layer.lower(program, y, others)

        def move(layer: nn.Module, y: Map) -> Map:
            assert isinstance(layer, ShiftedConv2d | UpConv2d)
            return layer.lower(program, y)

        self.lower_last(program, program.apply(Elu, self._through((u, ul), block, move)))
        return program

    def _through(
        self,
        start: tuple[Node, Node],
        block: Callable[[nn.Module, Node, Sequence[Node]], Node],
        move: Callable[[nn.Module, Node], Node],
    ) -> Node:
        """Down and up again; both streams are carried by what carries out a layer.

        Args:
            start: The stream of the rows above, and the other.
            block: Carries out a block on a map and others.
            move: Carries out what changes the resolution.

        Returns:
            The second stream.
        """
        (u, ul), past = start, [start]
        for number, blocks in enumerate(self.down):
            for first, second in cast(Pairs, blocks):
                u = block(first, u, ())
                ul = block(second, ul, (u,))
                past.append((u, ul))
            if number < RESOLUTIONS - 1:
                first, second = cast(Pair, self.shrink[number])
                u, ul = move(first, u), move(second, ul)
                past.append((u, ul))
        past.pop()
        for number, blocks in enumerate(self.up):
            for first, second in cast(Pairs, blocks):
                old_u, old_ul = past.pop()
                u = block(first, u, (old_u,))
                ul = block(second, ul, (u, old_ul))
            if number < RESOLUTIONS - 1:
                first, second = cast(Pair, self.grow[number])
                u, ul = move(first, u), move(second, ul)
        return ul

    @torch.no_grad()
    def initialize(self, levels: Tensor, condition: Value | None = None) -> None:
        """Fit the gains of normalised weights to a batch, layer by layer; without gains nothing.

        Every layer then gives outputs of mean 0 and deviation 1, or a tenth where it is the last of
        a block (Salimans & Kingma 2016, section 3).

        Args:
            levels: Images to train on, (B, C, H, W).
            condition: As in `forward`.
        """
        fit_gains(self, lambda: self(levels, condition))


def _check(shape: Shape, config: PixelCNNPlusPlusConfig) -> None:
    if shape[1] % 4 or shape[2] % 4:
        height, width = (-(-side // 4) * 4 for side in shape[1:])
        raise ValueError(
            f"height and width must be divisible by 4 for pixelcnn-plusplus, got {shape[1:]}; "
            f"{height}x{width} would do, or another model"
        )
    if shape[0] > 1 and config.colors == "dependent":
        raise ValueError(
            "colors must be coupled or independent for pixelcnn-plusplus, whose features are in no "
            "groups, got 'dependent'"
        )
