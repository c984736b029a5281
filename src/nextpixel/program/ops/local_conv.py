"""A convolution that reads, at each place, what the order of the scan visits before it.

A scan in that order needs no masks: what it has not visited is zero in all maps.
"""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Map, Tap, View, seen_at
from nextpixel.program.ops.conv import Conv


class LocalConv(Conv):
    """A convolution with masks by place.

    Args:
        weight: Shape (outputs, inputs, taps), in the order of `taps`.
        taps: Rows and columns from the place that is computed, on all sides of it.
        bias: Shape (outputs,).
        sees_self: Whether the tap in the centre is read.
    """

    name = "local-conv"

    def __init__(
        self,
        inputs: tuple[Map, ...],
        output: Map,
        weight: Tensor,
        taps: tuple[Tap, ...],
        bias: Tensor,
        *,
        sees_self: bool,
    ) -> None:
        super().__init__(inputs, output, weight, taps, bias)
        self.sees_self = sees_self

    def extra_inputs(self, embedding: object, image: Tensor) -> tuple[Tensor, ...]:
        """The indices of the pixels, (B, 1, H, W)."""
        del image
        return (embedding.parts[-1],)  # type: ignore[attr-defined]

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) and indices -> (B, outputs, H, W)."""
        x, indices = inputs
        total = self.bias[:, None, None] + x[:, :1] * 0
        for tap, weight in zip(self.taps, self.weight, strict=True):
            seen = seen_at(indices + 1, tap)
            read = (seen > 0) & (seen <= indices + (1 if self.sees_self else 0))
            total = total + torch.einsum("bihw,io->bohw", seen_at(x, tap) * read, weight)
        return total

    def step(self, view: View) -> None:
        """It has none: the torch engine goes row by row."""
        raise NotImplementedError("the operation local-conv has no step row by row")
