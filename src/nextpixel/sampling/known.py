"""What is known of images that are to be completed: its mask, and the condition it makes."""

import torch
from torch import Tensor

from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import Value


def condition_of_known(model: PixelModel, levels: Tensor, known: Tensor) -> Value | None:
    """The condition that a model makes of images by itself, from what is known of them."""
    visible = torch.where(known, levels, torch.zeros_like(levels))
    with evaluation_mode(model), torch.inference_mode():
        return model.own_condition(visible.to(next(model.parameters()).device))


def expanded(known: Tensor, levels: Tensor) -> Tensor:
    """The mask in the shape of the images, checked."""
    if not isinstance(known, Tensor) or known.dtype != torch.bool:
        raise TypeError(
            f"known must be a boolean tensor, got {getattr(known, 'dtype', type(known))}"
        )
    try:
        return known.expand(levels.shape)
    except RuntimeError as error:
        expected = tuple(levels.shape)
        raise ValueError(
            f"known must broadcast to shape {expected}, got {tuple(known.shape)}"
        ) from error
