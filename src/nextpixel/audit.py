"""Who sees whom: the dependence of every step on every other, by exact derivatives in float64.

A masked weight is exactly zero, so a step that a network must not see has a derivative of exactly
zero: no tolerance is involved, and one nonzero entry proves a leak. The reverse is a matter of
luck: a ReLU may be off for one image, all of them in a corner of a trained net, and an untrained
net whose last layer is zero depends on nothing. So a dependence is looked for with the model's own
weights and with weights drawn anew for the same network, each with another random image: what is
found is what the network can see.

The audit knows nothing of kernels or masks: it asks the finished model.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import Order
from nextpixel.order import Shape, Step, from_sequence, index_of, step_at, to_sequence

ALL_LEVELS, SOME_LEVELS = 256, 8
"""Levels up to which all are looked at, and how many are else, of each step."""

CHUNK = 16
"""Derivatives taken at a time."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        shape: (C, H, W).
        reach: Rows above, and columns to either side, that the model says a step can depend on.
        sees: Boolean, shape (steps, steps): whether the prediction of step i depends on level j;
            steps are numbered as the raster scan visits the image that the network reads, which a
            mirror order has turned.
        indices: Of the pixels in the scan, (H, W); None: it is the raster scan.
    """

    shape: Shape
    reach: int
    sees: Tensor
    indices: Tensor | None = None

    @property
    def causal(self) -> bool:
        """Whether no step sees itself or a later one."""
        return not self.leaks()

    @property
    def past(self) -> Tensor:
        """Boolean, (steps, steps): whether step j is visited before step i."""
        count = len(self.sees)
        when = torch.arange(count)
        if self.indices is not None:
            colors = self.shape[0]
            when = (self.indices.flatten()[:, None] * colors + torch.arange(colors)).flatten()
        return when[None, :] < when[:, None]

    def leaks(self) -> list[tuple[Step, Step]]:
        """Pairs of a step and a step it must not see."""
        pairs = (self.sees & ~self.past).nonzero().tolist()
        return [(step_at(i, self.shape), step_at(j, self.shape)) for i, j in pairs]

    def coverage(self) -> Tensor:
        """Share of its past that each step sees, float64, (C, H, W); NaN at the first step."""
        return self._image((self.sees & self.past).sum(1) / self.past.sum(1).double())

    def field(self, step: Step) -> Tensor:
        """Levels that the prediction of `step` depends on, boolean, shape (C, H, W)."""
        return self._image(self.sees[index_of(step, self.shape)])

    def blind(self, step: Step) -> Tensor:
        """Past levels within `reach` that `step` does not see, boolean, shape (C, H, W)."""
        _, height, width = self.shape
        past = self._image(self.past[index_of(step, self.shape)])
        near_row = (torch.arange(height) - step.row).abs() <= self.reach
        near_column = (torch.arange(width) - step.column).abs() <= self.reach
        near = near_row.unsqueeze(1) & near_column
        return past & near & ~self.field(step)

    def centre(self) -> Step:
        """The step in the middle of the image, of its last color."""
        colors, height, width = self.shape
        return Step(height // 2, width // 2, colors - 1)

    def _image(self, values: Tensor) -> Tensor:
        """(steps,) -> (C, H, W)."""
        return from_sequence(values.unsqueeze(0), self.shape)[0]

    def as_dict(self) -> dict[str, Any]:
        """The findings as plain values, for JSON."""
        coverage, centre = self.coverage(), self.centre()
        return {
            "causal": self.causal,
            "leaks": len(self.leaks()),
            "steps": len(self.sees),
            "mean_coverage": coverage.nanmean().item(),
            "least_coverage": coverage.nan_to_num(nan=1.0).min().item(),
            "centre": list(centre),
            "centre_seen": int(self.field(centre).sum()),
            "centre_past": int(self.past[index_of(centre, self.shape)].sum()),
            "centre_blind": int(self.blind(centre).sum()),
        }

    def summary(self) -> str:
        """A few lines for people."""
        found = self.as_dict()
        lines = [
            "causal: no step sees itself or a later one"
            if self.causal
            else f"NOT causal: {found['leaks']} pairs of steps leak"
        ]
        lines += [
            f"  the step at {tuple(step)} sees {tuple(seen)}" for step, seen in self.leaks()[:3]
        ]
        lines.append(
            f"past seen by a step: {found['mean_coverage']:.1%} on average, "
            f"{found['least_coverage']:.1%} at least"
        )
        lines.append(
            f"centre {tuple(self.centre())}: sees {found['centre_seen']} of {found['centre_past']} "
            f"past levels; blind to {found['centre_blind']} within its nominal field"
        )
        return "\n".join(lines)


@torch.inference_mode(mode=False)
@torch.enable_grad()
def audit(
    model: PixelModel,
    *,
    probes: int = 2,
    seed: int = 0,
    order: Order = None,
    on_progress: Callable[[int], None] | None = None,
) -> Audit:
    """Find out which steps the prediction of each step depends on.

    Args:
        model: The model; its weights, dtype and mode are left as they are.
        probes: Random images to try: the first with the model's own weights, the others each with
            weights drawn anew.
        seed: Of the random images and output combinations.
        order: In which pixels are visited, of a model of several orders; None: its own.
        on_progress: Called with the number of derivatives taken so far.

    Returns:
        The findings.

    Raises:
        ValueError: If the model has no such order.
    """
    check_model(model)
    stated = model.read_order(order)
    indices = stated if stated is not None and stated.ndim else None
    count = math.prod(model.shape)
    sees = torch.zeros(count, count, dtype=torch.bool)
    chunks = [torch.arange(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    done = 0
    for chunk, found in _dependences(model, chunks, probes, seed, stated):
        sees[chunk] |= found
        done += len(chunk)
        if on_progress is not None:
            on_progress(done)
    return Audit(model.shape, model.reach, sees, indices)


@torch.inference_mode(mode=False)
@torch.enable_grad()
def field_of(model: PixelModel, step: Step, *, probes: int = 2, seed: int = 0) -> Tensor:
    """Levels that the prediction of one step depends on, as an `audit` finds them, but at once.

    Args:
        model: The model; its weights, dtype and mode are left as they are.
        step: Whose prediction.
        probes: As in `audit`.
        seed: As in `audit`.

    Returns:
        Boolean, shape (C, H, W).
    """
    chunk, own = torch.tensor([index_of(step, model.shape)]), model.read_order(None)
    found = [sees for _, sees in _dependences(model, [chunk], probes, seed, own)]
    return from_sequence(torch.cat(found).any(0, keepdim=True), model.shape)[0]


def _dependences(
    model: PixelModel, chunks: Sequence[Tensor], probes: int, seed: int, order: Tensor | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each probe and chunk of steps: what they depend on, boolean, (steps of it, steps)."""
    rng = torch.Generator().manual_seed(seed)
    twin = copy.deepcopy(model).cpu().double().eval().requires_grad_(requires_grad=False)
    for probe in range(probes):
        if probe:
            redraw(twin, rng)
        levels = torch.randint(0, model.levels, (1, *model.shape), generator=rng).double()
        outputs = _outputs(twin, levels.requires_grad_(), rng, order)
        for chunk in chunks:
            yield chunk, _derivatives(outputs, levels, chunk) != 0


