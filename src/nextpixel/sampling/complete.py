"""Completion: keep the known sub-pixels, draw the others.

In scan order a missing pixel is drawn given what comes before it. Pixels known *after* it are
kept, but cannot inform it: the top of a digit shapes its bottom, not the other way round.
"""

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.heads.truncation import Truncation
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.sampling.draw import check_room, draw_uniforms, fill
from nextpixel.sampling.options import SamplingOptions


def complete(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    *,
    rng: torch.Generator,
    condition: Value | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    method: str = "engine",
    batch_size: int = 100,
    on_row: OnRow | None = None,
) -> Tensor:
    """Draw the unknown part of images; processes share them as in `sample`.

    Args:
        model: The model; its mode is restored afterwards.
        levels: Integers 0..K-1, shape (B, C, H, W). Unknown entries may hold any level.
        known: Boolean, of a shape that broadcasts to (B, C, H, W), such as (H, W).
        rng: Source of the uniforms, on the CPU.
        condition: What the model is conditioned on, one entry an image. None, for an auto-encoder:
            the codes of the images with level 0 in place of what is unknown.
        temperature: Above 0; see `sample`.
        top_k: See `sample`.
        top_p: See `sample`.
        method: See `sample`.
        batch_size: Images at a time.
        on_row: See `sample`.

    Returns:
        Levels, uint8, shape (B, C, H, W), equal to `levels` where `known`.

    Raises:
        TypeError: If `levels` are no integers or `known` is not boolean.
        ValueError: If shapes or ranges are not the model's.
    """
    model.check(levels)
    known = _expanded(known, levels)
    if condition is None:
        condition = _of_known(model, levels, known)
    check_room(len(levels), model.shape)
    uniforms = draw_uniforms(len(levels), model.shape, rng)
    truncation = Truncation(temperature, top_k, top_p)
    options = SamplingOptions(truncation, method, batch_size, on_row)
    return fill(model, levels, known, uniforms, condition, options)


def _of_known(model: PixelModel, levels: Tensor, known: Tensor) -> Value | None:
    """The condition that a model makes of images by itself, from what is known of them."""
    visible = torch.where(known, levels, torch.zeros_like(levels))
    with evaluation_mode(model), torch.inference_mode():
        return model.own_condition(visible.to(next(model.parameters()).device))


def _expanded(known: Tensor, levels: Tensor) -> Tensor:
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
