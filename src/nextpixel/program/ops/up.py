"""A transposed convolution of stride 2: to twice as many rows and columns.

Of the places that it makes, those of one parity of row and column see the same elements of the
kernel. So it is one convolution a parity, each over the coarse map, and a schedule runs each where
its places are.
"""

import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Map, Tap
from nextpixel.program.ops.conv import Conv


class Up(Conv):
    """A transposed convolution.

    Element (i, j) of the kernel carries coarse row R to fine row 2 R + i, and column C to column
    2 C + j - (width - 2): a kernel of three columns is cropped by one on either side.

    Args:
        weight: Shape (outputs, inputs, elements), row by row.
        size: Rows and columns of the kernel: 2 and 2, or 2 and 3.
        bias: Shape (outputs,); None: zeros.

    Attributes:
        taps: Of each element, row and column of what it reads, from the coarse place.
        parities: Of each element, row and column of the fine places that it helps to make, mod 2.
    """

    name = "up"

    def __init__(
        self,
        inputs: tuple[Map, ...],
        output: Map,
        weight: Tensor,
        size: tuple[int, int],
        bias: Tensor | None,
    ) -> None:
        self.size = size
        elements = [(i, j - (size[1] - 2)) for i in range(size[0]) for j in range(size[1])]
        self.parities = tuple((i % 2, j % 2) for i, j in elements)
        taps: tuple[Tap, ...] = tuple(((i % 2 - i) // 2, (j % 2 - j) // 2) for i, j in elements)
        super().__init__(inputs, output, weight, taps, bias)

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, 2 H, 2 W)."""
        (x,) = inputs
        kernel = self.weight.permute(1, 2, 0).reshape(*self.weight.shape[1:], *self.size)
        made = F.conv_transpose2d(x, kernel, self.bias, stride=2)
        crop = self.size[1] - 2
        return made[:, :, : 2 * x.shape[2], crop : crop + 2 * x.shape[3]]
