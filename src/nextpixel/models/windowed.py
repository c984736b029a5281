"""Windowed PixelCNN: one masked convolution that reads a window, then layers of a pixel each.

All that a pixel is predicted from lies in one window of the image, so that nothing but the image
has to be kept of other pixels, and of any size: a net for photographs. Its wide 1x1 layers are the
arithmetic that processors are best at.

The window is read relative to the mean of the pixels to the left and above: what it holds is
differences, the same in dark and in bright places. With a head that has anchors, the means of the
prediction are counted from that mean too (`heads.logistic`).

References:
    van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, section 3.4:
    masked convolutions. https://arxiv.org/abs/1601.06759
    Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, section 2.2: coupled colors.
    https://arxiv.org/abs/1701.05517
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, check_counts, check_sides
from nextpixel.nn import NO_EMBEDDING, ConditionalConv2d, Embedding, MaskedConv2d, Value
from nextpixel.order import Shape
from nextpixel.program import Program

GAIN = 8.0
"""Of the differences in a window: neighbouring levels differ by little of -1 to 1."""
SUMS = 8
"""Sums of a window's weights that run side by side."""


@dataclass(frozen=True, kw_only=True)
class WindowedPixelCNNConfig(ModelConfig):
    """Options of `WindowedPixelCNN`.

    Attributes:
        side: Width of the window, odd; its rows are those above, side // 2 of them, and the pixel's
            own as far as it is known.
        features: Hidden features.
        layers: Hidden layers of a pixel each (1x1 convolutions, each added to its input).
    """

    head: str = "anchored-logistic"
    colors: str = "coupled"
    components: int = 5
    edge: bool = False
    side: int = 7
    features: int = 128
    layers: int = 3

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_counts(self, "features")
        check_counts(self, "layers", least=0)
        check_sides(self, "side", least=3)

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features."""
        return ("features",)


class RelativeConv2d(MaskedConv2d):
    """A masked convolution of the differences to the mean of the pixels to the left and above.

    It is a masked convolution whose weights sum to zero over the taps, for each input: what all
    taps have in common is subtracted by halves at these two. Arguments as of `MaskedConv2d`.
    """

    @property
    def masked(self) -> Tensor:
        """The weights of the levels themselves, (outputs, inputs, rows, side)."""
        weight, reach = GAIN * self.weight * self.mask, self.side // 2
        half = sum_in_order(weight.flatten(2)) / 2
        return weight - self.neighbours(half, reach)

    @property
    def seen(self) -> Tensor:
        """As in `MaskedConv2d`."""
        return self.masked.flatten(2)[..., : len(self.taps)]

    @staticmethod
    def neighbours(value: Tensor, reach: int) -> Tensor:
        """A kernel with a value (outputs, inputs) at the taps to the left and above, else zero."""
        kernel = value.new_zeros(*value.shape, reach + 1, 2 * reach + 1)
        kernel[:, :, reach, reach - 1] = value
        kernel[:, :, reach - 1, reach] = value
        return kernel


class AnchoringConv2d(RelativeConv2d):
    """As `RelativeConv2d`, but the outputs that are anchors are the mean itself, and not learned.

    Args:
        inputs: Input planes.
        outputs: The head's numbers.
        side: Width of the window.
        groups: Color groups.
        anchors: Pairs of an output and the input whose mean is its anchor.
    """

    mean: Tensor

    def __init__(
        self, inputs: int, outputs: int, side: int, *, groups: int, anchors: list[tuple[int, int]]
    ) -> None:
        super().__init__(inputs, outputs, side, groups=groups, sees_self=False, bias=False)
        nn.init.zeros_(self.weight)
        leave_out(self, [output for output, _ in anchors])
        half = torch.zeros(outputs, inputs)
        for output, read in anchors:
            half[output, read] = 0.5
        self.register_buffer("mean", self.neighbours(half, side // 2), persistent=False)

    @property
    def masked(self) -> Tensor:
        """The weights of the levels themselves, (outputs, inputs, rows, side)."""
        return super().masked + self.mean


class ReadOutConv2d(MaskedConv2d):
    """The last convolution, without weights for the outputs that are anchors: a constant is left.

    Learned anchors make training slower: whatever moves one moves all means of its color.

    Args:
        inputs: Features.
        outputs: The head's numbers.
        groups: Color groups.
        anchors: Outputs that are anchors.
    """

    def __init__(self, inputs: int, outputs: int, *, groups: int, anchors: list[int]) -> None:
        super().__init__(inputs, outputs, 1, groups=groups, sees_self=True)
        leave_out(self, anchors)

    @property
    def seen(self) -> Tensor:
        """As in `MaskedConv2d`."""
        return self.masked.flatten(2)


def sum_in_order(values: Tensor) -> Tensor:
    """Sums over the last dimension, with the same bits on every machine: archives depend on them.

    Eight sums run side by side, and are added one after the other to what is left over. A sum of
    torch's own has another order on another processor.
    """
    whole = values.shape[-1] // SUMS * SUMS
    parts: Tensor = reduce(add, torch.split(values[..., :whole], SUMS, -1))
    total: Tensor = reduce(add, [*values[..., whole:].unbind(-1), *parts.unbind(-1)])
    return total


def leave_out(conv: MaskedConv2d, outputs: list[int]) -> None:
    """Mask all weights of some outputs."""
    conv.mask = conv.mask.clone()
    conv.mask[outputs] = 0


class WindowedPixelCNN(PixelModel):
    """A window, residual layers of a pixel each, and a linear path from the window to the outputs.

    Args:
        shape: (C, H, W); images of other sizes are taken too.
        levels: K.
        config: Sizes and switches.
    """

    name = "windowed-pixelcnn"
    Config = WindowedPixelCNNConfig
    config: WindowedPixelCNNConfig

    def __init__(self, shape: Shape, levels: int, config: WindowedPixelCNNConfig) -> None:
        super().__init__(shape, levels, config)
        groups, side, features = self.groups, config.side, config.features
        first = RelativeConv2d(self.inputs, features, side, groups=groups, sees_self=False)
        self.first = ConditionalConv2d(first, self.conditioner)
        self.hidden = nn.ModuleList(self._layer() for _ in range(config.layers))
        anchors = self._anchors()
        self.linear = AnchoringConv2d(
            self.inputs, self.outputs, side, groups=groups, anchors=anchors
        )
        self.add_last(features, [output for output, _ in anchors])

    def _layer(self) -> ConditionalConv2d:
        features = self.config.features
        conv = MaskedConv2d(features, features, 1, groups=self.groups, sees_self=True)
        with torch.no_grad():  # keeps the sum of the layers from growing
            conv.weight.mul_(1 / math.sqrt(2 * self.config.layers))
        return ConditionalConv2d(conv, self.conditioner)

    def add_last(self, inputs: int, anchors: Sequence[int] = ()) -> None:
        """As in `PixelModel`; no weights lead to the outputs that are anchors."""
        super().add_last(inputs)
        bias, groups = self.last.bias, self.groups
        self.last = ReadOutConv2d(inputs, self.outputs, groups=groups, anchors=list(anchors))
        nn.init.zeros_(self.last.weight)
        self.last.bias = bias

    def _anchors(self) -> list[tuple[int, int]]:
        """For each output that is an anchor, the plane of its color's levels."""
        count, size = getattr(self.head, "anchors", 0), getattr(self.head, "size", 0)
        planes = self.inputs // self.colors
        step = 1 if self.head.sees_colors else size
        return [(color * step, color * planes) for color in range(self.colors) if count]

    @property
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""
        return self.config.side // 2

    def kernels(self) -> list[nn.Parameter]:
        """As in `PixelModel`, without the linear path to the outputs."""
        return [kernel for kernel in super().kernels() if kernel is not self.linear.weight]

    def lower(self) -> Program:
        """The network as a program."""
        program = Program(self.inputs, self.groups)
        x = program.relu(self.first.lower(program, program.image))
        for layer in self.hidden:
            assert isinstance(layer, ConditionalConv2d)
            x = program.add(x, program.relu(layer.lower(program, x)))
        self.lower_last(program, x)
        linear = self.linear.lower(program, program.image)
        program.output = program.add(program.output, linear)
        return program

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w); the same at every `corner`."""
        del corner
        h = F.relu(self.first(x, embedding))
        for layer in self.hidden:
            h = h + F.relu(layer(h, embedding))
        linear: Tensor = self.linear(x)
        return self.read_out(h, embedding) + linear

    def log_prob_at(self, levels: Tensor, places: Tensor, condition: Value | None = None) -> Tensor:
        """As in `PixelModel`: of the windows of these pixels alone, if there is no condition."""
        if self.conditioner.conditions or self.conditioner.order:
            return super().log_prob_at(levels, places, condition)
        self.check(levels)
        if places.numel() and not 0 <= places.min() <= places.max() < levels[0, 0].numel():
            raise ValueError(f"places must be 0..{levels[0, 0].numel() - 1}, got {places.tolist()}")
        image, own = self.windows(self.encode(levels), places), self.windows(levels, places, 0)
        h = F.relu(self._read(self.first.conv, image))
        for layer in self.hidden:
            h = h + F.relu(layer(h, NO_EMBEDDING))
        outputs = self.read_out(h, NO_EMBEDDING) + self._read(self.linear, image)
        log_p = self.read_head(outputs.to(image.dtype), own).log_prob(own)
        return log_p.view(*places.shape, -1).movedim(-1, 1)

    @staticmethod
    def _read(conv: MaskedConv2d, windows: Tensor) -> Tensor:
        """A convolution at the middle of windows (N, inputs, rows, side): (N, outputs, 1, 1)."""
        return F.conv2d(windows, conv.masked, conv.bias)

    def windows(self, planes: Tensor, places: Tensor, reach: int | None = None) -> Tensor:
        """What lies around pixels up to their own row; zeros beyond the border.

        Args:
            planes: (B, P, H, W).
            places: (B, n), row * W + column.
            reach: Rows above and columns to either side; None: those of the model.

        Returns:
            (B n, P, reach + 1, 2 reach + 1).
        """
        reach = self.reach if reach is None else reach
        across, width = planes.shape[3], planes.shape[3] + 2 * reach
        padded = F.pad(planes, (reach, reach, reach, 0)).movedim(1, -1).flatten(1, 2)
        rows, columns = torch.arange(reach + 1), torch.arange(2 * reach + 1)
        within = (rows[:, None] * width + columns).flatten().to(places.device)
        corner = places // across * width + places % across
        image = torch.arange(len(planes), device=places.device)[:, None, None]
        found = padded[image, corner[:, :, None] + within].flatten(0, 1).movedim(1, -1)
        return found.reshape(*found.shape[:2], reach + 1, 2 * reach + 1)
