"""A factor and a bias for each feature: batch norm in evaluation mode."""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, add16, times16


@compiled
def affine_step(call: Call) -> None:
    """Factors times features low..high-1, plus biases, at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            times16(call.state, target + f, call.state, source + f, call.weights, call.weight + f)
            add16(call.state, target + f, call.state, target + f, call.bias, call.constant + f)


class Affine(Op):
    """X times a factor plus a bias, feature by feature.

    Args:
        factor: Shape (F,).
        bias: Shape (F,).
    """

    name = "affine"
    compiled = staticmethod(affine_step)
    is_row_constant = True
    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: tuple[Map, ...], output: Map, factor: Tensor, bias: Tensor) -> None:
        super().__init__(inputs, output)
        self.weight, self.bias = factor.detach(), bias.detach()

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> the same."""
        return inputs[0] * self.weight[:, None, None] + self.bias[:, None, None]

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        weight, bias = self.weight[view.features], self.bias[view.features]
        torch.addcmul(bias, view.inputs[0], weight, out=view.target)
