"""Completion: keep the known sub-pixels, draw the others.

In scan order a missing pixel is drawn given what comes before it. Pixels known *after* it are
kept, but cannot inform it: the top of a digit shapes its bottom, not the other way round. Unless
they are drawn by particles (`nextpixel.sampling.particles`), which take in all that is known.
"""

from typing import Unpack

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.sampling.draw import Request, check_room, draw_uniforms, fill
from nextpixel.sampling.known import condition_of_known, expanded
from nextpixel.sampling.options import BY_PARTICLES, SamplingKeywords, read_options
from nextpixel.sampling.particles import complete_by_particles


def complete(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    *,
    rng: torch.Generator | None = None,
    condition: Value | None = None,
    on_row: OnRow | None = None,
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
        on_row: See `sample`; never called by particles.
        **options: See `sample`. With `method="particles"` known pixels also inform missing ones
            before them: of each image `particles` completions are drawn together, and one is taken;
            the more, the nearer to p(missing | known).

    Returns:
        Levels, `images.level_dtype(K)`, shape (B, C, H, W), equal to `levels` where `known`.

    Raises:
        TypeError: If `levels` are no integers, `known` is not boolean, or there is no such option.
        ValueError: If shapes or ranges are not the model's, or an option is invalid.
        NextPixelError: If particles cannot be computed: they need the compiled step engine.
    """
    chosen = read_options(**options)
    model.check(levels)
    known = expanded(known, levels)
    if condition is None:
        condition = condition_of_known(model, levels, known)
    if chosen.method == BY_PARTICLES:
        found = complete_by_particles(
            model, levels, known, count=chosen.particles, rng=rng, condition=condition
        )
        return found.draw(rng)
    check_room(len(levels), model.shape)
    uniforms = draw_uniforms(len(levels), model.shape, rng)
    return fill(model, Request(levels, known, uniforms, condition), chosen, on_row)
