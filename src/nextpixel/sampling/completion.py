"""Completion: keep the known sub-pixels, draw the others.

In scan order a missing pixel is drawn given what comes before it. Pixels known *after* it are
kept, but cannot inform it: the top of a digit shapes its bottom, not the other way round. Unless
they are drawn by particles (`nextpixel.sampling.particles`), which take in all that is known.
"""

from typing import Unpack

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.heads.truncation import PLAIN
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.sampling.draw import Request, check_room, draw_uniforms, fill
from nextpixel.sampling.options import SamplingKeywords, read_options
from nextpixel.sampling.particles import PARTICLES, complete_by_particles


def complete(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    *,
    rng: torch.Generator | None = None,
    condition: Value | None = None,
    on_row: OnRow | None = None,
    particles: int = PARTICLES,
    **options: Unpack[SamplingKeywords],
) -> Tensor:
    """Draw the unknown part of images; processes share them as in `sample`.

    Args:
        model: The model; its mode is restored afterwards.
        levels: Integers 0..K-1, shape (B, C, H, W). Unknown entries may hold any level.
        known: Boolean, of a shape that broadcasts to (B, C, H, W), such as (H, W).
        rng: Source of the uniforms, on the CPU; None: torch's global generator.
        condition: What the model is conditioned on, one entry an image. None, for an auto-encoder:
            the codes of the images with level 0 in place of what is unknown.
        on_row: See `sample`; never called by `method="particles"`.
        particles: With `method="particles"`: how many completions of each image are drawn together,
            of which one is taken. The more, the nearer to p(missing | known).
        **options: See `sample`. `method` may also be "particles": known pixels then inform missing
            ones before them, too. It draws from the model itself, without truncation.

    Returns:
        Levels, `images.level_dtype(K)`, shape (B, C, H, W), equal to `levels` where `known`.

    Raises:
        TypeError: If `levels` are no integers, `known` is not boolean, or there is no such option.
        ValueError: If shapes or ranges are not the model's, or particles are to be truncated.
        NextPixelError: If particles cannot be computed: they need the compiled step engine.
    """
    by_particles = options.get("method") == "particles"
    chosen = read_options(**{**options, "method": "engine"} if by_particles else options)
    model.check(levels)
    known = _expanded(known, levels)
    if condition is None:
        condition = _of_known(model, levels, known)
    if by_particles:
        if chosen.truncation != PLAIN:
            raise ValueError("temperature, top_k and top_p must be left out with particles")
        found = complete_by_particles(
            model, levels, known, count=particles, rng=rng, condition=condition
        )
        return found.draw(rng)
    check_room(len(levels), model.shape)
    uniforms = draw_uniforms(len(levels), model.shape, rng)
    return fill(model, Request(levels, known, uniforms, condition), chosen, on_row)


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
