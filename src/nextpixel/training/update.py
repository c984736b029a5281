"""The update: one batch, one step of the optimisers, and all the state that it reads and writes.

All that is random is a function of (seed, step), and the order of images is in the state: the same
state makes the same update.

A single odd batch can throw a model back by hours. With a limit on spikes, an update whose gradient
norm exceeds so many times the median of the last `RECENT` norms, or is not finite, is left out: its
images are passed over, weights, average and optimisers stay as they are. Norms of updates that were
left out count in the median as well, so that a norm that has grown for good is soon the new normal.
"""

import math
from collections.abc import Callable
from statistics import median
from typing import Any, NoReturn, TypeAlias

import torch
from torch import Tensor, nn

from nextpixel.data import Split, Stream
from nextpixel.data.batches import level_batches
from nextpixel.data.splits import rng_of
from nextpixel.errors import NextPixelError, shared_with_all
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.runtime.distributed import Processes
from nextpixel.training.config import TrainConfig
from nextpixel.training.gradient import Gradient
from nextpixel.training.optimizers import (
    check_rate,
    fallen_to,
    make_average,
    make_optimizers,
    rate_factor,
    set_rates,
)
from nextpixel.training.places import Places

ConditionOf: TypeAlias = Callable[[Tensor, Tensor | None], Value | None]
"""Gives the condition of images, int64, (B, C, H, W), and their labels, (B,), or None."""

RECENT = 100
"""Norms that the median is taken of."""

LEAST = 20
"""Norms that must be known before any can be a spike."""

MOST_IN_A_ROW = 10
"""Updates without a finite loss and gradient that may be left out in a row; then it is an error."""


