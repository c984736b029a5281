"""Two stacks without a blind spot: a vertical one for rows above, a horizontal one for the row.

The kernels hold only taps that are needed: a "k x k" vertical kernel has the rows above (and,
after the first layer, its own row, which by then holds nothing but rows above), a horizontal one
the columns to the left and its own. Cropping and padding take the place of masks; only the colors
of one pixel still need one.

References:
    van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), Conditional Image
    Generation with PixelCNN Decoders, section 2.2 and figure 2. https://arxiv.org/abs/1606.05328
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.masks import causal_mask, spread
from nextpixel.program import PIXEL, ROW, Map, Program


class VerticalConv2d(nn.Module):
    """Convolution over the rows above, all columns within reach.

    Args:
        inputs: Input features.
        outputs: Output features.
        side: Width of the kernel; odd.
        first: Whether it reads the image: then its own row must not be seen.
        dilation: Distance between taps.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, *, first: bool, dilation: int = 1
    ) -> None:
        super().__init__()
        causal_mask(side, 1, sees_self=True)  # refuses a side without a centre
        self.reach, self.dilation, self.first = side // 2, dilation, first
        rows = self.reach if first else self.reach + 1
        if rows == 0:
            raise ValueError(f"side of the first layer must be at least 3, got {side}")
        self.weight = nn.Parameter(torch.empty(outputs, inputs, rows, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.weight[0].numel()))

    @property
    def taps(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns from a place to what it sees, in the order of the weights."""
        rows, side = self.weight.shape[2:]
        return tuple(
            (self.dilation * (row - self.reach), self.dilation * (column - self.reach))
            for row in range(rows)
            for column in range(side)
        )

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation, known for a whole row."""
        return program.conv(x, self.weight.flatten(2), list(self.taps), self.bias, phase=ROW)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        reach = self.reach * self.dilation
        y = F.conv2d(
            F.pad(x, (reach, reach, reach, 0)), self.weight, self.bias, dilation=self.dilation
        )
        return y[:, :, : x.shape[2]]  # of a first layer: down by one row, so its own is not seen


class HorizontalConv2d(nn.Module):
    """Convolution over the columns to the left and, as far as its color group may, its own.

    Args:
        inputs: Input features, in color groups.
        outputs: Output features: one or more sets, each in color groups.
        side: Width of the full kernel; odd. Half of it, and the centre, are kept.
        groups: Color groups.
        sees_self: Mask B at the centre (True) or mask A (False).
        sets: Sets of groups that `outputs` consists of: two for the halves of a gate.
        dilation: Distance between taps.
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        *,
        groups: int,
        sees_self: bool,
        sets: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        taps = causal_mask(side, groups, sees_self=sees_self)[:, :, -1:, : side // 2 + 1]
        mask = spread(taps, outputs // sets, inputs).repeat(sets, 1, 1, 1)
        self.register_buffer("mask", mask, persistent=False)
        self.reach, self.dilation = side // 2, dilation
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, side // 2 + 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        seen = max(1.0, self.mask[-1].sum().item())
        nn.init.normal_(self.weight, std=1 / math.sqrt(seen))

    @property
    def taps(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns from a place to what it sees, in the order of the weights."""
        return tuple((0, self.dilation * (column - self.reach)) for column in range(self.reach + 1))

    @property
    def masked(self) -> Tensor:
        """The weights, those of taps that must not be seen zero."""
        return self.weight * self.mask

    def lower(self, program: Program, x: Map, order: Tensor) -> Map:
        """`forward` as an operation; `order` is that of its outputs."""
        taps = self.taps
        weight = self.masked[order].flatten(2)
        seen = [
            number for number in range(len(taps)) if bool(self.mask.flatten(2)[..., number].any())
        ]
        return program.conv(
            x, weight[..., seen], [taps[number] for number in seen], self.bias[order], phase=PIXEL
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        x = F.pad(x, (self.reach * self.dilation, 0))
        return F.conv2d(x, self.masked, self.bias, dilation=self.dilation)


def gate(x: Tensor) -> Tensor:
    """Tanh of the first half of the features times sigmoid of the second, eq. 2."""
    activation, opening = x.chunk(2, 1)
    return torch.tanh(activation) * torch.sigmoid(opening)


class Gate(nn.Module):
    """`gate` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 F, H, W) -> (B, F, H, W)."""
        return gate(x)


def grouped(features: int, groups: int) -> Tensor:
    """Order of a gate's inputs that puts the two halves of each color group side by side."""
    size = features // groups
    halves = torch.arange(2 * features).view(2, groups, size)
    return halves.transpose(0, 1).reshape(-1)
