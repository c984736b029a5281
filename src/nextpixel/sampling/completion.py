"""Completion: keep the known sub-pixels, draw the others.

In scan order a missing pixel is drawn given what comes before it. Pixels known *after* it are
kept, but cannot inform it: in the raster order the top of a digit shapes its bottom, not the other
way round. A model of several orders takes the one in which most known pixels come first; a model of
any order visits all that is known first, and draws from p(missing | known). With one order only,
particles (`nextpixel.sampling.particles`) take in all that is known.
"""

import warnings
from typing import Unpack

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.images import Mask
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.models.sizes import fitting
from nextpixel.nn import Value
from nextpixel.sampling.draw import check_room, draw_uniforms, fill
from nextpixel.sampling.known import condition_of_known, expanded, shapes_all
from nextpixel.sampling.options import BY_PARTICLES, SamplingKeywords, read_options
from nextpixel.sampling.orders import draw_in_orders, orders_for
from nextpixel.sampling.particles import complete_by_particles
from nextpixel.sampling.request import Request

LATER = (
    "pixels that are known after missing ones in the scan are kept, but do not shape them; method "
    "particles takes them in, or a model of several orders"
)


def complete(
    model: PixelModel,
    levels: Tensor,
    known: Mask,
    *,
    rng: torch.Generator | None = None,
    condition: Value | None = None,
    on_row: OnRow | None = None,
    **options: Unpack[SamplingKeywords],
) -> Tensor:
    """Draw the unknown part of images; processes share them as in `sample`.

    Args:
        model: The model; its mode is restored afterwards.
        levels: Integers 0..K-1, shape (B, C, H, W), of any size that `models.at_size` makes.
            Unknown entries may hold any level.
        known: Boolean, of a shape that broadcasts to (B, C, H, W), such as (H, W); a tensor or a
            NumPy array.
        rng: Source of the uniforms, on the CPU; None: torch's global generator.
        condition: What the model is conditioned on, one entry an image. None, for an auto-encoder:
            the codes of the images with level 0 in place of what is unknown.
        on_row: See `sample`; never called by particles.
        **options: See `sample`. With `method="particles"` known pixels also inform missing ones
            before them: of each image `particles` completions are drawn together, and one is taken;
            the more, the nearer to p(missing | known). Without `order`, a model of several orders
            takes for each image the one in which most known pixels come before missing ones.

    Warns:
        UserWarning: If pixels are known after missing ones in the scan: these are kept, but do not
            shape the others.

    Returns:
        Levels, `images.level_dtype(K)`, shape (B, C, H, W), equal to `levels` where `known`.

    Raises:
        TypeError: If `levels` are no integers, `known` is not boolean, or there is no such option.
        ValueError: If shapes or ranges are not the model's, or an option is invalid.
        NextPixelError: If particles cannot be computed: they need the compiled step engine.
    """
    check_model(model)
    chosen = read_options(**options)
    model = fitting(model, getattr(levels, "shape", ())[1:])
    model.check(levels)
    known = expanded(known, levels)
    if condition is None:
        condition = condition_of_known(model, levels, known)
    orders = orders_for(model, chosen.order, known)
    check_room(len(levels), model.shape)
    by_particles = chosen.method == BY_PARTICLES
    if not by_particles and not shapes_all(model, known, orders):
        warnings.warn(LATER, stacklevel=2)
    uniforms = torch.zeros(1).expand(levels.shape)  # particles draw their own
    if not by_particles:
        uniforms = draw_uniforms(len(levels), model.shape, rng)

    def draw(turned: Request, tell: OnRow | None) -> Tensor:
        if not by_particles:
            return fill(model, turned, chosen, tell)
        return complete_by_particles(
            model, turned.levels, turned.known, count=chosen.particles, rng=rng,
            condition=turned.condition,
        ).draw(rng)  # fmt: skip

    request = Request(levels, known, uniforms, condition)
    return draw_in_orders(model, request, orders, draw, on_row)