class Updates:
    """A model, its average and optimisers, its place in the data, and its loss of late.

    Args:
        model: The model; every process takes the weights of the first.
        images: What it is trained on.
        config: Settings.
        processes: Those that share each batch.
        condition_of: Gives the condition of images.
    """

    def __init__(
        self,
        model: PixelModel,
        images: Split | Stream,
        config: TrainConfig,
        processes: Processes,
        condition_of: ConditionOf,
    ) -> None:
        self.model, self.config = model, config
        self.processes, self.condition_of = processes, condition_of
        processes.broadcast(model)
        channels_last(model)
        self.optimizers = make_optimizers(model, config)
        self.gradient = Gradient(
            model,
            processes,
            config.accumulate,
            bfloat16=config.precision == "bfloat16",
            compiled=config.compile,
            accelerate=config.accelerate,
            places=Places(model, config.border_weight, config.pixels),
        )
        self.average = None if config.ema is None else make_average(model, config.ema)
        self.batches = level_batches(
            images, config.batch_size, seed=config.seed, processes=processes
        )
        self.step, self.images = 0, 0
        self.loss_sum, self.loss_count, self.running = 0.0, 0, math.nan
        self.spikes = Spikes(config.spike)
        self.norms: list[float] = []  # of the gradient, since the last row

    @property
    def kept(self) -> PixelModel:
        """The model whose weights count: the average, if there is one."""
        if self.average is None:
            return self.model
        return self.average.module  # type: ignore[return-value]

    @property
    def rate(self) -> float:
        """Learning rate of the last update."""
        rate: float = self.optimizers[0].param_groups[0]["lr"]
        return rate

    def check_rate(self, share: float) -> None:
        """Refuse a schedule that would raise the rate of the last update again; see there."""
        group = self.optimizers[0].param_groups[0]
        before = 1.0 if self.step <= self.config.warmup else group["lr"] / group["peak"]
        check_rate(self.config, self.step, share, group.get("fallen", before))  # None in old runs

    def make(self, share: float) -> None:
        """Make one update.

        Args:
            share: Of the run that is over, for the schedule.

        Raises:
            NextPixelError: If the loss or its gradient is not finite; the weights are untouched.
        """
        self.model.train()
        with self.gradient.threads.alone():
            self._make(share)

    def _make(self, share: float) -> None:
        rng = rng_of(self.config.seed, self.step)
        levels, labels = self.batches.next(rng)
        condition = self.model.conditioner.hide(self.condition_of(levels, labels), rng)
        orders = self.model.draw_orders(len(levels), rng)
        if orders is not None:
            levels, condition = self.model.in_order(levels, condition, orders)
        seed = rng_of(self.config.seed, "layers", self.step).initial_seed()
        before = self.buffers()
        nats = self.gradient.set(levels, condition, seed)
        if self.guard(nats):
            self.apply(share)
            self.note(nats, len(levels))
        else:
            self.take_back(before)
        self.step += 1
        self.images += len(levels)

    def apply(self, share: float) -> None:
        """Let the optimisers and the average use the gradient."""
        self.processes.average_buffers(self.model)
        factors = [now(self.config, self.step, share) for now in (rate_factor, fallen_to)]
        set_rates(self.optimizers, *factors)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)

    def guard(self, nats: float) -> bool:
        """Clip the gradient, and say whether to use it.

        The loss and the gradient are those of the whole batch, to the bit the same in every
        process: all of them decide alike.

        Raises:
            NextPixelError: If loss or gradient are not finite, and may not be left out (any more).
        """
        limit = self.config.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit).item()
        finite = math.isfinite(nats) and math.isfinite(norm)
        if not finite and not self.spikes.allows_another:
            self.give_up("gradient" if math.isfinite(nats) else "loss")
        if self.spikes.is_spike(norm if finite else math.nan):
            return False
        self.norms.append(norm)
        return True

    def give_up(self, what: str) -> NoReturn:
        """Stop, in every process, before numbers that are not finite spoil the weights."""
        row = self.spikes.row
        also = f", nor were the {row} updates before it, which were left out" if row else ""
        raise shared_with_all(
            NextPixelError(
                f"the {what} is not finite at step {self.step + 1}{also}; the best weights and the "
                "resume point before it stay. Try a lower learning_rate, a longer warmup or a "
                "smaller clip_norm"
            )
        )

    def buffers(self) -> list[tuple[Tensor, Tensor]]:
        """Statistics (of batch norm) that the forward pass changes, and what they are now."""
        if self.spikes.limit is None:
            return []
        saved = self.model.state_dict(keep_vars=True)
        return [(one, one.clone()) for name, one in self.model.named_buffers() if name in saved]

    def take_back(self, before: list[tuple[Tensor, Tensor]]) -> None:
        """Undo what the forward pass of an update that is left out has changed."""
        for buffer, content in before:
            buffer.copy_(content)

    def note(self, nats: float, images: int) -> None:
        """Keep count of the loss."""
        self.loss_sum, self.loss_count = self.loss_sum + nats * images, self.loss_count + images
        self.running = nats if math.isnan(self.running) else 0.98 * self.running + 0.02 * nats

    def means(self) -> tuple[float, float | None]:
        """Mean loss of an image in nats, and mean norm of the gradient, since the last call.

        Without an update since then, the first is NaN and the second None.
        """
        loss = self.loss_sum / self.loss_count if self.loss_count else math.nan
        norm = sum(self.norms) / len(self.norms) if self.norms else None
        self.loss_sum, self.loss_count, self.norms = 0.0, 0, []
        return loss, norm

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values; all processes call this."""
        return {
            "step": self.step,
            "images": self.images,
            "loss": [self.loss_sum, self.loss_count, self.running],
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "norms": self.norms,
            "batches": self.batches.state(),
            "spikes": self.spikes.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self.step, self.images = state["step"], state["images"]
        self.loss_sum, self.loss_count, self.running = state["loss"]
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.batches.restore(state["batches"])
        self.norms = state["norms"]
        self.spikes.restore(state["spikes"])


def channels_last(model: nn.Module, *, undo: bool = False) -> None:
    """Lay kernels out with the features innermost, which convolutions on CPUs and GPUs prefer."""
    layout = torch.contiguous_format if undo else torch.channels_last
    model.to(memory_format=layout)  # type: ignore[call-overload]


class Spikes:
    """Judges the norms of a run, one update after the other.

    Args:
        limit: How many times the median is too much; None: nothing is ever left out.

    Example:
        >>> spikes = Spikes(3.0)
        >>> [spikes.is_spike(norm) for norm in [1.0] * 20 + [2.5, 4.0, math.nan, 1.0]][20:]
        [False, True, True, False]
        >>> spikes.skipped
        2
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.norms: list[float] = []
        self.skipped, self.row = 0, 0

    @property
    def allows_another(self) -> bool:
        """Whether one more update without finite numbers may be left out."""
        return self.limit is not None and self.row < MOST_IN_A_ROW

    def is_spike(self, norm: float) -> bool:
        """Whether to leave out an update with this norm of the gradient, before clipping."""
        if self.limit is None:
            return False
        enough = len(self.norms) >= LEAST
        out = not math.isfinite(norm) or (enough and norm > self.limit * median(self.norms))
        self.row = 0 if math.isfinite(norm) else self.row + 1
        self.skipped += out
        if math.isfinite(norm):
            self.norms = [*self.norms[1 - RECENT :], norm]
        return out

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs."""
        return {"norms": self.norms, "skipped": self.skipped, "row": self.row}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self.norms, self.skipped, self.row = state["norms"], state["skipped"], state["row"]
