"""Exact likelihoods of whole sets: nats per image, bits per dimension, and how sure they are.

Every image counts once, whatever the batches are; nothing is dropped. The model is evaluated in
evaluation mode, and the protocol that made the levels is part of the result, since figures of
different protocols cannot be compared.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nextpixel.data import Split
from nextpixel.evaluation import Difference, Evaluation, Region
from nextpixel.models import PixelModel
from nextpixel.nn import Order, Value, take
from nextpixel.runtime.distributed import Processes
from nextpixel.runtime.threads import Threads

_PIECE = 16 * 2**20  # sub-pixels of images that are read as needed, at a time


def evaluate(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
    region: Tensor | None = None,
    order: Order = None,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure the exact likelihood of images.

    Where torch's default process group is set up, its processes share the images: all call this
    alike, and all get the figures of one process, to the bit.

    Args:
        model: The model; its mode is restored afterwards.
        images: A part of a data set, or levels of shape (N, C, H, W).
        condition: A condition for each image. None: what `model.condition_of` makes, which is the
            labels for a class-conditional model.
        batch_size: Images a pass.
        region: A part of the images to measure besides, boolean, (H, W) or (C, H, W).
        order: In which pixels are visited, of a model of several orders; None: its own. "all": the
            mixture of its orders, p(x) = mean over orders of p(x | order), a proper distribution.
        on_progress: Called with the number of images done so far, in each order.

    Returns:
        The figures.

    Raises:
        TypeError: If the levels are no integers.
        ValueError: If there are no images, they or the region do not fit the model, `batch_size` is
            below 1, or processes differ in model or images.
    """
    masks = part_masks(model, region)
    orders = read_orders(model, order)
    if len(orders) > 1 and region is not None:
        raise ValueError("region must be left out with order='all': a mixture has no parts")
    found = [
        -part_log_probs(
            model, images, condition, masks,
            order=one, batch_size=batch_size, on_progress=on_progress,
        )
        for one in orders
    ]  # fmt: skip
    parts, several = found[0], len(found) > 1
    colors = parts[:, : model.colors]
    every = torch.stack([one[:, : model.colors].sum(1) for one in found])
    nats, error = mean_and_error(math.log(len(every)) - (-every).logsumexp(0))
    unit = 1 / (math.log(2) * math.prod(model.shape))
    return Evaluation(
        nats=nats,
        standard_error=error,
        bits_per_dim=nats * unit,
        bits_error=error * unit,
        by_color=() if several else tuple((colors.mean(0) * unit * model.colors).tolist()),
        orders=len(found),
        region=None if region is None else _region(parts[:, -1], masks[-1]),
        n=len(parts),
        protocol=images.protocol if isinstance(images, Split) else "levels",
        data=images.name if isinstance(images, Split) else "levels given",
        conditioned_on=model.condition_in_words,
    )


def part_masks(model: PixelModel, region: Tensor | None = None) -> Tensor:
    """Which sub-pixels belong to each color, and to a region, boolean, (parts, C, H, W).

    Raises:
        TypeError: If the region is not boolean.
        ValueError: If it has another shape than images, or no sub-pixel.
    """
    colors, height, width = model.shape
    masks = torch.eye(colors, dtype=torch.bool)[:, :, None, None].expand(-1, -1, height, width)
    if region is None:
        return masks
    if not isinstance(region, Tensor) or region.dtype != torch.bool:
        raise TypeError(f"region must be a boolean tensor, got {getattr(region, 'dtype', region)}")
    if tuple(region.shape) not in ((height, width), model.shape):
        raise ValueError(
            f"region must have shape {(height, width)} or {model.shape}, got {tuple(region.shape)}"
        )
    if not region.any():
        raise ValueError("region must hold at least one sub-pixel, got none")
    return torch.cat([masks, region.expand(1, *model.shape)])


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean of values (n,), and its standard error; NaN for a single one."""
    n = len(values)
    return values.mean().item(), values.std().item() / math.sqrt(n) if n > 1 else math.nan


def _region(nats: Tensor, mask: Tensor) -> Region:
    mean, error = mean_and_error(nats)
    count = int(mask.sum())
    return Region(mean, error, mean / (math.log(2) * count), count)


def compare(
    first: PixelModel,
    second: PixelModel,
    images: Split | Tensor,
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
        images: A part of a data set, or levels of shape (N, C, H, W).
        batch_size: Images a pass.
        on_progress: Called with the number of images done so far, by each model in turn.

    Raises:
        ValueError: If the models are not of the same images, and as `evaluate` does.
    """
    if (first.shape, first.levels) != (second.shape, second.levels):
        raise ValueError(
            f"both models must be of the same images, got {first.shape} of {first.levels} levels "
            f"and {second.shape} of {second.levels}"
        )
    one, other = (
        -log_probs(model, images, batch_size=batch_size, on_progress=on_progress)
        for model in (first, second)
    )
    nats, error = mean_and_error(one - other)
    return Difference(nats, error, nats / (math.log(2) * math.prod(first.shape)), len(one))


def surprise_map(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
) -> Tensor:
    """Bits of every sub-pixel given its past, float32, (N, C, H, W); errors as in `evaluate`."""
    levels = _levels_for(model, images)
    condition = _condition_for(model, levels, images) if condition is None else condition
    device, parts = next(model.parameters()).device, []
    with evaluation_mode(model), torch.inference_mode():
        for first in range(0, len(levels), batch_size):
            batch = slice(first, first + batch_size)
            part = levels[batch].to(device)
            log_p = model(part, take(condition, batch, device)).log_prob(part)
            parts.append((-log_p / math.log(2)).float().cpu())
    return torch.cat(parts)


