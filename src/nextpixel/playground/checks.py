"""Whether a request fits its model, by the model's card alone: else no job is made of it."""

import numpy as np

from nextpixel.playground.catalog import Card
from nextpixel.playground.problems import Refusal
from nextpixel.playground.requests import CompleteIn, ImageIn, LookIn
from nextpixel.playground.wire import Bytes, decode


def check_usable(card: Card) -> None:
    """Refuse a model that is told something which the playground cannot give.

    Raises:
        Refusal: If it is.
    """
    if not card.usable:
        given = card.given or "more than a class"
        raise Refusal(
            f"{card.name} cannot be used here: it is told {given}, which only the Python "
            "functions can give",
            "model",
        )


def check_label(card: Card, label: int | None, *, needed: bool = False) -> None:
    """Refuse a label that a model does not take, or one that is missing.

    Raises:
        Refusal: Naming those that it takes.
    """
    if card.classes is None:
        if label is not None:
            raise Refusal(f"label must be left out: {card.name} takes no class labels", "label")
        return
    least = -1 if card.unknown else 0
    unknown = ", or -1 for unknown" if card.unknown else ""
    if label is None and needed:
        raise Refusal(
            f"label must be given for {card.name}: 0..{card.classes - 1}{unknown}", "label"
        )
    if label is not None and not least <= label < card.classes:
        raise Refusal(f"label must be 0..{card.classes - 1}{unknown}, got {label}", "label")


def image_for(card: Card, image: ImageIn) -> Bytes:
    """The levels of an image, if it is one of the model's.

    Raises:
        Refusal: If its shape or its levels are others.
    """
    array = image.array()
    if tuple(image.shape) != card.shape:
        raise Refusal(
            f"image.shape must be {list(card.shape)} for {card.name}, got {image.shape}",
            "image.shape",
        )
    if image.levels != card.levels:
        raise Refusal(
            f"image.levels must be {card.levels} for {card.name}, got {image.levels}",
            "image.levels",
        )
    return array


def known_for(card: Card, request: CompleteIn) -> Bytes:
    """Which pixels are known, boolean, (H, W).

    Raises:
        Refusal: If it is no mask of the model's images.
    """
    return decode(request.known, card.shape[1:], 2, "known").astype(np.bool_)


def check_pixel(card: Card, request: LookIn) -> None:
    """Refuse a pixel outside of the image.

    Raises:
        Refusal: If it is.
    """
    colors, height, width = card.shape
    for field, value, size in (
        ("row", request.row, height),
        ("column", request.column, width),
        ("color", request.color or 0, colors),
    ):
        if value >= size:
            raise Refusal(f"{field} must be 0..{size - 1} for {card.name}, got {value}", field)
