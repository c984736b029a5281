"""`nextpixel evaluate`: nats per image, bits per dimension, and how sure they are."""

from json import dumps
from typing import Literal

import nextpixel as npx
from nextpixel.cli.inputs import data_of
from nextpixel.cli.progress import counting


def evaluate(
    model: str,
    /,
    *,
    data: str | None = None,
    split: Literal["test", "validation", "train"] = "test",
    limit: int | None = None,
    batch_size: int = 100,
    json: bool = False,
) -> None:
    """Measure the exact likelihood of a data set.

    Args:
        model: Folder of a model, or the name of a shipped one.
        data: Name or path of a data set; by default the one the model was trained on.
        split: Which part of it.
        limit: Only the first so many images.
        batch_size: Images a pass.
        json: Print one JSON object.
    """
    if batch_size < 1:
        raise ValueError(f"batch-size must be at least 1, got {batch_size}")
    loaded = npx.load(model)
    images = getattr(data_of(model, loaded, data), split)
    if limit is not None:
        images = images.take(limit)
    with counting(len(images), "image") as count:
        found = npx.evaluate(loaded, images, batch_size=batch_size, on_progress=count)
    print(dumps(found.as_dict()) if json else found)