def log_probs(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Log-probability of every image in nats, float64, shape (N,); errors as in `evaluate`.

    Of P processes, that of rank r takes the batches r, r + P, ... of those that one process would
    make, so that the bits are the same.
    """
    parts = part_log_probs(
        model, images, condition, part_masks(model), batch_size=batch_size, on_progress=on_progress
    )
    return parts.sum(1)


def part_log_probs(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None,
    masks: Tensor,
    *,
    batch_size: int,
    order: Tensor | None = None,
    on_progress: Callable[[int], None] | None,
) -> Tensor:
    """As `log_probs`, of parts (parts, C, H, W) of every image given their past: (N, parts).

    `order` is one as the model takes it; None: its own.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if isinstance(images, Split) and not images.in_memory and condition is None and len(images):
        return _by_pieces(model, images, masks, batch_size, order, on_progress)
    levels = _levels_for(model, images)
    condition = _condition_for(model, levels, images) if condition is None else condition
    processes = Processes.current()
    processes.check_equal({"model": model, "images": levels, "condition": condition})
    device = next(model.parameters()).device
    own = range(0, len(levels), batch_size)[processes.rank :: processes.world_size]
    masks = masks.to(device)

    @torch.inference_mode()
    def score(first: int) -> Tensor:
        batch = slice(first, first + batch_size)
        part = levels[batch].to(device)
        log_p = _log_prob_in_order(model, part, take(condition, batch, device), order)
        sums = [log_p.where(mask, log_p.new_zeros(())).flatten(1).sum(1) for mask in masks]
        return torch.stack(sums, 1).double().cpu()

    def score_own() -> Tensor:
        found = torch.zeros(len(levels), len(masks), dtype=torch.float64)
        threads = Threads(1 if device.type == "cuda" else None)
        with evaluation_mode(model):
            for first, part in zip(own, threads.map(score, own), strict=True):
                done = first + len(part)
                found[first:done] = part
                if on_progress is not None:
                    on_progress(done)
        return found

    return processes.all_reduce(processes.each(score_own))


def read_orders(model: PixelModel, order: Order) -> list[Tensor | None]:
    """Orders as the model takes them: one, or for "all" every one that it was trained for.

    None stands for the model's own.

    Raises:
        ValueError: If the model has no such order.
    """
    orders = model.conditioner.order
    if isinstance(order, str) and order == "all" and orders is not None:
        return [*orders.every()]
    return [None if order is None else model.read_order(order)]


def _log_prob_in_order(
    model: PixelModel, levels: Tensor, condition: Value | None, order: Tensor | None
) -> Tensor:
    """Log-probabilities of the sub-pixels of images (B, C, H, W), as these lie."""
    if order is None or model.conditioner.order is None:
        return _log_prob(model, levels, condition)
    each = order.to(levels.device).expand(len(levels), *order.shape)
    turned, condition = model.in_order(levels, condition, each)
    log_p = _log_prob(model, turned, condition)
    return model.conditioner.order.turn(log_p, each, back=True)


def _log_prob(model: PixelModel, levels: Tensor, condition: Value | None) -> Tensor:
    log_p: Tensor = model(levels, condition).log_prob(levels)
    return log_p


def _condition_for(model: PixelModel, levels: Tensor, images: Split | Tensor) -> Value | None:
    return model.condition_of(levels, images.labels if isinstance(images, Split) else None)


def _by_pieces(
    model: PixelModel,
    images: Split,
    masks: Tensor,
    batch_size: int,
    order: Tensor | None,
    on_progress: Callable[[int], None] | None,
) -> Tensor:
    """Of images that do not lie in memory: the batches are those of all at once."""
    _check_count(model, images)
    size = batch_size * max(1, _PIECE // (batch_size * math.prod(images.shape)))
    parts: list[Tensor] = []
    pieces, processes = images.pieces(size), Processes.current()
    while (levels := processes.each(lambda: next(pieces, None))) is not None:
        done = sum(map(len, parts))
        labels = None if images.labels is None else images.labels[done : done + len(levels)]
        condition = model.condition_of(levels, labels)
        tell = None if on_progress is None else _counted_from(done, on_progress)
        parts.append(
            part_log_probs(
                model,
                levels,
                condition,
                masks,
                batch_size=batch_size,
                order=order,
                on_progress=tell,
            )
        )
    return torch.cat(parts)


def _counted_from(done: int, on_progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda count: on_progress(done + count)


def _check_count(model: PixelModel, images: Split | Tensor) -> None:
    if isinstance(images, Split) and images.level_count != model.levels:
        raise ValueError(
            f"images must have the model's {model.levels} levels, got {images.name} with "
            f"{images.level_count}"
        )


def _levels_for(model: PixelModel, images: Split | Tensor) -> Tensor:
    _check_count(model, images)
    model.check_weights()
    levels = images.levels if isinstance(images, Split) else images
    model.check(levels)
    if len(levels) == 0:
        raise ValueError("images must hold at least one image, got none")
    return levels


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode for a while; each of its layers gets its own mode back.

    Convolutions on CUDA are computed in full float32 meanwhile, not in TF32, torch's default.
    """
    training = [module for module in model.modules() if module.training]
    short = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    for module in training:
        module.training = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = short
        for module in training:
            module.training = True
