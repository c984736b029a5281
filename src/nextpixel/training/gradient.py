"""The gradient of a batch, its images shared out over processes, passes and threads.

P processes that take a batch in A passes each make PA parts of it: part p has the images p, p + PA,
p + 2PA, ..., and rank r takes the parts r, r + P, ... one after the other. What a part draws
(dropout) and sees (batch norm) depends on its number alone, so P processes do what one process does
in P passes, up to the order in which parts are added. torch's DistributedDataParallel does not keep
that law, and takes no threads; see docs/log.md.

Within a part each thread takes its images through the network and back; the gradients are added in
the order of the threads, so the sum is the same every time (and, by rounding, another for another
number of threads). A model whose training mode looks at the batch as a whole, as batch norm does,
is not shared out over threads.
"""

import importlib.util
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from nextpixel.accelerate import accelerated
from nextpixel.data.splits import rng_of
from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.runtime.distributed import Processes
from nextpixel.runtime.threads import Threads
from nextpixel.training.places import Places

Predict = Callable[[Tensor, Value | None], Distribution]
_Gradients = Sequence[Tensor | None]
_COMPILERS = ("g++", "clang++", "cl")


class Gradient:
    """Sets the gradient of the mean surprise of a sub-pixel.

    Args:
        model: The model; it is used in the mode it is in.
        processes: Those that share each batch; None: this one alone.
        passes: In how many passes each process takes its share.
        bfloat16: Whether the network multiplies in bfloat16; weights, their gradients and the
            surprise stay as they are.
        compiled: Whether the network is compiled by torch; then there is one thread.
        accelerate: Whether layers train by fused kernels, unless they are compiled by torch.
        places: Which pixels count; None: all, alike.
    """

    def __init__(
        self,
        model: PixelModel,
        processes: Processes | None = None,
        passes: int = 1,
        *,
        bfloat16: bool = False,
        compiled: bool = False,
        accelerate: bool = True,
        places: Places | None = None,
    ) -> None:
        self.model, self.processes, self.passes = model, processes or Processes(), passes
        self.parameters = list(model.parameters())
        whole = model.mode_matters or compiled or self.parameters[0].is_cuda
        self.threads = Threads(1 if whole else None)
        self.bfloat16, self.accelerate = bfloat16, accelerate and not compiled
        self.predict = compiled_model(model) if compiled else model
        self.places = places or Places(model)

    def set(self, levels: Tensor, condition: Value | None = None, seed: int = 0) -> float:
        """Set `grad` of every parameter for a batch; every process gives the whole batch.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: That of each image.
            seed: Of what layers draw in training mode (dropout), and of the pixels that are drawn.

        Returns:
            Mean loss, nats per image.
        """
        scale = 1 / (len(levels) * math.prod(self.model.shape))
        loss, gradients = self._own_parts(levels, condition, seed, scale)
        loss, gradients = self._all_reduce(loss, gradients)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else _laid_out(gradient, parameter)
        return loss / scale / len(levels)

    def _own_parts(
        self, levels: Tensor, condition: Value | None, seed: int, scale: float
    ) -> tuple[float, _Gradients]:
        """Loss and gradients of the parts of a batch that are this process's."""
        size = self.processes.world_size
        parts, loss = size * self.passes, 0.0
        gradients: _Gradients = [None] * len(self.parameters)
        for part in range(self.processes.rank, parts, size):
            rows = torch.arange(len(levels))[part::parts]
            if len(rows):
                drawn = seed if part == 0 else rng_of(seed, part).initial_seed()
                found, more = self._part(levels, condition, rows, scale, drawn)
                loss, gradients = loss + found, _add([gradients, more])
        return loss, gradients

    def _part(
        self, levels: Tensor, condition: Value | None, rows: Tensor, scale: float, seed: int
    ) -> tuple[float, _Gradients]:
        """Loss and gradients of some images of a batch, forward and back, on all threads."""
        device, drawn = self.parameters[0].device, self.places.draw(len(rows), seed)

        def job(share: Tensor) -> tuple[float, _Gradients]:
            images = rows[share]
            places = None if drawn is None else drawn[share].to(device)
            one = levels[images].to(device), take(condition, images, device)
            return self._share(*one, places, scale)

        shares = torch.arange(len(rows)).tensor_split(min(self.threads.count, len(rows)))
        fused = accelerated(self.model) if self.accelerate else nullcontext()
        with seeded(self.model, seed), fused:
            done = list(self.threads.map(job, shares))
        return sum(loss for loss, _ in done), _add([gradients for _, gradients in done])

    def _share(
        self, levels: Tensor, condition: Value | None, places: Tensor | None, scale: float
    ) -> tuple[float, _Gradients]:
        with self._precision():
            if places is None:
                log_p = self.predict(levels, condition).log_prob(levels)
            else:
                log_p = self.model.log_prob_at(levels, places, condition)
        loss = -self.places.weighed(log_p, drawn=places is not None) * scale
        return loss.item(), torch.autograd.grad(loss, self.parameters, allow_unused=True)

    def _precision(self) -> AbstractContextManager[None]:
        """What the network computes in; threads share no converted weights."""
        kind = self.parameters[0].device.type
        return torch.autocast(
            kind, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        )

    def _all_reduce(self, loss: float, gradients: _Gradients) -> tuple[float, _Gradients]:
        """Sums over the processes; a parameter that none of them used keeps no gradient.

        One tensor holds all: gradients, then for each whether it is used, then the loss.
        """
        if self.processes.world_size == 1:
            return loss, gradients
        filled = [
            torch.zeros_like(weight) if gradient is None else gradient
            for gradient, weight in zip(gradients, self.parameters, strict=True)
        ]
        used = [float(gradient is not None) for gradient in gradients]
        notes = filled[0].new_tensor([*used, loss])
        flat = torch.cat([*(gradient.flatten() for gradient in filled), notes])
        sizes = [*map(Tensor.numel, filled), len(notes)]
        *sums, notes = torch.split(self.processes.all_reduce(flat), sizes)
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


def missing_compiler(device: torch.device) -> str | None:
    """What `torch.compile` lacks on this machine for a device, in words, or None."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "Triton, which is not installed"
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    if any(shutil.which(name) for name in wanted):
        return None
    return f"a C++ compiler ({' or '.join(wanted)}), and there is none"


def compiled_model(model: PixelModel) -> Predict:
    """The model as a function that torch compiles when it is first called: for GPUs, on request.

    Each size of a batch is compiled for itself, so that what is computed does not depend on which
    size came first.

    Raises:
        NextPixelError: When it is called, if torch cannot compile it.
    """
    compiled: Predict = torch.compile(model, dynamic=False)

    def predict(levels: Tensor, condition: Value | None) -> Distribution:
        try:
            return compiled(levels, condition)
        except torch._dynamo.exc.TorchDynamoException as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NextPixelError(
                f"torch cannot compile the training pass ({first}); leave train.compile out"
            ) from error

    return predict
