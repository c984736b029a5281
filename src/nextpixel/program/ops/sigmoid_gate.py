"""The gate of PixelCNN++: one half of the features times sigmoid of the other.

References: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, its public code.
    https://arxiv.org/abs/1701.05517
"""

import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, open16


@compiled
def sigmoid_gate_step(call: Call) -> None:
    """Gates of all features at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(0, call.features, WIDTH):
            value = source + f
            open16(call.state, target + f, call.state, value, call.state, value + call.features)


class SigmoidGate(Op):
    """First half times sigmoid of the second. For programs of one color group."""

    name = "sigmoid-gate"
    compiled = staticmethod(sigmoid_gate_step)

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output."""
        return inputs[0].features // 2, inputs[0].phase

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, 2 F, H, W) -> (B, F, H, W)."""
        return F.glu(inputs[0], 1)

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        view.target.copy_(F.glu(view.inputs[0], -1))

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """The input has two blocks for each of the output."""
        most = max(*sources, 2 * target)
        return (most,), most // 2
