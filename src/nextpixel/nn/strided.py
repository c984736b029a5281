"""Convolutions that are moved up and to the left, to half as many rows and columns, and back.

References: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, section 2.3 and its public code;
    Salimans, Kingma (2016), Weight Normalization, https://arxiv.org/abs/1602.07868
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.program import LATE, PIXEL, ROW, Map, Program


class Window(NamedTuple):
    """What a moved convolution sees.

    Attributes:
        rows: Of its kernel.
        columns: Of its kernel.
        top: Row of the first, from the place that is computed.
        left: Column of the first.
    """

    rows: int
    columns: int
    top: int = 0
    left: int = 0


POINT = Window(1, 1)
DOWN = Window(2, 3, -1, -1)
"""Of a stream that has read the rows above: the row above and its own."""
DOWN_RIGHT = Window(2, 2, -1, -1)
"""Of a stream that has read what is above and to the left."""
ABOVE = Window(2, 3, -2, -1)
ABOVE_ROW = Window(1, 3, -1, -1)
LEFT = Window(2, 1, -1, -1)
"""Of the image itself: what is before the pixel only."""


class NormedWeight(nn.Module):
    """A kernel, or a kernel of length one for each output times a learned gain.

    Args:
        outputs: Output features.
        inputs: Input features.
        window: Rows and columns of the kernel.
        normed: Whether to learn gains.
    """

    def __init__(self, outputs: int, inputs: int, window: Window, *, normed: bool) -> None:
        super().__init__()
        size = (outputs, inputs, window.rows, window.columns)
        self.weight = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs)) if normed else None
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.weight[0].numel()))

    @property
    def kernel(self) -> Tensor:
        """(outputs, inputs, rows, columns)."""
        if self.gain is None:
            return self.weight
        length: Tensor = torch.linalg.vector_norm(self.weight, dim=(1, 2, 3))
        kernel: Tensor = self.weight * (self.gain / length)[:, None, None, None]
        return kernel

    def kernel_of_one_order(self) -> Tensor:
        """`kernel` for archives: its sums in one order, by operations that IEEE 754 fixes.

        torch's own norm adds in an order that depends on the processor.
        """
        if self.gain is None:
            return self.weight.detach()
        rows = self.weight.detach().double().flatten(1).cpu().numpy()
        length = np.sqrt(np.cumsum(rows * rows, axis=1)[:, -1:])  # from left to right by definition
        kernel = rows * (self.gain.detach().double().cpu().numpy()[:, None] / length)
        return torch.from_numpy(kernel).to(self.weight).view_as(self.weight)

    @torch.no_grad()
    def fit_to(self, y: Tensor, scale: float) -> Tensor:
        """Set gains and biases so that outputs y, (B, outputs, H, W), have mean 0 and this scale.

        The variance is that of the population. Returns the outputs with them.
        """
        assert self.gain is not None
        mean, spread = y.mean((0, 2, 3)), y.std((0, 2, 3), correction=0)
        factor = scale / (spread + 1e-10)
        self.gain.mul_(factor)
        self.bias.sub_(mean).mul_(factor)
        return (y - mean[:, None, None]) * factor[:, None, None]


class ShiftedConv2d(NormedWeight):
    """A convolution over a window that need not lie around the place that is computed.

    Args:
        inputs: Input features.
        outputs: Output features.
        window: What it sees.
        row: Whether its output is known for a whole row before its first pixel. Where it sees the
            pixel itself its output is known as late as that.
        stride: 1, or 2: from the even rows and columns.
        normed: Whether to normalise weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: Window,
        *,
        row: bool,
        stride: int = 1,
        normed: bool = False,
    ) -> None:
        super().__init__(outputs, inputs, window, normed=normed)
        self.window, self.row, self.stride = window, row, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        height, width = x.shape[2:]
        _, columns, top, left = self.window
        right = max(0, left + columns - 1)
        y = F.conv2d(F.pad(x, (-left, right, -top, 0)), self.kernel, self.bias, self.stride)
        return y[:, :, : height // self.stride, : width // self.stride]

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation."""
        rows, columns, top, left = self.window
        taps = [(top + i, left + j) for i in range(rows) for j in range(columns)]
        late = x.phase == LATE and (0, 0) in taps
        phase = ROW if self.row else LATE if late else PIXEL
        kernel = self.kernel_of_one_order().flatten(2)
        return program.conv(x, kernel, taps, self.bias, phase=phase, stride=self.stride)


class UpConv2d(NormedWeight):
    """A transposed convolution of stride 2, to twice as many rows and columns.

    Args:
        inputs: Input features.
        outputs: Output features.
        window: Rows and columns of its kernel: 2 and 3, of which a column is cropped on either
            side, or 2 and 2.
        row: Whether its output is known for a whole row before its first pixel.
        normed: Whether to normalise weights; as the others', output by output.
    """

    def __init__(
        self, inputs: int, outputs: int, window: Window, *, row: bool, normed: bool = False
    ) -> None:
        super().__init__(outputs, inputs, window, normed=normed)
        self.window, self.row = window, row

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, 2 H, 2 W)."""
        height, width = x.shape[2:]
        y = F.conv_transpose2d(x, self.kernel.transpose(0, 1), self.bias, stride=2)
        crop = self.window.columns - 2
        return y[:, :, : 2 * height, crop : crop + 2 * width]

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation."""
        phase, size = ROW if self.row else PIXEL, (self.window.rows, self.window.columns)
        kernel = self.kernel_of_one_order().flatten(2)
        return program.up(x, kernel, size, self.bias, phase=phase)
