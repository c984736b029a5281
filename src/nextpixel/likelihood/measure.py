"""Figures of whole sets: of one model, of one against another, and of every sub-pixel."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.data import Split
from nextpixel.errors import check_count
from nextpixel.evaluation import Difference, Evaluation, Region
from nextpixel.images import Mask, to_mask
from nextpixel.likelihood.scoring import (
    check_images,
    condition_for,
    evaluation_mode,
    levels_for,
    read_orders,
)
from nextpixel.likelihood.sizes import (
    Group,
    Images,
    groups_of,
    log_probs,
    log_probs_by_color,
    sub_pixels_of,
    tile_of,
)
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.models.sizes import fitting, log_prob_map
from nextpixel.nn import Order, Value, take


def evaluate(
    model: PixelModel,
    images: Images,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
    region: Mask | None = None,
    order: Order = None,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure the exact likelihood of images, of any sizes.

    A model that is not tied to its size (`models.at_size`) scores each image as a whole. One that
    is tied scores tiles of its own size, as an archive does: tiles do not see each other, and what
    of a tile lies outside of an image costs nothing. Bits/dim are the bits of all images by their
    sub-pixels.

    Where torch's default process group is set up, its processes share the images: all call this
    alike, and all get the figures of one process, to the bit.

    Args:
        model: The model; its mode is restored afterwards.
        images: A part of a data set, levels of shape (N, C, H, W), or a list of levels (C, H, W)
            of each image, which may differ in size.
        condition: A condition for each image. None: what `model.condition_of` makes, which is the
            labels for a class-conditional model.
        batch_size: Images a pass.
        region: A part of the images to measure besides, boolean, (H, W) or (C, H, W); of images
            of one size that are scored as a whole.
        order: In which pixels are visited, of a model of several orders; None: its own. "all": the
            mixture of its orders, p(x) = mean over orders of p(x | order), a proper distribution.
        on_progress: Called with the number of images done so far, in each order.

    Returns:
        The figures.

    Raises:
        TypeError: If the levels are no integers.
        ValueError: If there are no images, they or the region do not fit the model, `batch_size` is
            below 1, or processes differ in model or images.
        NextPixelError: If an image is too large for a net that needs all of it at a time.
    """
    region = None if region is None else to_mask(region, "region")
    groups, orders = groups_of(model, images), read_orders(model, order)
    tiles = tile_of(model, groups)
    if region is not None and (len(orders) > 1 or len(groups) > 1 or tiles):
        what = "order='all': a mixture" if len(orders) > 1 else "several sizes or tiles: such a set"
        raise ValueError(f"region must be left out with {what} has no parts")
    found = [
        -log_probs_by_color(
            model, groups, condition,
            region=region, order=one, batch_size=batch_size, on_progress=on_progress,
        )
        for one in orders
    ]  # fmt: skip
    parts, several, sub_pixels = found[0], len(found) > 1, sub_pixels_of(groups)
    colors = parts[:, : model.colors]
    every = torch.stack([one[:, : model.colors].sum(1) for one in found])
    each = math.log(len(every)) - (-every).logsumexp(0)
    nats, error = mean_and_error(each)
    mean = sub_pixels.mean().item()
    unit = 1 / (math.log(2) * mean)
    # Of a ratio of two means: what is left of an image's nats once its size has its share.
    _, spread = mean_and_error(each - nats / mean * (sub_pixels - mean))
    return Evaluation(
        nats=nats,
        standard_error=error,
        bits_per_dim=nats * unit,
        bits_error=spread * unit,
        by_color=() if several else tuple((colors.mean(0) * unit * model.colors).tolist()),
        orders=len(found),
        region=None if region is None else _region(parts[:, -1], _size_of(region, groups[0])),
        n=len(parts),
        protocol=images.protocol if isinstance(images, Split) else "levels",
        data=images.name if isinstance(images, Split) else "levels given",
        conditioned_on=model.condition_in_words,
        sizes=len(groups),
        tiles=tiles,
    )


def _size_of(region: Tensor, group: Group) -> int:
    """Sub-pixels of a region of images."""
    return int(region.expand(group.shape).sum())


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean of values (n,), and its standard error; NaN for a single one."""
    n = len(values)
    return values.mean().item(), values.std().item() / math.sqrt(n) if n > 1 else math.nan


def _region(nats: Tensor, count: int) -> Region:
    mean, error = mean_and_error(nats)
    return Region(mean, error, mean / (math.log(2) * count), count)


def compare(
    first: PixelModel,
    second: PixelModel,
    images: Images,
    *,
    batch_size: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> Difference:
    """Measure how much better one model codes the same images than another, image by image.

    The difference of two means has the error of both; that of paired images is much smaller, as
    images that are hard for one model are hard for the other.

    Args:
        first: A model.
        second: Another, of images of the same shape and levels.
        images: As in `evaluate`.
        batch_size: Images a pass.
        on_progress: Called with the number of images done so far, by each model in turn.

    Raises:
        ValueError: If the models are not of the same images, and as `evaluate` does.
    """
    check_model(first)
    check_model(second)
    if (first.shape, first.levels) != (second.shape, second.levels):
        raise ValueError(
            f"both models must be of the same images, got {first.shape} of {first.levels} levels "
            f"and {second.shape} of {second.levels}"
        )
    groups = groups_of(first, images)
    if tile_of(first, groups) != tile_of(second, groups):
        raise ValueError(
            "both models must score images of another size alike, got one that is tied to its own "
            "and would score tiles; measure each by itself"
        )
    one, other = (
        -log_probs(model, images, batch_size=batch_size, on_progress=on_progress)
        for model in (first, second)
    )
    nats, error = mean_and_error(one - other)
    per_dim = nats / (math.log(2) * sub_pixels_of(groups).mean().item())
    return Difference(nats, error, per_dim, len(one))


def surprise_map(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
) -> Tensor:
    """Bits of every sub-pixel given its past, float32, (N, C, H, W); errors as in `evaluate`."""
    check_model(model)
    check_images(images)
    check_count("batch_size", batch_size)
    if isinstance(images, Tensor | Split):
        model = fitting(model, images.shape[-3:])
    levels = levels_for(model, images)
    condition = condition_for(model, levels, images) if condition is None else condition
    device, parts = next(model.parameters()).device, []
    with evaluation_mode(model), torch.inference_mode():
        for first in range(0, len(levels), batch_size):
            batch = slice(first, first + batch_size)
            part = levels[batch].to(device)
            log_p = log_prob_map(model, part, take(condition, batch, device))
            parts.append((-log_p / math.log(2)).float().cpu())
    return torch.cat(parts)
