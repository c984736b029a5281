"""The log-probability of a part of an image, given another part.

log p(region | given) = log p(region and given) - log p(given). Of a part that the scan begins with,
such as the upper half, the log-probability is a sum of log-probabilities of its sub-pixels; of any
other part it is estimated by particles.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nextpixel.images import Mask, to_mask
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import Value
from nextpixel.sampling.known import begins_the_scan
from nextpixel.sampling.particles import PARTICLES, complete_by_particles

REPEATS = 8
"""Estimates of which each that is reported is the mean."""


class RegionLogProb(NamedTuple):
    """Log-probabilities of a region of some images.

    Attributes:
        nats: Float64, (B,).
        standard_error: Of the estimates, nats, (B,); zeros where they are exact.
        is_exact: Whether no particles were needed.
    """

    nats: Tensor
    standard_error: Tensor
    is_exact: bool


def log_prob_of(
    model: PixelModel,
    levels: Tensor,
    region: Mask,
    *,
    given: Mask | None = None,
    condition: Value | None = None,
    particles: int = PARTICLES,
    rng: torch.Generator | None = None,
) -> RegionLogProb:
    """How likely a region of images is, given another region, or nothing.

    It is exact where both `given`, and `given` and `region` together, are what the scan begins
    with: then no pixel has to be summed over. Of several orders that the model has, the one in
    which most of what is known comes first is taken. Else it is estimated.

    Args:
        model: The model; its mode is restored afterwards.
        levels: Integers 0..K-1, shape (B, C, H, W); entries in neither region do not matter.
        region: Boolean, of a shape that broadcasts to (C, H, W).
        given: Likewise; it must not share a sub-pixel with `region`. None: nothing.
        condition: One entry an image.
        particles: Of each of `REPEATS` independent estimates, whose probabilities are averaged, and
            whose spread gives the standard error.
        rng: Source of the uniforms of particles, on the CPU; None: torch's global generator.

    Raises:
        TypeError: If a mask is not boolean, or levels are no integers.
        ValueError: If shapes or ranges are not the model's, or regions overlap.
        NextPixelError: If particles are needed and cannot be computed.
    """
    check_model(model)
    model.check_weights()
    model.check(levels)
    nothing = torch.zeros(model.shape, dtype=torch.bool)
    inside = _mask(region, model, "region")
    known = nothing if given is None else _mask(given, model, "given")
    if bool((inside & known).any()):
        raise ValueError("given must not share a sub-pixel with region")
    indices = None
    if kinds := model.conditioner.order:
        order = kinds.best(known, inside)
        indices = None if order.ndim == 0 else order
        inside, known = kinds.turn(torch.stack([inside, known]), order.expand(2, *order.shape))
        orders = order.expand(len(levels), *order.shape)
        levels, condition = model.in_order(levels, condition, orders)
    found = []
    for part in (inside | known, known):
        if begins_the_scan(part, indices):
            found.append(_exact(model, levels, part, condition))
        else:
            each = [
                complete_by_particles(
                    model, levels, part.expand(levels.shape), count=particles, rng=rng,
                    condition=condition,
                ).log_evidence
                for _ in range(REPEATS)
            ]  # fmt: skip
            found.append(_mean(torch.stack(each)))
    (both, error), (alone, other) = found
    total = (error.square() + other.square()).sqrt()
    return RegionLogProb(both - alone, total, not bool(total.any()))


def _mask(part: Mask, model: PixelModel, name: str) -> Tensor:
    """A mask in the shape of an image, checked."""
    part = to_mask(part, name)
    try:
        return part.expand(model.shape)
    except RuntimeError as error:
        raise ValueError(
            f"{name} must broadcast to shape {model.shape}, got {tuple(part.shape)}"
        ) from error


def _exact(
    model: PixelModel, levels: Tensor, part: Tensor, condition: Value | None
) -> tuple[Tensor, Tensor]:
    visible = torch.where(part, levels, torch.zeros_like(levels))
    with evaluation_mode(model), torch.inference_mode():
        found = model(visible, condition).log_prob(visible).double().cpu()
    nats = torch.where(part, found, 0.0).flatten(1).sum(1)
    return nats, torch.zeros_like(nats)


def _mean(estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Logs of mean probabilities over repeats (R, B), and their standard errors."""
    count = len(estimates)
    mean = estimates.logsumexp(0) - math.log(count)
    spread = (estimates - mean).exp().std(0)
    return mean, spread / math.sqrt(count)
