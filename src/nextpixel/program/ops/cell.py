r"""The cell of an LSTM, and what it lets out: two operations.

.. math:: c = \sigma(f)\,c_\text{before} + \sigma(i)\tanh(g),\quad h = \sigma(o)\tanh(c).

The gates o, f, i, g of a place lie side by side, in each color group.

References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, eq. 3.
    https://arxiv.org/abs/1601.06759
"""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, Tap, View, seen_at
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, cell16, gate16


@compiled
def cell_step(call: Call) -> None:
    """The cells of features low..high-1 at each place; in rows above `extra[1]` they are empty."""
    size, state = call.features // call.extra[0], call.state
    for n in range(call.places):
        before = call.source + n * call.source_step + call.begins[call.first]
        gates, target = call.other + n * call.other_step, call.target + n * call.target_step
        for start in range(call.low, call.high, size):
            for f in range(start, start + size, WIDTH):
                if call.row < call.extra[1]:
                    state[target + f : target + f + WIDTH] = 0.0
                    continue
                keep, new = gates + 3 * start + size + f, gates + 3 * start + 3 * size + f
                cell16(state, target + f, before + f, keep, keep + size, new)  # type: ignore[call-arg]


class Cell(Op):
    """The cell: what the cell before keeps of itself, and what is let in.

    Args:
        inputs: The cells themselves, and the gates.
        output: The cells.
        before: Row and column of the cell before.
        groups: Color groups.
        first_row: Rows above it have empty cells.
    """

    name = "cell"
    compiled = staticmethod(cell_step)

    def __init__(
        self, inputs: tuple[Map, ...], output: Map, before: Tap, groups: int, first_row: int = 0
    ) -> None:
        super().__init__(inputs, output)
        self.taps, self.groups, self.first_row = (before,), groups, first_row
        self.extra = groups, first_row

    def reference(self, *inputs: Tensor) -> Tensor:
        """Cells as they are so far (B, F, H, W), gates (B, 4 F, H, W) -> cells."""
        cells, gates = inputs
        before = seen_at(cells, self.taps[0]).movedim(1, -1)
        made = _cell(before, gates.movedim(1, -1), self.groups).movedim(-1, 1).clone()
        made[:, :, : self.first_row] = 0
        return made

    def step(self, view: View) -> None:
        """The same at the places of a view, which may be those of one group."""
        before = view.seen(self.taps)[..., view.features]
        groups = self.groups * before.shape[-1] // self.output.features
        made = _cell(before, view.inputs[1], groups)
        view.target.copy_(made * (view.row >= self.first_row))

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """The gates have four blocks for each of the cells."""
        return _parts(sources, target, self.groups)


@compiled
def output_gate_step(call: Call) -> None:
    """What the cells of features low..high-1 let out, at each place."""
    size = call.features // call.extra[0]
    for n in range(call.places):
        cells, gates = call.source + n * call.source_step, call.other + n * call.other_step
        target = call.target + n * call.target_step
        for start in range(call.low, call.high, size):
            for f in range(start, start + size, WIDTH):
                gate16(
                    call.state, target + f, call.state, cells + f, call.state, gates + 3 * start + f
                )


class OutputGate(Op):
    """What a cell lets out: of its tanh what its gate o is open for.

    Args:
        inputs: The cells, and the gates.
        output: What is let out.
        groups: Color groups.
    """

    name = "output-gate"
    compiled = staticmethod(output_gate_step)

    def __init__(self, inputs: tuple[Map, ...], output: Map, groups: int) -> None:
        super().__init__(inputs, output)
        self.groups, self.extra = groups, (groups,)

    def reference(self, *inputs: Tensor) -> Tensor:
        """Cells (B, F, H, W), gates (B, 4 F, H, W) -> (B, F, H, W)."""
        cells, gates = (x.movedim(1, -1) for x in inputs)
        return _let_out(cells, gates, self.groups).movedim(-1, 1)

    def step(self, view: View) -> None:
        """The same at the places of a view, which may be those of one group."""
        cells, gates = view.inputs
        groups = self.groups * cells.shape[-1] // self.output.features
        view.target.copy_(_let_out(cells, gates, groups))

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """The gates have four blocks for each of the cells."""
        return _parts(sources, target, self.groups)


def _parts(sources: tuple[int, ...], target: int, groups: int) -> tuple[tuple[int, ...], int]:
    cells, gates = sources
    most = max(4 * cells, gates, 4 * target, 4 * groups)
    return (most // 4, most), most // 4


def _gates(gates: Tensor, groups: int) -> tuple[Tensor, ...]:
    """(..., 4 F) -> o, f, i, g, each (..., F)."""
    split = gates.unflatten(-1, (groups, 4, -1)).unbind(-2)  # type: ignore[no-untyped-call]
    return tuple(one.flatten(-2) for one in split)


def _cell(before: Tensor, gates: Tensor, groups: int) -> Tensor:
    _, keep, enter, new = _gates(gates, groups)
    return torch.sigmoid(keep) * before + torch.sigmoid(enter) * torch.tanh(new)


def _let_out(cells: Tensor, gates: Tensor, groups: int) -> Tensor:
    return torch.sigmoid(_gates(gates, groups)[0]) * torch.tanh(cells)
