"""PixelRNNs: layers of LSTM cells over rows, or over diagonals from both sides.

Two departures that the paper leaves open: the gates f begin open (a bias of 1), and the weight of
the last convolution of a layer begins small, so that the sum of many layers does not grow.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
    sections 3.1 to 3.3, table 1 and figures 2 to 5. https://arxiv.org/abs/1601.06759
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts, check_sides
from nextpixel.nn import ConditionalConv2d, Conditioner, Embedding, MaskedConv2d
from nextpixel.nn.lstm import DiagonalLSTM, RowLSTM
from nextpixel.order import Shape
from nextpixel.program import Map, Program


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(ModelConfig):
    """Options of the PixelRNNs; the paper's nets for MNIST have 7 layers of 16 cells.

    Attributes:
        features: Features on the residual path (2h in the paper).
        cells: What the cells of a layer let out, in each direction (h in the paper).
        layers: Layers of cells.
        first_side: Width of the first kernel, which has mask A; odd, at least 3.
        head_features: Features between the two last 1x1 convolutions; 0: there is one alone.
    """

    features: int = 32
    cells: int = 16
    layers: int = 7
    first_side: int = 7
    head_features: int = 32

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_counts(self, "features", "cells", "layers")
        check_counts(self, "head_features", least=0)
        check_sides(self, "first_side", least=3)

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features."""
        return "features", "cells", "head_features"


@dataclass(frozen=True, kw_only=True)
class RowLSTMConfig(PixelRNNConfig):
    """Options of `RowLSTMNet`.

    Attributes:
        side: Width of the convolution of a layer's input, of which the past half is seen; odd.
    """

    side: int = 3

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_sides(self, "side")


@dataclass(frozen=True, kw_only=True)
class DiagonalBiLSTMConfig(PixelRNNConfig):
    """Options of `DiagonalBiLSTMNet`.

    Attributes:
        whole_rows: Whether cells that run from right to left also read the pixel of their own
            place, which is of the past once they have moved down. In the paper they do not, and a
            pixel at the left never sees the last one of the row above.
    """

    whole_rows: bool = False


class LSTMBlock(nn.Module):
    """x + a 1x1 convolution of what cells let out; their sum, where there are two directions.

    Args:
        config: Sizes.
        groups: Color groups.
        conditioner: Conditions of the convolution.
        cells: Layers of cells.
    """

    def __init__(
        self,
        config: PixelRNNConfig,
        groups: int,
        conditioner: Conditioner,
        cells: list[RowLSTM | DiagonalLSTM],
    ) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        up = MaskedConv2d(config.cells, config.features, 1, groups=groups, sees_self=True)
        with torch.no_grad():
            up.weight.mul_(1 / math.sqrt(config.layers))
        self.up = ConditionalConv2d(up, conditioner)

    def forward(self, x: Tensor, image: Tensor, embedding: Embedding) -> Tensor:
        """(B, features, H, W), the network's input -> the first."""
        out = self.cells[0](x, embedding)
        for cells in self.cells[1:]:
            out = out + cells(x, embedding, image)
        change: Tensor = self.up(out, embedding)
        return x + change

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        first, *others = self.cells
        assert isinstance(first, RowLSTM | DiagonalLSTM)
        out = first.lower(program, x)
        for cells in others:
            assert isinstance(cells, DiagonalLSTM)
            out = program.add(out, cells.lower(program, x))
        return program.add(x, self.up.lower(program, out))


class PixelRNN(PixelModel):
    """A 7x7 convolution with mask A, residual layers of cells, and two 1x1 convolutions.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes.
    """

    config: PixelRNNConfig

    def __init__(self, shape: Shape, levels: int, config: PixelRNNConfig) -> None:
        super().__init__(shape, levels, config)
        groups, features = self.groups, config.features
        first = MaskedConv2d(
            self.inputs, features, config.first_side, groups=groups, sees_self=False
        )
        self.first = ConditionalConv2d(first, self.conditioner)
        self.blocks = nn.ModuleList(
            LSTMBlock(config, groups, self.conditioner, self.cells(number))
            for number in range(config.layers)
        )
        self.squash = None
        if config.head_features:
            squash = MaskedConv2d(features, config.head_features, 1, groups=groups, sees_self=True)
            self.squash = ConditionalConv2d(squash, self.conditioner)
        self.add_last(config.head_features or features)

    @abstractmethod
    def cells(self, number: int) -> list[RowLSTM | DiagonalLSTM]:
        """The cells of a layer, of all directions."""

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most: all."""
        return max(self.shape[1:])

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        x = x.contiguous(memory_format=torch.channels_last)  # cells keep features side by side
        image, x = x, self.first(x, embedding)
        for block in self.blocks:
            x = block(x, image, embedding)
        x = F.relu(x)
        if self.squash is not None:
            x = F.relu(self.squash(x, embedding))
        return self.read_out(x, embedding)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = self.first.lower(program, program.image)
        for block in self.blocks:
            assert isinstance(block, LSTMBlock)
            x = block.lower(program, x)
        x = program.relu(x)
        if self.squash is not None:
            x = program.relu(self.squash.lower(program, x))
        self.lower_last(program, x)
        return program


class RowLSTMNet(PixelRNN):
    """Cells that run over the rows, from top to bottom: a pixel sees a triangle above it."""

    name = "row-lstm"
    Config = RowLSTMConfig
    config: RowLSTMConfig

    def cells(self, number: int) -> list[RowLSTM | DiagonalLSTM]:
        """The cells of a layer."""
        config = self.config
        return [RowLSTM(config.features, config.cells, self.groups, self.conditioner, config.side)]


class DiagonalBiLSTMNet(PixelRNN):
    """Cells that run over the diagonals, from the left and from the right."""

    name = "diagonal-bilstm"
    Config = DiagonalBiLSTMConfig
    config: DiagonalBiLSTMConfig

    def cells(self, number: int) -> list[RowLSTM | DiagonalLSTM]:
        """The cells of a layer, from the left and from the right."""
        config = self.config
        image = self.inputs if config.whole_rows and number == 0 else 0
        return [
            DiagonalLSTM(
                config.features, config.cells, self.groups, self.conditioner, backward=backward,
                image=image if backward else 0,
            )
            for backward in (False, True)
        ]  # fmt: skip
