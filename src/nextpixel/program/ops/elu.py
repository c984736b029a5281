"""The exponential linear unit: x, or below 0 e^x - 1."""

import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Call, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, elu16


@compiled
def elu_step(call: Call) -> None:
    """ELU of features low..high-1 at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            elu16(call.state, target + f, call.state, source + f, call.state, source + f)


class Elu(Op):
    """x, or below 0 e^x - 1."""

    name = "elu"
    compiled = staticmethod(elu_step)

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> the same."""
        return F.elu(inputs[0])

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        view.target.copy_(F.elu(view.inputs[0]))
