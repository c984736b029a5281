"""Scan orders: which ones a model has, which to choose for what is known, and drawing in them.

A mirror order is the raster order of a turned image, so images are turned here, on their way in and
out; what draws them knows the raster order only. Orders by rank reach the model as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.errors import nearest
from nextpixel.models import PixelModel
from nextpixel.order import MIRRORS, Shape, to_sequence, turn, turn_back
from nextpixel.sampling.draw import Request

Order = int | str | None
"""Number or name of a mirror order; None: left to the function."""


def read_order(model: PixelModel, order: Order) -> int:
    """The number of an order that a model has, by number or name.

    Raises:
        ValueError: If the model has no such order.
    """
    names = order_names(model)
    if isinstance(order, str) and order not in names:
        raise ValueError(f"there is no order {order!r} of this model; {nearest(order, names)}")
    number = names.index(order) if isinstance(order, str) else int(order or 0)
    if not 0 <= number < len(names):
        raise ValueError(f"order must be 0..{len(names) - 1} for this model, got {number}")
    return number


def order_names(model: PixelModel) -> tuple[str, ...]:
    """Names of the orders that a model was trained for, by number.

    Example:
        >>> from nextpixel import models
        >>> order_names(models.build("pixelcnn", shape=(1, 4, 4), levels=2, features=4, layers=1))
        ('rows-from-top-left',)
    """
    order = model.conditioner.order
    return MIRRORS[: 1 if order is None else order.classes]


def best_order(model: PixelModel, known: Tensor) -> int:
    """The order in which most known sub-pixels come before missing ones, the first of equals.

    Counted are pairs of a known and a missing one. `known` is boolean, (C, H, W).
    """
    if len(order_names(model)) == 1:
        return 0
    counts = [_pairs(turn(known, number)) for number in range(len(order_names(model)))]
    return max(range(len(counts)), key=counts.__getitem__)


def _pairs(known: Tensor) -> int:
    """Pairs of a known sub-pixel and a missing one later in the scan."""
    inside = to_sequence(known.unsqueeze(0))[0].long()
    return int((inside.cumsum(0) * (1 - inside)).sum())


@dataclass(frozen=True, eq=False)
class Group:
    """Images of a request that are scanned in the same order.

    Attributes:
        images: Their numbers.
        order: Its number.
    """

    images: Tensor
    order: int


def draw_in_orders(
    model: PixelModel,
    request: Request,
    orders: list[int],
    draw: Callable[[Request, OnRow | None], Tensor],
    on_row: OnRow | None = None,
) -> Tensor:
    """Draw images in an order for each: those of one order together, turned and turned back.

    Args:
        model: The model.
        request: What is asked, as the images lie; uniforms are taken in the order of the scan.
        orders: Of each image.
        draw: Draws images that are turned.
        on_row: Called with the images of an order as they lie.
    """
    if model.conditioner.order is None:
        return draw(request, on_row)
    made: Tensor | None = None
    for order in sorted(set(orders)):
        images = torch.tensor([n for n, one in enumerate(orders) if one == order])
        drawn = turn_back(draw(_turned(model, request, images, order), _back(on_row, order)), order)
        made = (
            torch.zeros((len(orders), *drawn.shape[1:]), dtype=drawn.dtype)
            if made is None
            else made
        )
        made[images] = drawn
    assert made is not None
    return made


def _turned(model: PixelModel, request: Request, images: Tensor, order: int) -> Request:
    levels, known, uniforms, condition = request
    own = condition_part(condition, images)
    return Request(
        turn(levels[images], order),
        turn(known[images], order),
        uniforms[images],
        model.conditioner.with_order(own, torch.full((len(images),), order)),
    )
