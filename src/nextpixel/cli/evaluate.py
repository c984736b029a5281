"""`nextpixel evaluate`: nats per image, bits per dimension, and how sure they are."""

import math
from json import dumps
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from torch import Tensor

import nextpixel as npx
from nextpixel.classify import classes_of
from nextpixel.cli.inputs import data_of
from nextpixel.cli.options import Device
from nextpixel.cli.processes import team
from nextpixel.cli.progress import counting
from nextpixel.data import Split
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition

HEALTH_IMAGES = 1000
"""Images on which a conditional model is asked whether it listens."""


def evaluate(
    model: str,
    /,
    *,
    data: str | None = None,
    data_folder: Annotated[str | None, Parameter(name=["--data.folder", "--data.path"])] = None,
    split: Literal["test", "validation", "train"] = "test",
    limit: int | None = None,
    batch_size: int = 100,
    classify: bool = False,
    device: Device = "auto",
    json: bool = False,
) -> None:
    """Measure the exact likelihood of a data set.

    Started by torchrun, its processes share the images: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        data: Name or path of a data set; by default the one the model was trained on.
        data_folder: Where a data set that is not shipped lies; by default where it lay in training.
        split: Which part of it.
        limit: Only the first so many images.
        batch_size: Images a pass.
        classify: Also classify the images by Bayes: p(class | image) by p(image | class).
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
        json: Print one JSON object.
    """
    if batch_size < 1:
        raise ValueError(f"batch-size must be at least 1, got {batch_size}")
    with team(device) as all_of_us:
        processes, loaded = all_of_us.processes, all_of_us.load(model)

        def read() -> Split:
            images: Split = getattr(data_of(model, loaded, data, data_folder), split)
            images = images if limit is None else images.take(limit)
            if classify:
                check_classes(loaded, images)
            return images

        images = processes.each(read)
        with counting(len(images), "image", shown=processes.is_first) as count:
            found = npx.evaluate(loaded, images, batch_size=batch_size, on_progress=count)
        more = listening(loaded, images)
        if classify:
            more |= accuracy(loaded, images, batch_size, shown=processes.is_first)
    if not processes.is_first:
        return
    if json:
        print(dumps(found.as_dict() | {name: value for name, (value, _) in more.items()}))
    else:
        print(*[found, *(line for _, line in more.values())], sep="\n")


def listening(model: PixelModel, images: Split) -> dict[str, tuple[Any, str]]:
    """Whether a conditional model listens: a JSON entry and a line for people."""
    part = images.take(HEALTH_IMAGES)
    conditions = model.conditioner.conditions
    if len(conditions) != 1 or len(part) < 2:
        return {}
    if isinstance(conditions[0], ClassCondition) and len(set(_labels(part).tolist())) < 2:
        return {}
    found = npx.health(model, part)
    return {"health": (found.as_dict(), f"health ({found.n:,} images): {found}")}


def check_classes(model: PixelModel, images: Split) -> None:
    """Refuse what cannot be classified, before any work is done.

    Raises:
        ValueError: If the model is not class-conditional or the images have no labels.
    """
    classes_of(model)
    _labels(images)


def _labels(images: Split) -> Tensor:
    if images.labels is None:
        raise ValueError(f"data must have labels to classify, {images.name} has none")
    return images.labels


def accuracy(
    model: PixelModel, images: Split, batch_size: int, *, shown: bool
) -> dict[str, tuple[Any, str]]:
    """Share of images whose class Bayes finds: a JSON entry and a line for people.

    Raises:
        ValueError: If the model is not class-conditional or the images have no labels.
    """
    labels = _labels(images)
    scores = len(images) * classes_of(model)
    with counting(scores, "score", shown=shown) as count:
        probabilities = npx.classify(model, images.levels, batch_size=batch_size, on_progress=count)
    right = (probabilities.argmax(1) == labels).double()
    share, n = right.mean().item(), len(right)
    error = right.std().item() / math.sqrt(n) if n > 1 else math.nan
    value = {"share": share, "standard_error": error if n > 1 else None, "n": n}
    line = f"classified right: {share:.2%} +- {error:.2%} of {n:,} images"
    return {"classified_right": (value, line)}
