"""Layer norm: the features of a place, less their mean, over their deviation.

References: Ba, Kiros, Hinton (2016), Layer Normalization, eq. 4. https://arxiv.org/abs/1607.06450
"""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH

EPSILON = 1e-5
"""What is added to the variance, as in torch."""


@compiled
def layer_norm_step(call: Call) -> None:
    """Norms of the color groups that features low..high-1 are, at each place; padding is zeros."""
    real = call.extra[0]
    size = (real + WIDTH - 1) // WIDTH * WIDTH
    for n in range(call.places):
        for start in range(call.low, call.high, size):
            source = call.source + n * call.source_step + start
            target = call.target + n * call.target_step + start
            total = squares = np.float64(0.0)
            for f in range(real):
                total += np.float64(call.state[source + f])
            mean = total / real
            for f in range(real):
                away = np.float64(call.state[source + f]) - mean
                squares += away * away
            factor = 1.0 / np.sqrt(squares / real + EPSILON)
            for f in range(real):
                normed = np.float32((np.float64(call.state[source + f]) - mean) * factor)
                product = normed * call.weights[call.weight + start + f]
                call.state[target + f] = product + call.bias[call.constant + start + f]


class LayerNorm(Op):
    """Layer norm of each color group, with a factor and a bias for each feature.

    Args:
        factor: Shape (F,).
        bias: Shape (F,).
        groups: Color groups.
    """

    name = "layer-norm"
    compiled = staticmethod(layer_norm_step)
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        inputs: tuple[Map, ...],
        output: Map,
        factor: Tensor,
        bias: Tensor,
        groups: int = 1,
    ) -> None:
        super().__init__(inputs, output)
        self.groups, self.extra = groups, (output.features // groups,)
        self.weight, self.bias = factor.detach(), bias.detach()

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) -> the same."""
        return self._norm(inputs[0].movedim(1, -1), slice(None)).movedim(-1, 1)

    def step(self, view: View) -> None:
        """The same at the places of a view, which may be those of one group."""
        view.target.copy_(self._norm(view.inputs[0], view.features))

    def _norm(self, x: Tensor, features: slice) -> Tensor:
        size = self.output.features // self.groups
        normed = F.layer_norm(x.unflatten(-1, (-1, size)), (size,), eps=EPSILON).flatten(-2)  # type: ignore[no-untyped-call]
        made: Tensor = normed * self.weight[features] + self.bias[features]
        return made
