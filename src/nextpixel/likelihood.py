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
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int
    protocol: str
    data: str
    conditioned_on: str = "nothing"

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
        on_progress: Called with the number of images done so far.

    Returns:
        The figures.

    Raises:
        TypeError: If the levels are no integers.
        ValueError: If there are no images, they do not fit the model, `batch_size` is below 1, or
            processes differ in model or images.
    """
    surprise = -log_probs(model, images, condition, batch_size=batch_size, on_progress=on_progress)
    n, dimensions = len(surprise), math.prod(model.shape)
    nats = surprise.mean().item()
    return Evaluation(
        nats=nats,
        standard_error=surprise.std().item() / math.sqrt(n) if n > 1 else math.nan,
        bits_per_dim=nats / (math.log(2) * dimensions),
        n=n,
        protocol=images.protocol if isinstance(images, Split) else "levels",
        data=images.name if isinstance(images, Split) else "levels given",
        conditioned_on=model.condition_in_words,
    )


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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if isinstance(images, Split) and not images.in_memory and condition is None and len(images):
        return _by_pieces(model, images, batch_size, on_progress)
    levels = _levels_for(model, images)
    if condition is None:
        condition = model.condition_of(levels, images.labels if isinstance(images, Split) else None)
    processes = Processes.current()
    processes.check_equal({"model": model, "images": levels, "condition": condition})
    device = next(model.parameters()).device
    own = range(0, len(levels), batch_size)[processes.rank :: processes.world_size]

    @torch.inference_mode()
    def score(first: int) -> Tensor:
        batch = slice(first, first + batch_size)
        own = take(condition, batch, device)
        return model.log_prob(levels[batch].to(device), own).double().cpu()

    def score_own() -> Tensor:
        found = torch.zeros(len(levels), dtype=torch.float64)
        threads = Threads(1 if device.type == "cuda" else None)
        with evaluation_mode(model):
            for first, part in zip(own, threads.map(score, own), strict=True):
                done = first + len(part)
                found[first:done] = part
                if on_progress is not None:
                    on_progress(done)
        return found

    return processes.all_reduce(processes.each(score_own))


def _by_pieces(
    model: PixelModel,
    images: Split,
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
        parts.append(log_probs(model, levels, condition, batch_size=batch_size, on_progress=tell))
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
