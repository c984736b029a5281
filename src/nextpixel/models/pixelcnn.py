"""PixelCNN, plain: a stack of masked convolutions.

Its field has a blind spot: what lies above and to the right, beyond the diagonal that the kernels
    of successive layers can climb, is never seen, however many layers there are (`nextpixel audit`
    draws it).

References:
    van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, section 3.5.
    https://arxiv.org/abs/1601.06759
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts, check_sides
from nextpixel.nn import (
    ConditionalConv2d,
    Conditioner,
    Embedding,
    MaskedConv2d,
)
from nextpixel.order import Shape
from nextpixel.program import Map, Program


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(ModelConfig):
    """Options of `PixelCNN`.

    Attributes:
        features: Hidden features.
        layers: Masked convolutions with a kernel wider than one; the first has mask A.
        side: Width of their kernels; odd.
        pointwise: Hidden 1x1 convolutions after them, before the one that gives the outputs.
        batch_norm: Batch norm after each hidden convolution. In training mode it lets pixels see
            their future and the other images of the batch; in evaluation mode it is causal.
        bias: Whether hidden convolutions have a constant; a batch norm has its own.
    """

    features: int = 64
    layers: int = 6
    side: int = 7
    pointwise: int = 1
    batch_norm: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_counts(self, "features", "layers")
        check_counts(self, "pointwise", least=0)
        check_sides(self, "side", least=3)

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features."""
        return ("features",)


class PixelCNN(PixelModel):
    """Masked convolutions, each followed by an optional batch norm and a ReLU.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.
    """

    name = "pixelcnn"
    Config = PixelCNNConfig
    config: PixelCNNConfig

    def __init__(self, shape: Shape, levels: int, config: PixelCNNConfig) -> None:
        super().__init__(shape, levels, config)
        first = self._layer(self.inputs, config.side, sees_self=False)
        wide = [self._layer(config.features, config.side) for _ in range(config.layers - 1)]
        narrow = [self._layer(config.features, 1) for _ in range(config.pointwise)]
        self.hidden = nn.ModuleList([first, *wide, *narrow])
        self.add_last(config.features)

    def _layer(self, inputs: int, side: int, *, sees_self: bool = True) -> "Layer":
        conv = MaskedConv2d(
            inputs,
            self.config.features,
            side,
            groups=self.groups,
            sees_self=sees_self,
            bias=self.config.bias,
        )
        return Layer(conv, self.conditioner, batch_norm=self.config.batch_norm)

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""
        return self.config.layers * (self.config.side // 2)

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = program.image
        for layer in self.hidden:
            assert isinstance(layer, Layer)
            x = layer.lower(program, x)
        self.lower_last(program, x)
        return program

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w); the same at every `corner`."""
        del corner
        for layer in self.hidden:
            x = layer(x, embedding)
        return self.read_out(x, embedding)


def make_norm(features: int, *, batch_norm: bool) -> nn.Module:
    """A batch norm, or nothing."""
    return nn.BatchNorm2d(features) if batch_norm else nn.Identity()


def lower_norm(program: Program, norm: nn.Module, x: Map) -> Map:
    """A batch norm in evaluation mode, as a factor and a bias."""
    if not isinstance(norm, nn.BatchNorm2d):
        return x
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    return program.affine(x, factor, norm.bias - mean * factor)


class Layer(nn.Module):
    """Masked convolution, optional batch norm, ReLU.

    Args:
        conv: The convolution.
        conditioner: Conditions of the convolution.
        batch_norm: Whether its outputs are normalised.
    """

    def __init__(self, conv: MaskedConv2d, conditioner: Conditioner, *, batch_norm: bool) -> None:
        super().__init__()
        self.conv = ConditionalConv2d(conv, conditioner)
        self.norm = make_norm(conv.weight.shape[0], batch_norm=batch_norm)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        return program.relu(lower_norm(program, self.norm, self.conv.lower(program, x)))

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, inputs, H, W) -> (B, features, H, W)."""
        return F.relu(self.norm(self.conv(x, embedding)))
