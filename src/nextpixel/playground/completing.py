"""Completions of an image by one of the ways that a model has, and what each costs."""

from typing import TYPE_CHECKING, Any

from nextpixel.playground.catalog import BEST, PARTICLES, RASTER, Card, ModelCache
from nextpixel.playground.job_queue import Event, Job, Work
from nextpixel.playground.jobs import (
    drawing_condition,
    drawing_options,
    images_of,
    nats_of,
    own_condition,
    to_tensor,
)
from nextpixel.playground.schemas import LIMITS, CompleteIn
from nextpixel.playground.serialization import Bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from nextpixel.models import PixelModel
    from nextpixel.nn import Value

SHARED = 32
"""Particles of each completion, and of an estimate of what is known."""


def complete(
    cache: ModelCache, card: Card, request: CompleteIn, image: Bytes, known: Bytes
) -> Work:
    """Sample the unknown part of an image, several times.

    A model that makes its condition of the image makes it of the known pixels only: what is erased
    must not come back by that way.
    """

    def work(job: Job) -> Event:
        import torch

        import nextpixel as npx

        model, mask = cache.model(card.name), torch.from_numpy(known.copy())
        # erased pixels reach neither a condition nor a sample, so they may be level 0 everywhere
        levels = (to_tensor(image) * mask).expand(request.count, *card.shape)
        condition = own_condition(model, levels)
        if condition is None:
            condition = drawing_condition(cache, card, model, request)
        options = drawing_options(job, card, request) | _by(card, request.way)
        each = 1 if request.way == PARTICLES else request.count  # so that a client may leave
        completed = torch.cat(
            [
                npx.complete(model, part, mask, condition=own, **options)
                for part, own in _parts(job, levels, condition, each)
            ]
        )
        nats = nats_of(model, completed, condition)
        return {
            "event": "done",
            **images_of(card, completed, nats.flatten(1).sum(1)),
            "nats_known": (nats * mask).flatten(1).sum(1).tolist(),
            "nats_filled": (nats * ~mask).flatten(1).sum(1).tolist(),
            **_given(job, card, model, completed, mask, condition),
        }

    return work


def _parts(
    job: Job, levels: "Tensor", condition: "Value | None", each: int
) -> "Iterator[tuple[Tensor, Value | None]]":
    """Some images at a time with their conditions; between them the job may end."""
    import torch

    from nextpixel.nn import take

    for first in range(0, len(levels), each):
        job.send({"event": "part", "done": first})
        chosen = torch.arange(first, min(first + each, len(levels)))
        own = None if condition is None else take(condition, chosen, torch.device("cpu"))
        yield levels[chosen], own


def _by(card: Card, way: str | None) -> dict[str, Any]:
    """Options of `npx.complete` for a way."""
    raster = {"order": 0} if BEST in card.ways and RASTER in card.ways else {}
    if way == RASTER:
        return raster
    return {"method": "particles", "particles": SHARED, **raster} if way == PARTICLES else {}


def _given(
    job: Job, card: Card, model: "PixelModel", drawn: "Tensor", known: "Tensor", own: "Value | None"
) -> Event:
    """What each completion costs given all that is known, in nats, and the error of an estimate.

    A model of several orders states it if one of them begins with what is known. Else it is the
    cost of the whole image less that of the known part, which particles estimate once for all.
    """
    import torch

    job.send({"event": "weighing"})
    able = bool({BEST, PARTICLES} & {*card.ways}) and len(drawn) <= LIMITS.weighed
    if not able or not _is_one(own):
        return {"nats_given": None, "nats_given_error": None}
    rng = torch.Generator().manual_seed(0)
    if BEST in card.ways:
        found = [
            _cost(model, part, ~known, given=known, condition=one, rng=rng)
            for part, one in _parts(job, drawn, own, 1)
        ]
        costs = [-float(log_p) for log_p, _ in found]
        return {"nats_given": costs, "nats_given_error": max(error for _, error in found)}
    first = own[:1] if isinstance(own, torch.Tensor) else None
    log_p, error = _cost(model, drawn[:1], known, condition=first, rng=rng)
    whole = nats_of(model, drawn, own).flatten(1).sum(1)
    return {"nats_given": (whole + log_p).tolist(), "nats_given_error": error}


def _cost(
    model: "PixelModel",
    levels: "Tensor",
    region: "Tensor",
    **more: Any,  # noqa: ANN401
) -> "tuple[Tensor, float]":
    """Log-probabilities of a region, (B,), and the largest standard error."""
    import nextpixel as npx

    found = npx.log_prob_of(model, levels, region, particles=SHARED, **more)
    return found.nats, 0.0 if found.is_exact else float(found.standard_error.max())


def _is_one(condition: "Value | None") -> bool:
    """Whether all images have one condition; of several there is no one cost of what is known."""
    import torch

    if condition is None:
        return True
    return isinstance(condition, torch.Tensor) and bool((condition == condition[:1]).all())
