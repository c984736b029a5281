"""The gradient of a batch, its images shared out over lanes.

Each lane takes its images through the network and back; the gradients are added in the order of the
lanes, so the sum is the same every time (and, by rounding, another for another number of lanes). A
model whose training mode looks at the batch as a whole, as batch norm does, is not shared out.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from nextpixel.lanes import Lanes
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take


class Gradient:
    """Sets the gradient of the mean surprise of a sub-pixel.

    Args:
        model: The model; it is used in the mode it is in.
    """

    def __init__(self, model: PixelModel) -> None:
        self.model = model
        self.parameters = list(model.parameters())
        self.lanes = Lanes(1 if model.mode_matters or self.parameters[0].is_cuda else None)

    def set(self, levels: Tensor, condition: Value | None = None, seed: int = 0) -> float:
        """Set `grad` of every parameter for a batch.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: What the model is told of each image.
            seed: Of what layers draw in training mode (dropout).

        Returns:
            Mean loss, nats per image.
        """
        scale = 1 / (len(levels) * math.prod(self.model.shape))
        shares = torch.tensor_split(torch.arange(len(levels)), min(self.lanes.count, len(levels)))

        def job(share: Tensor) -> tuple[float, Sequence[Tensor | None]]:
            part = share.to(levels.device)
            return self._share(levels[part], take(condition, part, levels.device), scale)

        with seeded(self.model, seed):
            done = list(self.lanes.map(job, shares))
        for parameter, *gradients in zip(
            self.parameters, *(gradients for _, gradients in done), strict=True
        ):
            parameter.grad = _add(gradients)
        return sum(loss for loss, _ in done) / scale / len(levels)

    def _share(
        self, levels: Tensor, condition: Value | None, scale: float
    ) -> tuple[float, Sequence[Tensor | None]]:
        loss = -self.model(levels, condition).log_prob(levels).sum() * scale
        return loss.item(), torch.autograd.grad(loss, self.parameters, allow_unused=True)


@contextmanager
def seeded(model: PixelModel, seed: int) -> Iterator[None]:
    """Seed torch's own generator where layers draw from it, and give it back as it was."""
    if not model.mode_matters:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _add(gradients: list[Tensor | None]) -> Tensor | None:
    first, *others = gradients
    for other in others:
        first = first + other if first is not None and other is not None else first
    return first
