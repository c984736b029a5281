r"""Layers of LSTM cells that run over the rows, or over the diagonals, of feature maps.

A cell has four gates, each of which reads the layer's input at its place and what cells before it
let out:

.. math:: (o, f, i) = \sigma(\cdot),\quad g = \tanh(\cdot),\quad c = f\,c_\text{before} + i\,g,
    \quad h = o \tanh(c).

The input is read for the whole image at once; then steps follow each other, and all cells of a step
(a row, or a diagonal) and all images are computed together.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
    sections 3.1 to 3.3 and figures 2 to 4. https://arxiv.org/abs/1601.06759
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.conditioner import Conditioner, Embedding, Injection
from nextpixel.nn.conv import Injections, MaskedConv2d
from nextpixel.nn.gated import HorizontalConv2d
from nextpixel.program import ROW, Map, Program

GATES = 4
"""o, f, i and g, side by side in each color group."""


class Recurrence(nn.Module):
    """Cells in steps that follow each other; each reads what cells of the step before let out.

    Args:
        features: Of what a cell lets out.
        groups: Color groups of the features.
        shifts: Which cells of the step before are read, by how far they lie to the right.
    """

    def __init__(self, features: int, groups: int, shifts: tuple[int, ...]) -> None:
        super().__init__()
        self.groups, self.shifts = groups, shifts
        self.weight = nn.Parameter(torch.empty(GATES * features, features, 1, len(shifts)))
        nn.init.normal_(self.weight, std=1 / math.sqrt(features * len(shifts)))

    def forward(self, gates: Tensor, inside: Tensor | None = None) -> Tensor:
        """Carry out all steps.

        Args:
            gates: What the input adds to the gates, (steps, B, cells, 4 F).
            inside: Which cells there are, boolean, (steps, cells); the others stay empty. None:
                all.

        Returns:
            What is let out, (steps, B, cells, F).
        """
        weight = self.weight.flatten(1, 2).permute(2, 1, 0).flatten(0, 1)  # (shifts * F, 4 F)
        out = cells = gates.new_zeros(*gates.shape[1:-1], len(self.weight[0]))
        made = []
        for number, step in enumerate(gates):
            total = step + shifted(out, self.shifts) @ weight
            let, keep, enter, new = split_gates(total, self.groups)
            cells = torch.sigmoid(keep) * cells + torch.sigmoid(enter) * torch.tanh(new)
            if inside is not None:
                cells = cells * inside[number, :, None]
            out = torch.sigmoid(let) * torch.tanh(cells)
            made.append(out)
        return torch.stack(made)


def shifted(x: Tensor, shifts: tuple[int, ...]) -> Tensor:
    """Cells (B, cells, F) as those to the right of them see them, (B, cells, shifts * F)."""
    reach, count = max(map(abs, shifts)), x.shape[1]
    padded = F.pad(x, (0, 0, reach, reach))
    return torch.cat([padded[:, reach + shift :][:, :count] for shift in shifts], -1)


def split_gates(gates: Tensor, groups: int) -> tuple[Tensor, ...]:
    """(..., 4 F) -> o, f, i, g, each (..., F)."""
    split = torch.unflatten(gates, -1, (groups, GATES, -1)).unbind(-2)
    return tuple(one.flatten(-2) for one in split)


class RowLSTM(nn.Module):
    """Cells that read three neighbours in the row above, and to the left in the layer's input.

    Args:
        inputs: Features of the layer's input.
        features: Of what a cell lets out.
        groups: Color groups of both.
        conditioner: What is added before and after the convolution of the input.
        side: Width of that convolution; odd.
    """

    def __init__(
        self, inputs: int, features: int, groups: int, conditioner: Conditioner, side: int = 3
    ) -> None:
        super().__init__()
        self.read = HorizontalConv2d(inputs, GATES * features, side, groups=groups, sees_self=True)
        _open(self.read.bias, groups)
        self.inject = Injections(conditioner, inputs, GATES * features, after=("bias", "map"))
        self.recur = Recurrence(features, groups, (-1, 0, 1))

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, inputs, H, W) -> (B, features, H, W)."""
        gates = self.inject(self.read, x, embedding)
        out: Tensor = self.recur(gates.permute(2, 0, 3, 1))
        return out.permute(1, 3, 0, 2)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        order = torch.arange(len(self.read.weight))
        gates = self.inject.lower(program, lambda p, y: self.read.lower(p, y, order), x)
        taps = [(-1, shift) for shift in self.recur.shifts]
        weight = self.recur.weight.flatten(2)
        return program.lstm(gates, weight, taps, (-1, 0), groups=self.recur.groups)


