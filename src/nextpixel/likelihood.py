"""Exact likelihoods of whole sets: nats per image, bits per dimension, and how sure they are.

Every image counts once, whatever the batches are; nothing is dropped. The model is evaluated in
evaluation mode, and the protocol that made the levels is part of the result, since figures of
different protocols cannot be compared.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nextpixel.data import Split
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.runtime.distributed import Processes
from nextpixel.runtime.threads import Threads

_PIECE = 16 * 2**20  # sub-pixels of images that are read as needed, at a time


@dataclass(frozen=True)
class Region:
    """Likelihood of some sub-pixels of each image, each given all before it.

    It is their share of the image's likelihood by the chain rule. It is not the probability of that
    part alone: what lies before it, inside or outside, is taken as it is.

    Attributes:
        nats: Mean over images.
        standard_error: Of `nats`.
        bits_per_dim: `nats` / (ln 2 x sub-pixels).
        sub_pixels: How many.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    sub_pixels: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"the region given its past: {self.nats:.2f} +- {self.standard_error:.2f} nats per "
            f"image, {self.bits_per_dim:.4f} bits/dim ({self.sub_pixels:,} sub-pixels)"
        )


@dataclass(frozen=True)
class Difference:
    """How much better one model codes images than another, image by image.

    Attributes:
        nats: Mean of what the first takes less what the second takes; below 0 the first is better.
        standard_error: Of `nats`, from the spread of the differences.
        bits_per_dim: `nats` / (ln 2 x sub-pixels).
        n: Images.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"difference {self.nats:+.2f} +- {self.standard_error:.2f} nats per image, "
            f"{self.bits_per_dim:+.4f} bits/dim ({self.n:,} images)"
        )


@dataclass(frozen=True)
class Evaluation:
    """Likelihood of a set of images.

    Attributes:
        nats: Mean negative log-probability of an image.
        standard_error: Of `nats`, from the spread over images; NaN for a single image.
        bits_per_dim: `nats` / (ln 2 x sub-pixels).
        n: Images.
        protocol: How the levels were made ("threshold", "dynamic", "quantized", "levels").
        data: Name of the set.
        conditioned_on: What the model was conditioned on besides the past; in JSON "given".
        bits_error: Standard error of `bits_per_dim`.
        by_color: Bits/dim of each color given those before it.
        region: Likelihood of a part of each image given its past; None: none was asked for.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int
    protocol: str
    data: str
    conditioned_on: str = "nothing"
    bits_error: float = math.nan
    by_color: tuple[float, ...] = ()
    region: "Region | None" = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON; NaN becomes None."""
        values = asdict(self)
        values["given"] = values.pop("conditioned_on")
        return {name: None if value != value else value for name, value in values.items()}

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.nats:.2f} +- {self.standard_error:.2f} nats per image, "
            f"{self.bits_per_dim:.4f} bits/dim "
            f"({self.n:,} images of {self.data}, protocol {self.protocol}"
            + (f", given {self.conditioned_on})" if self.conditioned_on != "nothing" else ")")
        )


def evaluate(
    model: PixelModel,
    images: Split | Tensor,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
    region: Tensor | None = None,
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
        on_progress: Called with the number of images done so far.

    Returns:
        The figures.

    Raises:
        TypeError: If the levels are no integers.
        ValueError: If there are no images, they or the region do not fit the model, `batch_size` is
            below 1, or processes differ in model or images.
    """
    masks = part_masks(model, region)
    parts = -part_log_probs(
        model, images, condition, masks, batch_size=batch_size, on_progress=on_progress
    )
    colors = parts[:, : model.colors]
    nats, error = mean_and_error(colors.sum(1))
    unit = 1 / (math.log(2) * math.prod(model.shape))
    return Evaluation(
        nats=nats,
        standard_error=error,
        bits_per_dim=nats * unit,
        bits_error=error * unit,
        by_color=tuple((colors.mean(0) * unit * model.colors).tolist()),
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
    on_progress: Callable[[int], None] | None,
) -> Tensor:
    """As `log_probs`, of parts (parts, C, H, W) of every image given their past: (N, parts)."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if isinstance(images, Split) and not images.in_memory and condition is None and len(images):
        return _by_pieces(model, images, masks, batch_size, on_progress)
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
        log_p = model(part, take(condition, batch, device)).log_prob(part)
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


def _condition_for(model: PixelModel, levels: Tensor, images: Split | Tensor) -> Value | None:
    return model.condition_of(levels, images.labels if isinstance(images, Split) else None)


def _by_pieces(
    model: PixelModel,
    images: Split,
    masks: Tensor,
    batch_size: int,
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
            part_log_probs(model, levels, condition, masks, batch_size=batch_size, on_progress=tell)
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
