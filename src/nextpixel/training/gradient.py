"""The gradient of a batch, its images shared out over lanes.

Each lane takes its images through the network and back; the gradients are added in the order of the
lanes, so the sum is the same every time (and, by rounding, another for another number of lanes). A
model whose training mode looks at the batch as a whole, as batch norm does, is not shared out.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nextpixel.lanes import Lanes
from nextpixel.models import PixelModel


class Gradient:
    """Sets the gradient of the mean surprise of a sub-pixel.

    Args:
        model: The model; it is used in the mode it is in.
    """

    def __init__(self, model: PixelModel) -> None:
        self.model = model
        self.parameters = list(model.parameters())
        self.lanes = Lanes(1 if model.mode_matters or self.parameters[0].is_cuda else None)

    def set(self, levels: Tensor) -> float:
        """Set `grad` of every parameter for a batch.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).

        Returns:
            Mean loss, nats per image.
        """
        scale = 1 / (len(levels) * math.prod(self.model.shape))
        shares = torch.tensor_split(levels, min(self.lanes.count, len(levels)))
        done = list(self.lanes.map(lambda share: self._share(share, scale), shares))
        for parameter, *gradients in zip(
            self.parameters, *(gradients for _, gradients in done), strict=True
        ):
            parameter.grad = _add(gradients)
        return sum(loss for loss, _ in done) / scale / len(levels)

    def _share(self, levels: Tensor, scale: float) -> tuple[float, Sequence[Tensor | None]]:
        loss = -self.model(levels).log_prob(levels).sum() * scale
        return loss.item(), torch.autograd.grad(loss, self.parameters, allow_unused=True)


def _add(gradients: list[Tensor | None]) -> Tensor | None:
    first, *others = gradients
    for other in others:
        first = first + other if first is not None and other is not None else first
    return first
