"""Log-probabilities of images of one size, batch by batch, shared by all processes."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nextpixel.data import Split
from nextpixel.errors import check_count, check_kind
from nextpixel.images import Mask, to_mask
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.models.sizes import log_prob_map
from nextpixel.nn import Order, Value, take
from nextpixel.runtime.distributed import Processes
from nextpixel.runtime.threads import Threads

_PIECE = 16 * 2**20  # sub-pixels of images that are read as needed, at a time


def check_images(images: object) -> None:
    """Refuse what are no images to measure.

    Raises:
        TypeError: With what would do.
    """
    if isinstance(images, list | tuple) and all(isinstance(image, Tensor) for image in images):
        return
    such = "data.test of a data set, or torch.from_numpy(levels) of an array, would do"
    check_kind("images", images, Split | Tensor, f"a part of a data set or a tensor; {such}")


def part_masks(model: PixelModel, region: Mask | None = None) -> Tensor:
    """Which sub-pixels belong to each color, and to a region, boolean, (parts, C, H, W).

    Raises:
        TypeError: If the region is not boolean.
        ValueError: If it has another shape than images, or no sub-pixel.
    """
    colors, height, width = model.shape
    masks = torch.eye(colors, dtype=torch.bool)[:, :, None, None].expand(-1, -1, height, width)
    if region is None:
        return masks
    region = to_mask(region, "region")
    if tuple(region.shape) not in ((height, width), model.shape):
        raise ValueError(
            f"region must have shape {(height, width)} or {model.shape}, got {tuple(region.shape)}"
        )
    if not region.any():
        raise ValueError("region must hold at least one sub-pixel, got none")
    return torch.cat([masks, region.expand(1, *model.shape)])


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
    """Log-probability of parts of every image given their past, nats, float64, (N, parts).

    Of P processes, that of rank r takes the batches r, r + P, ... of those that one process would
    make, so that the bits are the same.

    Args:
        model: The model; the images have its size.
        images: A part of a data set, or levels (N, C, H, W).
        condition: A condition for each; None: what `model.condition_of` makes.
        masks: Which sub-pixels belong to each part, boolean, (parts, C, H, W).
        batch_size: Images a pass.
        order: One as the model takes it; None: its own.
        on_progress: Called with the number of images done so far.

    Raises:
        TypeError: If the levels are no integers.
        ValueError: As `evaluate` does.
    """
    check_model(model)
    check_images(images)
    check_count("batch_size", batch_size)
    if isinstance(images, Split) and not images.in_memory and condition is None and len(images):
        return _by_pieces(model, images, masks, batch_size, order, on_progress)
    levels = levels_for(model, images)
    condition = condition_for(model, levels, images) if condition is None else condition
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
        return log_prob_map(model, levels, condition)
    each = order.to(levels.device).expand(len(levels), *order.shape)
    turned, condition = model.in_order(levels, condition, each)
    log_p = log_prob_map(model, turned, condition)
    return model.conditioner.order.turn(log_p, each, back=True)


def condition_for(model: PixelModel, levels: Tensor, images: Split | Tensor) -> Value | None:
    """The condition that the model makes of images, and their labels if they have some."""
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
    check_level_count(model, images)
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


def check_level_count(model: PixelModel, images: object) -> None:
    """Refuse a part of a data set of another number of levels than the model has."""
    if isinstance(images, Split) and images.level_count != model.levels:
        raise ValueError(
            f"images must have the model's {model.levels} levels, got {images.name} with "
            f"{images.level_count}"
        )


def levels_for(model: PixelModel, images: Split | Tensor) -> Tensor:
    """Levels of at least one image, checked."""
    check_level_count(model, images)
    if not len(images):
        raise ValueError("images must hold at least one image, got none")
    model.check_weights()
    levels = images.levels if isinstance(images, Split) else images
    model.check(levels)
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
