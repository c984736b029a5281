"""A convolution over chosen taps, which a schedule may split: what a row knows, then the rest."""

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, Tap, View, seen_at
from nextpixel.program.products import product_1x1, product_1x2, product_1x4, product_4x1
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import WIDTH, copy16


@inlined
def _begin(call: Call) -> None:
    """Set features low..high-1 to their biases at each place."""
    for n in range(call.places):
        target = call.target + n * call.target_step
        for f in range(call.low, call.high, WIDTH):
            copy16(call.state, target + f, call.bias, call.constant + f, call.bias,
                   call.constant + f)  # fmt: skip


@inlined
def _fours(call: Call, whole: int) -> None:
    """Four places at a time, a panel of 16 outputs after the other."""
    panel = call.inputs * WIDTH
    for f in range(call.low, call.high, WIDTH):
        w = call.weight + f // WIDTH * panel
        for n in range(0, whole, 4):
            product_4x1(
                call.state, call.weights, call.begins, call.lengths, call.first, call.spans,
                call.source + n * call.source_step, call.source_step,
                call.target + n * call.target_step + f, call.target_step, w, panel,
            )  # fmt: skip


@inlined
def _place(call: Call, x: int, y: int) -> None:
    """One place, the more panels at a time; x and y are where its input and its output lie."""
    state, weights, begins, lengths = call.state, call.weights, call.begins, call.lengths
    first, spans, panel, f = call.first, call.spans, call.inputs * WIDTH, call.low
    while f < call.high:
        w = call.weight + f // WIDTH * panel
        if f + 4 * WIDTH <= call.high:
            product_1x4(state, weights, begins, lengths, first, spans, x, 0, y + f, 0, w, panel)
            f += 4 * WIDTH
        elif f + 2 * WIDTH <= call.high:
            product_1x2(state, weights, begins, lengths, first, spans, x, 0, y + f, 0, w, panel)
            f += 2 * WIDTH
        else:
            product_1x1(state, weights, begins, lengths, first, spans, x, 0, y + f, 0, w, panel)
            f += WIDTH


@compiled
def conv_step(call: Call) -> None:
    """The taps in the spans of a call, at each place; on top of the biases if it starts there."""
    if call.start:
        _begin(call)
    whole = call.places // 4 * 4
    _fours(call, whole)
    for n in range(whole, call.places):
        _place(call, call.source + n * call.source_step, call.target + n * call.target_step)


class Conv(Op):
    """A convolution.

    Args:
        weight: Shape (outputs, inputs, taps), in the order of `taps`.
        taps: Rows and columns from the place that is computed.
        bias: Shape (outputs,); None: zeros.
        stride: Rows and columns of the input from one place to the next.

    Attributes:
        weight: Shape (taps, inputs, outputs).
    """

    name = "conv"
    compiled = staticmethod(conv_step)
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        inputs: tuple[Map, ...],
        output: Map,
        weight: Tensor,
        taps: tuple[Tap, ...],
        bias: Tensor | None,
        stride: int = 1,
    ) -> None:
        super().__init__(inputs, output)
        self.taps, self.stride = taps, stride
        self.weight = weight.detach().permute(2, 1, 0).contiguous()
        self.bias = weight.new_zeros(len(weight)).detach() if bias is None else bias.detach()

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        total = self.bias[:, None, None] + inputs[0][:, :1, :: self.stride, :: self.stride] * 0
        for tap, weight in zip(self.taps, self.weight, strict=True):
            seen = seen_at(inputs[0], tap, self.stride)
            total = total + torch.einsum("bihw,io->bohw", seen, weight)
        return total

    def step(self, view: View) -> None:
        """The taps of a task at the places of a view."""
        target = view.target
        if view.start:
            target.copy_(self.bias[view.features])
        for part in view.parts:
            seen, weight = view.seen(part.taps), part.weight[:, view.features]
            if target.shape[1] == 1:
                target.squeeze(1).addmm_(seen.squeeze(1), weight)
            else:
                target.add_(seen @ weight)

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """Input and output are padded each in its own way."""
        return sources, target
