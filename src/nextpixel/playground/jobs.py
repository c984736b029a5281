"""What the worker does: each function makes the work of one request, which returns its last event.

Models are loaded and run here and nowhere else. Numbers in events are plain.
"""

import base64
import math
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nextpixel.errors import NextPixelError
from nextpixel.playground.catalog import Card, ModelCache
from nextpixel.playground.job_queue import Event, Job, Work
from nextpixel.playground.refusals import Refusal
from nextpixel.playground.schemas import Drawing, InspectIn, Limits, SampleIn
from nextpixel.playground.serialization import Bytes, encode, pack, png_bytes, raw_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from nextpixel.models import PixelModel
    from nextpixel.nn import Value


def sample(cache: ModelCache, card: Card, request: SampleIn) -> Work:
    """Sample images: the same as `nextpixel sample` with the same options."""

    def work(job: Job) -> Event:
        import nextpixel as npx

        model = cache.model(card.name)
        condition = drawing_condition(cache, card, model, request)
        options = drawing_options(job, card, request)
        levels = npx.sample(model, request.count, condition=condition, **options)
        nats = nats_of(model, levels, condition).flatten(1).sum(1)
        return {"event": "done", **images_of(card, levels, nats)}

    return work


def score(cache: ModelCache, card: Card, image: Bytes, label: int | None) -> Work:
    """The cost of every sub-pixel of an image."""

    def work(job: Job) -> Event:
        job.send({"event": "start"})
        model = cache.model(card.name)
        levels = to_tensor(image)[None]
        nats = nats_of(model, levels, _image_condition(card, model, levels, label))
        return {"event": "done", **_costs(card, image, nats)}

    return work


def _costs(card: Card, image: Bytes, nats: "Tensor") -> dict[str, Any]:
    """What an image costs by a model, sub-pixel by sub-pixel, and by other ways to keep it."""
    bits = nats[0] / math.log(2)
    return {
        "nats": nats.sum().item(),
        "bits_per_dim": bits.mean().item(),
        "bits": encode(bits.numpy().astype("<f4")),
        "total_bits": bits.sum().item(),
        "png_bytes": png_bytes(image, card.levels),
        "raw_bytes": raw_bytes(image.size, card.levels),
    }


def inspect(cache: ModelCache, card: Card, request: InspectIn, image: Bytes) -> Work:
    """What a model predicts at every pixel of an image, or at one, and what the image costs."""

    def work(job: Job) -> Event:
        import torch

        from nextpixel.likelihood import evaluation_mode

        job.send({"event": "start"})
        model, levels = cache.model(card.name), to_tensor(image)[None]
        condition = _image_condition(card, model, levels, request.label)
        with evaluation_mode(model), torch.inference_mode():
            predicted = model(levels, condition)
            nats = -predicted.log_prob(levels).double()
            listed = predicted.logits[0][:, *_place(request.row, request.column)]
            probabilities = listed.double().softmax(-1).numpy().astype("<f4")
        return {
            "event": "done",
            **_costs(card, image, nats),
            "row": request.row or 0,
            "column": request.column or 0,
            "shape": list(probabilities.shape),
            "probabilities": encode(probabilities),
        }

    return work


def _place(row: int | None, column: int | None) -> tuple[slice, slice]:
    """One pixel, or all where none is given."""
    whole = slice(None)
    return tuple(whole if at is None else slice(at, at + 1) for at in (row, column))  # type: ignore[return-value]


def fields(cache: ModelCache, card: Card, row: int | None, column: int | None) -> Work:
    """The receptive fields of the last color at all pixels, or at one, as bits."""

    def work(job: Job) -> Event:
        from nextpixel.receptive import scan_indices

        job.send({"event": "start"})
        model = cache.model(card.name)
        found = _fields(model) if row is None or column is None else _field(model, row, column)
        indices = scan_indices(model)
        return {
            "event": "done",
            "pixels": len(found),
            "fields": encode(np.packbits(found, axis=1)),
            "indices": None if indices is None else encode(indices.astype("<u4")),
        }

    return work


def _fields(model: "PixelModel") -> NDArray[np.bool_]:
    """From the program, or for a model of the reader's own that has none, by derivatives."""
    from nextpixel.audit import audit
    from nextpixel.receptive import receptive_fields

    try:
        return receptive_fields(model)
    except (NotImplementedError, NextPixelError):
        sees = audit(model).sees.numpy()
        last = sees.reshape(-1, model.colors, len(sees))[:, -1]
        found: NDArray[np.bool_] = np.any(last.reshape(len(last), -1, model.colors), axis=2)
        return found


def _field(model: "PixelModel", row: int, column: int) -> NDArray[np.bool_]:
    from nextpixel.audit import field_of
    from nextpixel.order import Step

    field: NDArray[np.bool_] = field_of(model, Step(row, column, model.colors - 1)).any(0).numpy()
    return field.reshape(1, -1)


def drawing_options(job: Job, card: Card, request: Drawing) -> dict[str, Any]:
    """Options that sampling and completion share; rows are sent as they are drawn."""
    import torch

    shape = [request.count, *card.shape]
    job.send({"event": "start", "shape": shape, "levels": card.levels})
    return {
        "rng": torch.Generator().manual_seed(request.seed),
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "batch_size": request.count,  # so that a row is that of all images
        "on_row": _row_sender(job),
    }


