"""Drawing in other orders than the raster one: images of one order together, turned and back."""

from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.models import PixelModel
from nextpixel.nn import Order, Value, take
from nextpixel.sampling.request import Request

Draw = Callable[[Request, OnRow | None], Tensor]
"""Draws a request of which all images are scanned in one order."""


def orders_for(model: PixelModel, order: Order, known: Tensor) -> Tensor | None:
    """The order of each image: the one that is stated, else the best for what is known.

    Args:
        model: The model.
        order: Of all of them; None: for each the order in which most known pixels come first.
        known: Boolean, (B, C, H, W).

    Returns:
        Orders as the model takes them, (B, ...); None: it has the raster order only.

    Raises:
        ValueError: If the model has no such order.
    """
    stated, orders = model.read_order(order), model.conditioner.order
    if stated is None or orders is None:
        return None
    if order is not None:
        return stated.expand(len(known), *stated.shape)
    masks, which = torch.unique(known, dim=0, return_inverse=True)
    return torch.stack([orders.best(mask) for mask in masks])[which]


def draw_in_orders(
    model: PixelModel, request: Request, orders: Tensor | None, draw: Draw, on_row: OnRow | None
) -> Tensor:
    """Draw images in the order of each, those of one order together.

    Args:
        model: The model.
        request: What is asked, as the images lie; uniforms are used in the order of the scan.
        orders: Of each image, as the model takes them; None: it has the raster order only.
        draw: Draws them.
        on_row: Called with the images at hand, as they lie.
    """
    kinds = model.conditioner.order
    if orders is None or kinds is None:
        return draw(request, on_row)
    found, which = torch.unique(orders, dim=0, return_inverse=True)
    drawn = []
    for number in range(len(found)):
        images = (which == number).nonzero()[:, 0]
        own = orders[images]

        def turned_back(row: int, levels: Tensor, own: Tensor = own) -> None:
            if on_row is not None:
                on_row(row, kinds.turn(levels, own[: len(levels)], back=True))

        made = draw(turned(model, request, images, own), turned_back if on_row else None)
        drawn.append((images, kinds.turn(made, own, back=True)))
    every = torch.cat([images for images, _ in drawn])
    return torch.cat([made for _, made in drawn])[every.argsort()]


def turned(model: PixelModel, request: Request, images: Tensor, orders: Tensor) -> Request:
    """Some images of a request as the scan sees them in their orders."""
    levels, known, uniforms, condition = request
    own: Value | None = take(condition, images, torch.device("cpu"))
    levels, condition = model.in_order(levels[images], own, orders)
    known, _ = model.in_order(known[images], own, orders)
    return Request(levels, known, uniforms[images], condition)
