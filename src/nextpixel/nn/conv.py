"""The masked convolution, plain and with conditions, and the learned map of positions.

Knows features and groups, no likelihoods.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.conditioner import Conditioner, Embedding, Injection
from nextpixel.nn.masks import causal_mask, spread
from nextpixel.nn.orders import MirrorOrders
from nextpixel.order import Shape, turn
from nextpixel.program import PIXEL, Map, Program


class MaskedConv2d(nn.Module):
    """Convolution whose output at a sub-pixel depends on no later one.

    The kernel holds only the rows down to its centre, and the mask is applied to a copy in
        `forward`: the weights themselves are never written to, so optimisers, averages and
        compilers see plain parameters. Masked entries get zero gradient and never matter.

    Args:
        inputs: Input features.
        outputs: Output features.
        side: Width of the kernel; odd.
        groups: Color groups that `inputs` and `outputs` are split into.
        sees_self: Mask B (True) or mask A (False).
        bias: Whether each output feature has a constant. It leaks nothing.
        dilation: Rows and columns from a tap to the next.

    Raises:
        ValueError: If `side` is even or a number of features cannot be split into the groups.

    References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
        section 3.4. https://arxiv.org/abs/1601.06759
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        *,
        groups: int = 1,
        sees_self: bool,
        bias: bool = True,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        mask = spread(causal_mask(side, groups, sees_self=sees_self), outputs, inputs)
        self.register_buffer("mask", mask, persistent=False)  # follows from the config: not saved
        self.side, self.groups, self.dilation = side, groups, dilation
        reach, seen = side // 2, int(mask.any(0).any(0).sum())
        every = [
            (dilation * (r - reach), dilation * (c - reach))
            for r in range(reach + 1)
            for c in range(side)
        ]
        self.taps = tuple(every[:seen])  # rows and columns from a place to what some output sees
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side // 2 + 1, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights of variance 2 / (taps that are seen), for layers followed by a ReLU."""
        seen = self.mask[-1].sum().item()
        nn.init.normal_(self.weight, std=math.sqrt(2 / max(1.0, seen)))

    @property
    def masked(self) -> Tensor:
        """The weights, those of taps that must not be seen zero."""
        return self.weight * self.mask

    @property
    def seen(self) -> Tensor:
        """The weights of `taps` in their order, (outputs, inputs, taps)."""
        weight = self.weight if self.groups == 1 else self.masked  # one group sees taps as a whole
        return weight.flatten(2)[..., : len(self.taps)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        reach = self.side // 2 * self.dilation
        if reach:
            x = F.pad(x, (reach, reach, reach, 0))
        return F.conv2d(x, self.masked, self.bias, dilation=self.dilation)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation; masked weights are zeros, unseen taps are left out."""
        return program.conv(x, self.seen, list(self.taps), self.bias, phase=PIXEL)

    def extra_repr(self) -> str:
        """Sizes, for `print(model)`."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, side={self.side}"


class Injections(nn.Module):
    """Where a convolution takes in conditions: before it, and after it.

    Args:
        conditioner: What can be given, and in which form; see `nextpixel.nn.condition`.
        inputs: Features that the convolution reads.
        outputs: Features that it gives.
        after: Forms of a condition that are added after the convolution.
        enabled: False: none is added anywhere.
    """

    def __init__(
        self,
        conditioner: Conditioner,
        inputs: int,
        outputs: int,
        *,
        after: Sequence[str] = ("bias",),
        enabled: bool = True,
    ) -> None:
        super().__init__()
        self.before = Injection(conditioner.widths("input") if enabled else [], inputs)
        self.after = Injection(conditioner.widths(*after) if enabled else [], outputs)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added, whatever is given."""
        return self.before.is_empty and self.after.is_empty

    def lower(
        self,
        program: Program,
        conv: Callable[[Program, Map], Map],
        x: Map,
        order: Tensor | None = None,
    ) -> Map:
        """`forward` as operations, the outputs of `conv` in `order`."""
        return program.inject(conv(program, program.inject(x, self.before)), self.after, order)

    def forward(self, conv: Callable[[Tensor], Tensor], x: Tensor, embedding: Embedding) -> Tensor:
        """`conv` of x, (B, inputs, H, W) -> (B, outputs, H, W)."""
        added: Tensor = self.after(conv(self.before(x, embedding)), embedding)
        return added


class ConditionalConv2d(nn.Module):
    """A masked convolution with conditions: W (x + W' h) + b + V y + V' * s.

    Args:
        conv: The convolution.
        conditioner: What can be given, and in which form; see `nextpixel.nn.condition`.

    Raises:
        ValueError: If a condition has the form "gate": there is none here.
    """

    def __init__(self, conv: MaskedConv2d, conditioner: Conditioner) -> None:
        super().__init__()
        if any(conditioner.widths("gate")):
            raise ValueError("form must be input, bias or map in a model without gates, got 'gate'")
        outputs, inputs = conv.weight.shape[:2]
        self.conv = conv
        self.inject = Injections(conditioner, inputs, outputs, after=("bias", "map"))

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        return self.inject.lower(program, self.conv.lower, x)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        added: Tensor = self.inject(self.conv, x, embedding)
        return added


class PositionMap(nn.Module):
    """Features + a constant of their own for every place, the same for all images.

    It tells each pixel where it is, and leaks nothing. Where images are turned by a mirror order,
    it is turned with them.

    Args:
        features: Features of the layer that it is added to.
        shape: (C, H, W) of the images.
        conditioner: Of the model.
    """

    def __init__(self, features: int, shape: Shape, conditioner: Conditioner) -> None:
        super().__init__()
        self.map = nn.Parameter(torch.zeros(features, *shape[1:]))
        order = conditioner.order
        self.orders = order.classes if isinstance(order, MirrorOrders) else 1

    def turned(self, embedding: Embedding) -> Tensor:
        """The map as it lies on each image, (B or 1, F, H, W)."""
        if self.orders == 1:
            return self.map.unsqueeze(0)
        every = torch.stack([turn(self.map, order) for order in range(self.orders)])
        return torch.einsum("bo,ofhw->bfhw", embedding.parts[-1].flatten(1), every)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation."""
        if self.orders == 1:
            return program.inject(x, self.map.unsqueeze(0))
        return program.inject(x, lambda zeros, embedding: zeros + self.turned(embedding))

    def forward(self, x: Tensor, embedding: Embedding, corner: tuple[int, int]) -> Tensor:
        """(B, features, h, w), a window whose first pixel is at `corner` -> the same."""
        (row, column), (height, width) = corner, x.shape[2:]
        return x + self.turned(embedding)[:, :, row : row + height, column : column + width]