class DiagonalLSTM(nn.Module):
    """Cells that read the one above and the one before in their row, from left to right or back.

    Rows are skewed, each by one column more than the one above, so that a diagonal is a column.
    From right to left the map is turned around first. What is let out then moves down by one row:
    a pixel sees rows above only, but those as a whole.

    Args:
        inputs: Features of the layer's input.
        features: Of what a cell lets out.
        groups: Color groups of both.
        conditioner: What is added before and after the 1x1 convolution of the input.
        backward: Whether it runs from right to left.
        image: Planes of the network's input, which cells that run backward then read as well, at
            their own place; 0: they do not.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        groups: int,
        conditioner: Conditioner,
        *,
        backward: bool,
        image: int = 0,
    ) -> None:
        super().__init__()
        self.backward = backward
        self.look = nn.Conv2d(image, GATES * features, 1, bias=False) if image else None
        self.read = MaskedConv2d(inputs, GATES * features, 1, groups=groups, sees_self=True)
        assert self.read.bias is not None
        nn.init.normal_(self.read.weight, std=1 / math.sqrt(inputs))
        _open(self.read.bias, groups)
        self.inject = Injections(conditioner, inputs, GATES * features, after=("bias", "map"))
        self.recur = Recurrence(features, groups, (0, -1))

    def forward(self, x: Tensor, embedding: Embedding, image: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W), and the network's input -> (B, features, H, W)."""
        gates = self.inject(self.read, x, embedding)
        if self.look is not None:
            assert image is not None
            gates = gates + self.look(image)
        gates = gates.flip(3) if self.backward else gates
        inside = skew(gates.new_ones(1, *gates.shape[2:], 1, dtype=torch.bool)).flatten(1)
        steps = self.recur(skew(gates.permute(0, 2, 3, 1)), inside)
        out = unskew(steps).permute(0, 3, 1, 2)
        if not self.backward:
            return out
        return F.pad(out.flip(3), (0, 0, 1, 0))[:, :, :-1]

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations; backward, row r holds what belongs to row r - 1."""
        weight, groups = self.recur.weight.flatten(2), self.recur.groups
        if not self.backward:
            gates = self.inject.lower(program, self.read.lower, x)
            taps = [(0, -1), (-1, 0)]
            return program.lstm(gates, weight, taps, (0, -1), groups=groups)
        x = program.inject(x, self.inject.before)
        gates = program.conv(x, self.read.seen, [(-1, 0)], self.read.bias, phase=ROW)
        if self.look is not None:
            weight_of_image = self.look.weight.flatten(2)
            seen = program.conv(program.image, weight_of_image, [(-1, 0)], None, phase=ROW)
            gates = program.add(gates, seen)
        gates = program.inject(gates, _MovedDown(self.inject.after))
        taps = [(0, 1), (-1, 0)]
        return program.lstm(gates, weight, taps, (0, 1), groups=groups, backward=True, first_row=1)


class _MovedDown:
    """What an injection adds, one row further down."""

    def __init__(self, injection: Injection) -> None:
        self.injection, self.is_empty = injection, injection.is_empty

    def __call__(self, zeros: Tensor, embedding: Embedding) -> Tensor:
        added: Tensor = self.injection(zeros, embedding)
        return added if added.shape[2] == 1 else F.pad(added, (0, 0, 1, 0))[:, :, :-1]


def skew(x: Tensor) -> Tensor:
    """(B, H, W, F) -> (H + W - 1, B, H, F): diagonals, each row one later than the one above.

    Example:
        >>> skew(torch.tensor([[1, 2], [3, 4]]).view(1, 2, 2, 1)).squeeze().T.tolist()
        [[1, 2, 0], [0, 3, 4]]
    """
    height, width = x.shape[1:3]
    across = height + width - 1
    flat = F.pad(x, (0, 0, 0, height)).flatten(1, 2)[:, : height * across]
    return torch.unflatten(flat, 1, (height, across)).permute(2, 0, 1, 3)


def unskew(x: Tensor) -> Tensor:
    """(H + W - 1, B, H, F) -> (B, H, W, F): undo `skew`."""
    across, _, height, _ = x.shape
    flat = F.pad(x.permute(1, 2, 0, 3).flatten(1, 2), (0, 0, 0, height))
    return torch.unflatten(flat, 1, (height, across + 1))[:, :, : across + 1 - height]


def _open(bias: Tensor, groups: int) -> None:
    """Let cells keep what they hold, at first: biases of the gates f are 1."""
    with torch.no_grad():
        bias.view(groups, GATES, -1)[:, 1] = 1