def _row_sender(job: Job) -> "Callable[[int, Tensor], None]":
    def on_row(done: int, levels: "Tensor") -> None:
        row = levels[:, :, done - 1 : done].numpy().astype(np.uint8)
        job.send({"event": "row", "row": done - 1, "data": encode(row)})

    return on_row


def images_of(card: Card, levels: "Tensor", nats: "Tensor") -> dict[str, Any]:
    """Images and what each costs, as an event has them."""
    bits_per_dim = nats / (math.log(2) * math.prod(card.shape))
    return {
        "images": pack(levels.numpy(), card.levels),
        "nats": nats.tolist(),
        "bits_per_dim": bits_per_dim.tolist(),
    }


def to_tensor(array: NDArray[np.uint8]) -> "Tensor":
    """Levels of a request as a tensor of its own, int64."""
    import torch

    return torch.from_numpy(array.astype(np.int64))


def nats_of(model: "PixelModel", levels: "Tensor", condition: "Value | None") -> "Tensor":
    """Negative log-probability of every sub-pixel, nats, float64, (N, C, H, W)."""
    import torch

    from nextpixel.likelihood import evaluation_mode

    with evaluation_mode(model), torch.inference_mode():
        nats: Tensor = -model(levels, condition).log_prob(levels.long()).double()
        return nats


def drawing_condition(
    cache: ModelCache, card: Card, model: "PixelModel", request: Drawing
) -> "Value | None":
    """The condition that the command line takes: labels in turn, or the codes of test images."""
    import torch

    if card.classes is not None:
        labels = range(card.classes) if request.label is None else [request.label]
        return torch.tensor([labels[image % len(labels)] for image in range(request.count)])
    if card.condition == "other":
        test = cache.images(card).levels[: request.count]
        return own_condition(model, test[torch.arange(request.count) % len(test)])
    return None


def _image_condition(
    card: Card, model: "PixelModel", levels: "Tensor", label: int | None
) -> "Value | None":
    """The condition of images that are given: their label, or their own codes."""
    import torch

    if card.classes is None:
        return own_condition(model, levels)
    return torch.full((len(levels),), -1 if label is None else label)


def own_condition(model: "PixelModel", levels: "Tensor") -> "Value | None":
    """What a model makes of images by itself, as their condition; None of most models."""
    import torch

    from nextpixel.likelihood import evaluation_mode

    with evaluation_mode(model), torch.inference_mode():
        return model.own_condition(levels)


def compress(cache: ModelCache, card: Card, images: Bytes, label: int | None) -> Work:
    """Images to an archive that `nextpixel decompress` reads as well.

    Without a label, a class-conditional model takes the cheapest class for each image.
    """
    if card.classes is not None and label is None and images.shape[1:] != card.shape:
        raise Refusal(f"label must be given for images of another size than {card.name}'s", "label")

    def work(job: Job) -> Event:
        from nextpixel.codec.archive import write
        from nextpixel.codec.tensors import TensorSource

        job.send({"event": "begun", "images": len(images)})
        model = cache.model(card.name)
        levels, out = to_tensor(images), BytesIO()
        source = TensorSource(levels, _labels(job, card, model, levels, label))
        report = write(out, model, source, on_chunk=lambda done: job.send(_chunk(done)))
        archive = out.getvalue()
        return {
            "event": "done",
            "archive": base64.b64encode(archive).decode("ascii"),
            "bytes": len(archive),
            "ideal_bits": report.ideal_bits,
            "bits_per_dim": 8 * len(archive) / images.size,
            "png_bytes": sum(png_bytes(image, card.levels) for image in images),
            "count": len(images),
            "raw_bytes": raw_bytes(images.size, card.levels),
        }

    return work


def _labels(
    job: Job, card: Card, model: "PixelModel", levels: "Tensor", label: int | None
) -> "Tensor | None":
    import torch

    from nextpixel.classify import classify

    if card.classes is None:
        return None
    if label is not None:
        return torch.full((len(levels),), label)

    def on_progress(done: int) -> None:
        job.send({"event": "classified", "done": done})

    return classify(model, levels, on_progress=on_progress).argmax(1)


def decompress(cache: ModelCache, card: Card, archive: bytes, limits: Limits) -> Work:
    """An archive to its images.

    The work refuses archives that are damaged, of another model, or hold too much.
    """

    def work(job: Job) -> Event:
        from nextpixel.codec.container import read_archive
        from nextpixel.codec.header import fingerprint
        from nextpixel.codec.reader import Reader

        model = cache.model(card.name)
        opened = read_archive(archive, fingerprint(model))
        if opened.header.images * math.prod(opened.header.shape) > limits.values:
            text = f"archive must hold at most {limits.values:,} sub-pixels"
            raise Refusal(f"{text}; `nextpixel decompress` reads larger ones", "archive")
        reader = Reader(opened, model)
        found = reader.images(on_chunk=lambda done: job.send(_chunk(done)))
        images = [image for image, _ in found]
        if len({image.shape for image in images}) != 1:
            raise Refusal("archive must hold images of one size to be shown here", "archive")
        return {"event": "done", "images": pack(np.stack(images), card.levels)}

    return work


def _chunk(done: int) -> Event:
    return {"event": "chunk", "done": done}
