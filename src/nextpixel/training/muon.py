"""Muon: momentum whose update is replaced by the nearest orthogonal matrix.

Each kernel is read as a matrix (outputs, everything else). Its momentum G = U S V' is replaced by
an approximation of U V', so that all directions of a layer learn at the same speed.

References: Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein (2024), Muon: an optimizer for
    hidden layers in neural networks. https://kellerjordan.github.io/posts/muon/
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial a x + b x^3 + c x^5: steep at zero, and near one on (0, 1]."""


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Push all singular values of a matrix towards one, to between about 0.7 and 1.2.

    An iteration makes S(g) x of x, with g = x x' and S(g) = a + b g + c g^2. Its own g is S g S, so
    all of them take place among small square matrices, and x is multiplied once.

    Args:
        matrix: Shape (rows, columns).
        iterations: Of the Newton-Schulz polynomial.

    Returns:
        Nearly U V' where `matrix` is U S V', of the same shape.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + torch.finfo(x.dtype).tiny)
    a, b, c = COEFFICIENTS
    one = product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    square = x @ x.T
    for _ in range(iterations):
        factor = a * one + b * square + c * square @ square
        product, square = factor @ product, factor @ square @ factor
    result: Tensor = product @ x
    return result.T if tall else result


class Muon(torch.optim.Optimizer):
    """Muon for kernels; other parameters need another optimiser.

    Args:
        parameters: Kernels of two or more dimensions; the first is the outputs.
        lr: Learning rate: an update moves each kernel by about `lr` times the root of its smaller
            side.
        momentum: Decay of the running sum of gradients.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every kernel that has a gradient."""
        del closure
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._update(kernel, kernel.grad, group)

    def _update(self, kernel: Tensor, gradient: Tensor, group: dict[str, float]) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        momentum: Tensor = state["momentum"]
        momentum.mul_(group["momentum"]).add_(gradient)
        nesterov = gradient + group["momentum"] * momentum
        matrix = nesterov.flatten(1)
        rows, columns = matrix.shape
        scale = max(1.0, rows / columns) ** 0.5
        kernel.mul_(1 - group["lr"] * group["weight_decay"])
        kernel.add_(orthogonalize(matrix).view(kernel.shape), alpha=-group["lr"] * scale)
