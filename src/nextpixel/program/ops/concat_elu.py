"""The exponential linear unit of x and of -x, side by side.

References: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, its public code.
    https://arxiv.org/abs/1701.05517
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, elu16, minus_elu16


@compiled
def concat_elu_step(call: Call) -> None:
    """elu(x), then elu(-x), of all features at each place."""
    half = call.features // 2
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(0, half, WIDTH):
            elu16(call.state, target + f, call.state, source + f, call.state, source + f)
            minus_elu16(
                call.state, target + half + f, call.state, source + f, call.state, source + f
            )


class ConcatElu(Op):
    """elu(x) and elu(-x): twice as many features. For programs of one color group."""

    name = "concat-elu"
    compiled = staticmethod(concat_elu_step)

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output."""
        return 2 * inputs[0].features, inputs[0].phase

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, 2 F, H, W)."""
        return F.elu(torch.cat([inputs[0], -inputs[0]], 1))

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        (x,) = view.inputs
        view.target.copy_(F.elu(torch.cat([x, -x], -1)))

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """The output has two blocks for each of the input."""
        most = max(2 * max(sources), target)
        return (most // 2,), most