def redraw(model: nn.Module, rng: torch.Generator) -> None:
    """Draw all weights anew, at sizes that keep values from dying or growing."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            fan = weight[0].numel() if weight.ndim > 1 else 1
            scale = 0.5 if name.endswith("bias") else math.sqrt(2 / fan)
            weight.copy_(scale * torch.randn(weight.shape, generator=rng, dtype=torch.float64))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.weight.fill_(1)


def _outputs(
    model: PixelModel, levels: Tensor, rng: torch.Generator, order: Tensor | None
) -> Tensor:
    """One number for each step, shape (steps,): a random combination of its log-probabilities.

    Where there are many levels, those of some: a list of all would not fit into memory.
    """
    condition = model.conditioner.example(len(levels), rng)
    if order is not None:
        condition = model.conditioner.with_order(condition, order.expand(1, *order.shape))
    embedding = model.condition(condition, len(levels))
    found = model.predict(levels, embedding)
    if model.levels <= ALL_LEVELS:
        log_p = found.logits
    else:
        some = torch.randint(model.levels, (SOME_LEVELS, *levels.shape), generator=rng)
        log_p = torch.stack([found.log_prob(one) for one in some], -1)
    weights = torch.randn(log_p.shape, generator=rng, dtype=log_p.dtype)
    return to_sequence((log_p * weights).sum(-1))[0]


def _derivatives(outputs: Tensor, levels: Tensor, chunk: Tensor) -> Tensor:
    """Derivatives of the outputs in `chunk`, shape (steps in the chunk, steps)."""
    chosen = torch.nn.functional.one_hot(chunk, len(outputs)).to(outputs.dtype)
    (found,) = torch.autograd.grad(
        outputs, levels, chosen, retain_graph=True, is_grads_batched=True
    )
    return to_sequence(found[:, 0])
