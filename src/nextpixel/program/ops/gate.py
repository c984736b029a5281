"""The gate of a gated PixelCNN: tanh of one half of the features times sigmoid of the other.

References:
    van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders, eq. 2.
    https://arxiv.org/abs/1606.05328
"""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, gate16


@compiled
def gate_step(call: Call) -> None:
    """Gates of features low..high-1 at each place; a group has its two halves side by side."""
    half = call.features // call.extra[0]
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for start in range(call.low, call.high, half):
            for f in range(start, start + half, WIDTH):
                value = source + start + f
                gate16(call.state, target + f, call.state, value, call.state, value + half)


class Gate(Op):
    """In each group, tanh of its first half times sigmoid of its second.

    Args:
        groups: Color groups, each with its two halves side by side.
    """

    name = "gate"
    compiled = staticmethod(gate_step)

    def __init__(self, inputs: tuple[Map, ...], output: Map, groups: int = 1) -> None:
        super().__init__(inputs, output)
        self.groups, self.extra = groups, (groups,)

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output."""
        return inputs[0].features // 2, inputs[0].phase

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, 2 F, H, W) -> (B, F, H, W)."""
        gated: Tensor = _gate(inputs[0].movedim(1, -1), self.groups).movedim(-1, 1)
        return gated

    def step(self, view: View) -> None:
        """The same at the places of a view, which may be those of one group."""
        groups = self.groups * view.target.shape[-1] // self.output.features
        view.target.copy_(_gate(view.inputs[0], groups))

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """The input has two blocks for each of the output."""
        most = max(*sources, 2 * target, 2 * self.groups)
        return (most,), most // 2


def _gate(x: Tensor, groups: int) -> Tensor:
    """(..., 2 F) -> (..., F)."""
    first, second = x.unflatten(-1, (groups, 2, -1)).unbind(-2)  # type: ignore[no-untyped-call]
    gated: Tensor = (torch.tanh(first) * torch.sigmoid(second)).flatten(-2)
    return gated
