"""Locally masked convolution: each place has a mask of its own, which the order of the scan sets.

References: Jain, Abbeel, Pathak (2020), Locally Masked Convolution for Autoregressive Models,
    section 4, algorithm 1: the input's patches are masked place by place, then multiplied by the
    weights. https://arxiv.org/abs/2006.12486
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.conditioner import Conditioner, Embedding
from nextpixel.nn.conv import Injections
from nextpixel.program import Map, Program


class LocallyMaskedConv2d(nn.Module):
    """A convolution that reads, at each place, the taps that the order visits before it.

    Args:
        inputs: Input features.
        outputs: Output features.
        side: Width of the kernel; odd.
        dilation: Pixels from a tap to the next.
        sees_self: Whether the tap in the centre is read, as it may be of hidden features.
        aware: Whether each place also adds a learned vector for every tap that it reads: then the
            layers know where the order has been.
        conditioner: What else is added, before and after.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        conditioner: Conditioner,
        *,
        dilation: int = 1,
        sees_self: bool = True,
        aware: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.dilation, self.sees_self = side, dilation, sees_self
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.aware = nn.Parameter(torch.zeros(outputs, side * side)) if aware else None
        self.inject = Injections(conditioner, inputs, outputs, after=("bias", "map"))
        nn.init.normal_(self.weight, std=math.sqrt(4 / (inputs * side * side)))

    @property
    def taps(self) -> list[tuple[int, int]]:
        """Rows and columns from a place to what it may read."""
        reach = range(-(self.side // 2), self.side // 2 + 1)
        return [(row * self.dilation, column * self.dilation) for row in reach for column in reach]

    def mask(self, indices: Tensor) -> Tensor:
        """Which taps each place reads, boolean, indices (B, 1, H, W) -> (B, H, W, taps, 1)."""
        seen = self.patches(indices + 1)  # outside are zeros
        own = indices[:, 0, :, :, None, None] + (1 if self.sees_self else 0)
        return (seen > 0) & (seen <= own)

    def patches(self, x: Tensor) -> Tensor:
        """What all taps lie on, (B, F, H, W) -> (B, H, W, taps, F)."""
        reach, (height, width) = self.side // 2 * self.dilation, x.shape[2:]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[reach] * 4))
        places = [(reach + row, reach + column) for row, column in self.taps]
        return torch.stack(
            [padded[:, row : row + height, column : column + width] for row, column in places], 3
        )

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        made: Tensor = self.inject(lambda shown: self.masked(shown, embedding), x, embedding)
        return made

    def masked(self, x: Tensor, embedding: Embedding) -> Tensor:
        """The convolution alone."""
        mask = self.mask(indices_in(embedding)).to(x.dtype)
        patches = (self.patches(x) * mask).flatten(3)
        made = F.linear(patches, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
        if self.aware is not None:
            made = made + F.linear(mask[..., 0], self.aware)
        return made.permute(0, 3, 1, 2)

    def read_taps(self, x: Tensor, embedding: Embedding) -> Tensor:
        """X + what is learned for the taps that each place reads, (B, outputs, H, W)."""
        assert self.aware is not None
        mask = self.mask(indices_in(embedding)).to(x.dtype)
        return x + F.linear(mask[..., 0], self.aware.to(x.dtype)).permute(0, 3, 1, 2)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""

        def conv(program: Program, shown: Map) -> Map:
            weight = self.weight.flatten(2)
            made = program.local_conv(shown, weight, self.taps, self.bias, sees_self=self.sees_self)
            return made if self.aware is None else program.inject(made, self.read_taps)

        return self.inject.lower(program, conv, x)

    def extra_repr(self) -> str:
        """Sizes, for `print(model)`."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, side={self.side}, dilation={self.dilation}"


def indices_in(embedding: Embedding) -> Tensor:
    """The indices of the pixels in the order of each image, (B, 1, H, W).

    Raises:
        ValueError: If there are none, or they are of a type that cannot tell them apart.
    """
    if not embedding.parts:
        raise ValueError("the order must be part of the embedding: `model.condition` makes it")
    indices = embedding.parts[-1]
    if torch.finfo(indices.dtype).eps * indices[0].numel() > 1:
        raise ValueError(
            f"indices of {indices[0].numel()} pixels must be of float32, not {indices.dtype}"
        )
    return indices
