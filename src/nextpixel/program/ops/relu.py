"""The larger of x and 0."""

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Call, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, relu16


@compiled
def relu_step(call: Call) -> None:
    """ReLU of features low..high-1 at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            relu16(call.state, target + f, call.state, source + f, call.state, source + f)


class Relu(Op):
    """The larger of x and 0."""

    name = "relu"
    compiled = staticmethod(relu_step)

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> the same."""
        return F.relu(inputs[0])

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        torch.clamp(view.inputs[0], min=0, out=view.target)
