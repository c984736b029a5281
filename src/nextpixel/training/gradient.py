"""The gradient of a batch, its images shared out over processes, passes and lanes.

P processes that take a batch in A passes each make PA parts of it: part p has the images p, p + PA,
p + 2PA, ..., and rank r takes the parts r, r + P, ... one after the other. What a part draws
(dropout) and sees (batch norm) depends on its number alone, so P processes do what one process does
in P passes, up to the order in which parts are added.

Within a part each lane takes its images through the network and back; the gradients are added in
the order of the lanes, so the sum is the same every time (and, by rounding, another for another
number of lanes). A model whose training mode looks at the batch as a whole, as batch norm does, is
not shared out over lanes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from nextpixel.accelerate import accelerated
from nextpixel.data.seeds import rng_of
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.runtime.distributed import Ranks
from nextpixel.runtime.threads import Threads
from nextpixel.training.compiling import predictor

_Gradients = Sequence[Tensor | None]


class Gradient:
    """Sets the gradient of the mean surprise of a sub-pixel.

    Args:
        model: The model; it is used in the mode it is in.
        ranks: The processes that share each batch; None: this one alone.
        passes: In how many passes each process takes its share.
        bfloat16: Whether the network multiplies in bfloat16; weights, their gradients and the
            surprise stay as they are.
        compiled: Whether the network is compiled by torch; then there is one lane.
        accelerate: Whether layers train by fused kernels, unless they are compiled by torch.
    """

    def __init__(
        self,
        model: PixelModel,
        ranks: Ranks | None = None,
        passes: int = 1,
        *,
        bfloat16: bool = False,
        compiled: bool = False,
        accelerate: bool = True,
    ) -> None:
        self.model, self.ranks, self.passes = model, ranks or Ranks(), passes
        self.parameters = list(model.parameters())
        whole = model.mode_matters or compiled or self.parameters[0].is_cuda
        self.threads = Threads(1 if whole else None)
        self.bfloat16, self.accelerate = bfloat16, accelerate and not compiled
        self.predict = predictor(model) if compiled else model

    def set(self, levels: Tensor, condition: Value | None = None, seed: int = 0) -> float:
        """Set `grad` of every parameter for a batch; every rank gives the whole batch.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: What the model is told of each image.
            seed: Of what layers draw in training mode (dropout).

        Returns:
            Mean loss, nats per image.
        """
        scale = 1 / (len(levels) * math.prod(self.model.shape))
        parts = self.ranks.world * self.passes
        loss = 0.0
        gradients: _Gradients = [None] * len(self.parameters)
        for part in range(self.ranks.rank, parts, self.ranks.world):
            rows = torch.arange(len(levels))[part::parts]
            if len(rows):
                drawn = seed if part == 0 else rng_of(seed, part).initial_seed()
                found, more = self._part(levels, condition, rows, scale, drawn)
                loss, gradients = loss + found, _add([gradients, more])
        loss, gradients = self._over_ranks(loss, gradients)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else _laid_out(gradient, parameter)
        return loss / scale / len(levels)

    def _part(
        self, levels: Tensor, condition: Value | None, rows: Tensor, scale: float, seed: int
    ) -> tuple[float, _Gradients]:
        """Loss and gradients of some images of a batch."""
        device = self.parameters[0].device

        def job(share: Tensor) -> tuple[float, _Gradients]:
            return self._share(levels[share].to(device), take(condition, share, device), scale)

        fused = accelerated(self.model) if self.accelerate else nullcontext()
        with seeded(self.model, seed), fused:
            done = list(
                self.threads.map(job, rows.tensor_split(min(self.threads.count, len(rows))))
            )
        return sum(loss for loss, _ in done), _add([gradients for _, gradients in done])

    def _share(
        self, levels: Tensor, condition: Value | None, scale: float
    ) -> tuple[float, _Gradients]:
        with self._precision():
            predicted = self.predict(levels, condition)
        loss = -predicted.log_prob(levels).sum() * scale
        return loss.item(), torch.autograd.grad(loss, self.parameters, allow_unused=True)

    def _precision(self) -> AbstractContextManager[None]:
        """What the network computes in; lanes share no converted weights."""
        kind = self.parameters[0].device.type
        return torch.autocast(
            kind, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        )

    def _over_ranks(self, loss: float, gradients: _Gradients) -> tuple[float, _Gradients]:
        """Sums over the ranks; a parameter that none of them used keeps no gradient."""
        if self.ranks.world == 1:
            return loss, gradients
        used = [gradient is not None for gradient in gradients]
        filled = [
            torch.zeros_like(weight) if gradient is None else gradient
            for gradient, weight in zip(gradients, self.parameters, strict=True)
        ]
        notes = filled[0].new_tensor([*map(float, used), loss])
        flat = self.ranks.sum(torch.cat([*(gradient.flatten() for gradient in filled), notes]))
        *sums, notes = torch.split(flat, [*(gradient.numel() for gradient in filled), len(notes)])
        *counts, loss = notes.tolist()
        return loss, [
            torch.empty_like(gradient).copy_(total.view_as(gradient)) if count else None
            for gradient, total, count in zip(filled, sums, counts, strict=True)
        ]


@contextmanager
def seeded(model: PixelModel, seed: int) -> Iterator[None]:
    """Seed torch's own generator where layers draw from it, and give it back as it was."""
    if not model.mode_matters:
        yield
        return
    device = next(model.parameters()).device  # the GPUs of other processes are left alone
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A gradient in memory as its parameter: torch's fused Adam on CPUs takes that for granted."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _add(lists: Sequence[_Gradients]) -> list[Tensor | None]:
    """Sum of lists of gradients, in their order; None counts as zero."""
    return [
        _sum([gradient for gradient in each if gradient is not None])
        for each in zip(*lists, strict=True)
    ]


def _sum(gradients: list[Tensor]) -> Tensor | None:
    if not gradients:
        return None
    total = gradients[0]
    for other in gradients[1:]:
        total = total + other
    return total
