"""What is known of images that are to be completed: its mask, and the condition it makes."""

import torch
from torch import Tensor

from nextpixel.images import Mask, to_mask
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.order import to_sequence


def condition_of_known(model: PixelModel, levels: Tensor, known: Tensor) -> Value | None:
    """The condition that a model makes of images by itself, from what is known of them."""
    visible = torch.where(known, levels, torch.zeros_like(levels))
    with evaluation_mode(model), torch.inference_mode():
        return model.own_condition(visible.to(next(model.parameters()).device))


def expanded(known: Mask, levels: Tensor) -> Tensor:
    """The mask in the shape of the images, checked."""
    known = to_mask(known, "known")
    try:
        return known.expand(levels.shape)
    except RuntimeError as error:
        expected = tuple(levels.shape)
        raise ValueError(
            f"known must broadcast to shape {expected}, got {tuple(known.shape)}"
        ) from error


def begins_the_scan(part: Tensor, indices: Tensor | None = None) -> bool:
    """Whether a mask (C, H, W) holds the first sub-pixels of the scan and no others.

    The scan goes as `indices` (H, W) say; None: in the raster order.

    Example:
        >>> begins_the_scan(torch.tensor([[[True, True], [True, False]]]))
        True
    """
    inside = to_sequence(part.unsqueeze(0)).view(-1, len(part))
    if indices is not None:
        inside = inside[indices.flatten().argsort()]
    inside = inside.flatten()
    return bool(inside[: int(inside.sum())].all())


def shapes_all(model: PixelModel, known: Tensor, orders: Tensor | None) -> bool:
    """Whether all that is known of images (B, C, H, W) comes before what is missing of them.

    `orders` are those of the images, as the model takes them; None: the raster order.
    """
    kinds = model.conditioner.order
    if kinds is None or orders is None:
        return all(begins_the_scan(mask) for mask in torch.unique(known, dim=0))
    turned = kinds.turn(known, orders)
    indices = [order if order.ndim else None for order in orders]
    return all(map(begins_the_scan, turned, indices))
