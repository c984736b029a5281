"""What the worker does: each function makes the work of one request, which returns its last event.

Models are loaded and run here and nowhere else. Numbers in events are plain.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nextpixel.playground.catalog import Card
from nextpixel.playground.desk import Event, Job, Work
from nextpixel.playground.requests import CompleteIn, Drawing, LookIn, SampleIn
from nextpixel.playground.shelf import Shelf, as_levels
from nextpixel.playground.wire import Bytes, encode, pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from nextpixel.models import PixelModel
    from nextpixel.nn import Value


def sample(shelf: Shelf, card: Card, request: SampleIn) -> Work:
    """Draw images: the same as `nextpixel sample` with the same options."""

    def work(job: Job) -> Event:
        import nextpixel as npx

        model = shelf.model(card.name)
        condition = _told(shelf, card, model, request)
        levels = npx.sample(
            model, request.count, condition=condition, **_options(job, card, request)
        )
        nats = _surprise(model, levels, condition).flatten(1).sum(1)
        return {"event": "done", **_drawn(card, levels, nats)}

    return work


def complete(shelf: Shelf, card: Card, request: CompleteIn, image: Bytes, known: Bytes) -> Work:
    """Draw the unknown part of an image, several times."""

    def work(job: Job) -> Event:
        import torch

        import nextpixel as npx

        model = shelf.model(card.name)
        many = as_levels(image).expand(request.count, *card.shape)
        mask = torch.from_numpy(known.copy())
        own = _own_condition(model, many)
        condition = _told(shelf, card, model, request) if own is None else own
        options = _options(job, card, request)
        levels = npx.complete(model, many, mask, condition=condition, **options)
        bits = _surprise(model, levels, condition)
        parts = {
            "nats_known": (bits * mask).flatten(1).sum(1).tolist(),
            "nats_filled": (bits * ~mask).flatten(1).sum(1).tolist(),
        }
        return {"event": "done", **_drawn(card, levels, bits.flatten(1).sum(1)), **parts}

    return work


def score(shelf: Shelf, card: Card, image: Bytes, label: int | None) -> Work:
    """The cost of every sub-pixel of an image."""

    def work(job: Job) -> Event:
        job.tell({"event": "start"})
        model = shelf.model(card.name)
        levels = as_levels(image)[None]
        nats = _surprise(model, levels, _condition(card, model, levels, label))
        bits = nats[0] / math.log(2)
        return {
            "event": "done",
            "nats": nats.sum().item(),
            "bits_per_dim": bits.mean().item(),
            "bits": encode(bits.numpy().astype("<f4")),
            "total_bits": bits.sum().item(),
            "png_bytes": png_bytes(image, card.levels),
            "raw_bytes": raw_bytes(image.size, card.levels),
        }

    return work


def look(shelf: Shelf, cards: list[Card], request: LookIn, image: Bytes) -> Work:
    """What models predict at a pixel, and what they see there."""

    def work(job: Job) -> Event:
        looks = []
        for card in cards:
            job.tell({"event": "start"})
            looks.append(_look(shelf, card, request, image))
        return {"event": "done", "looks": looks}

    return work


def _look(shelf: Shelf, card: Card, request: LookIn, image: Bytes) -> dict[str, Any]:
    import torch

    from nextpixel.likelihood import evaluation_mode

    model, levels = shelf.model(card.name), as_levels(image)[None]
    label = request.label if card.condition == "class" else None
    with evaluation_mode(model), torch.inference_mode():
        told = model(levels, _condition(card, model, levels, label))
        here = told[0, :, request.row, request.column].logits.double().softmax(-1)
    colors, height, width = card.shape
    color = colors - 1 if request.color is None else request.color
    past = np.arange(height * width) < request.row * width + request.column + (color > 0)
    return {
        "model": card.name,
        "probabilities": here.tolist(),
        "sees": encode(shelf.sight(card.name, request.row, request.column, color).astype(np.uint8)),
        "past": encode(past.astype(np.uint8)),
    }


def _options(job: Job, card: Card, request: Drawing) -> dict[str, Any]:
    """What sampling and completion take alike; rows are told as they are drawn."""
    import torch

    shape = [request.count, *card.shape]
    job.tell({"event": "start", "shape": shape, "levels": card.levels})
    return {
        "rng": torch.Generator().manual_seed(request.seed),
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "batch_size": request.count,  # a row is told of all images at once
        "on_row": _teller(job),
    }


def _teller(job: Job) -> "Callable[[int, Tensor], None]":
    def on_row(done: int, levels: "Tensor") -> None:
        row = levels[:, :, done - 1 : done].numpy().astype(np.uint8)
        job.tell({"event": "row", "row": done - 1, "data": encode(row)})

    return on_row


def _drawn(card: Card, levels: "Tensor", nats: "Tensor") -> dict[str, Any]:
    bits_per_dim = nats / (math.log(2) * math.prod(card.shape))
    return {
        "images": pack(levels.numpy(), card.levels),
        "nats": nats.tolist(),
        "bits_per_dim": bits_per_dim.tolist(),
    }


def _surprise(model: "PixelModel", levels: "Tensor", condition: "Value | None") -> "Tensor":
    """Negative log-probability of every sub-pixel, nats, float64, (N, C, H, W)."""
    import torch

    from nextpixel.likelihood import evaluation_mode

    with evaluation_mode(model), torch.inference_mode():
        nats: Tensor = -model(levels, condition).log_prob(levels.long()).double()
        return nats


def _told(shelf: Shelf, card: Card, model: "PixelModel", request: Drawing) -> "Value | None":
    """What the command line tells a model: labels in turn, or the codes of test images."""
    import torch

    if card.classes is not None:
        labels = range(card.classes) if request.label is None else [request.label]
        return torch.tensor([labels[image % len(labels)] for image in range(request.count)])
    if card.condition == "other":
        test = shelf.images(card).levels[: request.count]
        return _own_condition(model, test[torch.arange(request.count) % len(test)])
    return None


def _condition(
    card: Card, model: "PixelModel", levels: "Tensor", label: int | None
) -> "Value | None":
    """What a model is told of images that are there: their label, or their own codes."""
    import torch

    if card.classes is None:
        return _own_condition(model, levels)
    return torch.full((len(levels),), -1 if label is None else label)


def _own_condition(model: "PixelModel", levels: "Tensor") -> "Value | None":
    import torch

    from nextpixel.likelihood import evaluation_mode

    with evaluation_mode(model), torch.inference_mode():
        return model.own_condition(levels)


def raw_bytes(values: int, levels: int) -> int:
    """Bytes of levels that take whole bits each, packed.

    Example:
        >>> raw_bytes(28 * 28, 2), raw_bytes(28 * 28, 256)
        (98, 784)
    """
    return -(-values * (levels - 1).bit_length() // 8)


def png_bytes(image: Bytes, levels: int) -> int:
    """Bytes of an image (C, H, W) as a PNG; of one that PNG has no form for, 0."""
    from nextpixel.playground.exports import png_of

    return len(png_of(image, levels)) if len(image) in (1, 3) else 0
