"""The activation of a transformer: x sigmoid(1.702 x).

References: Hendrycks, Gimpel (2016), Gaussian Error Linear Units, section 2, the second of its two
    approximations. https://arxiv.org/abs/1606.08415
"""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, gelu16


@compiled
def gelu_step(call: Call) -> None:
    """The activation of features low..high-1 at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            gelu16(call.state, target + f, call.state, source + f, call.state, source + f)


class Gelu(Op):
    """X sigmoid(1.702 x)."""

    name = "gelu"
    compiled = staticmethod(gelu_step)

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> the same."""
        return inputs[0] * torch.sigmoid(1.702 * inputs[0])

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        view.target.copy_(self.reference(view.inputs[0]))
