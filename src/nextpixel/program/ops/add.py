"""The sum of two maps; one may be known for the row, the other not."""

import torch
from torch import Tensor

from nextpixel.program.ops.base import ROW, Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, add16


@compiled
def add_step(call: Call) -> None:
    """The sum of features low..high-1 at each place."""
    for n in range(call.places):
        source, other = call.source + n * call.source_step, call.other + n * call.other_step
        target = call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            add16(call.state, target + f, call.state, source + f, call.state, other + f)


class Add(Op):
    """X + y."""

    name = "add"
    compiled = staticmethod(add_step)

    def __init__(self, inputs: tuple[Map, ...], output: Map) -> None:
        super().__init__(inputs, output)
        self.is_row_constant = inputs[1].phase == ROW

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output: it is known once both inputs are."""
        x, y = inputs
        return x.features, max(x.phase, y.phase)

    def reference(self, *inputs: Tensor) -> Tensor:
        """Two of (B, F, H, W) -> the same."""
        return inputs[0] + inputs[1]

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        torch.add(view.inputs[0], view.inputs[1], out=view.target)
