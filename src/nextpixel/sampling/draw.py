"""Drawing images from a model, exactly: each sub-pixel from its distribution given its past."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple, Unpack

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.engine.cpu import executor, mixture
from nextpixel.engine.torch_engine import TorchEngine
from nextpixel.errors import check_count
from nextpixel.heads.truncation import Truncation
from nextpixel.images import level_dtype
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import Mixture, PixelModel, at_size
from nextpixel.models.base import check_model
from nextpixel.nn import Embedding, Value
from nextpixel.order import Shape, Step, from_sequence
from nextpixel.runtime.device import check_rng, require
from nextpixel.runtime.distributed import Processes
from nextpixel.sampling.options import BY_PARTICLES, SamplingKeywords, SamplingOptions, read_options
from nextpixel.sampling.orders import draw_in_orders, orders_for
from nextpixel.sampling.request import Request
from nextpixel.sampling.scan import Choose, Predict, Recompute, scan


class Batch(NamedTuple):
    """Images that are drawn together.

    Attributes:
        levels: Shape (B, C, H, W), any level where not `known`.
        known: Boolean, of that shape.
        uniforms: In [0, 1), float64, of that shape.
        embedding: Conditions of each.
    """

    levels: Tensor
    known: Tensor
    uniforms: Tensor
    embedding: Embedding


Filler = Callable[[Batch], Tensor]


def sample(
    model: PixelModel,
    count: int = 1,
    *,
    rng: torch.Generator | None = None,
    condition: Value | None = None,
    size: tuple[int, int] | None = None,
    on_row: OnRow | None = None,
    **options: Unpack[SamplingKeywords],
) -> Tensor:
    """Draw images.

    Image i depends on the i-th row of uniforms of `rng` only, not on how many are drawn at once.
    Where torch's default process group is set up, its processes share the images: all call this
    alike, with equal `rng`, and all get every image.

    Args:
        model: The model; its mode is restored afterwards.
        count: How many.
        rng: Source of the uniforms, on the CPU; None: torch's global generator.
        condition: What the model is conditioned on, one entry an image.
        size: Height and width of the images, as `models.at_size` makes them; None: the model's own.
        on_row: Called with the number of rows done and the levels so far (of the images at hand).
        **options: `temperature`, `top_k`, `top_p`, `method`, `batch_size` and `order`, the fields
            of `nextpixel.sampling.SamplingOptions`.

    Returns:
        Levels, `images.level_dtype(K)`, shape (count, C, H, W).

    Raises:
        TypeError: If there is no such option, or a value is of another type.
        ValueError: If `count` or an option is invalid, or the model is tied to another size.

    Example:
        >>> from nextpixel import models
        >>> model = models.build("pixelcnn", shape=(1, 4, 4), levels=2, features=4, layers=1)
        >>> sample(model, 3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 1, 4, 4])
    """
    check_model(model)
    chosen = read_options(**options)
    if chosen.method == BY_PARTICLES:
        raise ValueError("method must be engine or recompute to sample: particles complete images")
    check_count("count", count)
    model = model if size is None else at_size(model, *size)
    check_room(count, model.shape)
    uniforms = draw_uniforms(count, model.shape, rng)
    start = torch.zeros(count, *model.shape, dtype=torch.int64)
    known = torch.zeros(count, *model.shape, dtype=torch.bool)
    orders = orders_for(model, chosen.order, known)
    request = Request(start, known, uniforms, condition)
    return draw_in_orders(
        model, request, orders, lambda turned, tell: fill(model, turned, chosen, tell), on_row
    )


def check_room(count: int, shape: Shape) -> None:
    """Refuse more images than fit in memory, at 40 bytes a sub-pixel (uniforms, levels, known).

    Raises:
        NextPixelError: With the estimate.
    """
    what = f"{count} images of {shape[1]}x{shape[2]}"
    require(40 * count * math.prod(shape), what, "draw fewer, or smaller ones")


def draw_uniforms(count: int, shape: Shape, rng: torch.Generator | None) -> Tensor:
    """One uniform in [0, 1) for every sub-pixel, float64, shape (count, C, H, W).

    They are drawn image by image, in scan order.
    """
    check_rng(rng)
    sequence = torch.rand(count, math.prod(shape), generator=rng, dtype=torch.float64)
    return from_sequence(sequence, shape)


def fill(
    model: PixelModel, request: Request, options: SamplingOptions, on_row: OnRow | None
) -> Tensor:
    """Keep levels where known, draw the rest by the uniforms.

    Of several processes each draws a share of the images, and gets those of the others.

    Returns:
        Levels, `images.level_dtype(K)`, shape (B, C, H, W).

    Raises:
        ValueError: If processes differ in model or images.
    """
    model.check_weights()
    levels, known, uniforms, condition = request
    processes = Processes.current()
    if processes.world_size > 1:
        images = {"levels": levels.masked_fill(~known, 0), "known": known, "rng": uniforms}
        processes.check_equal({"model": model, "condition": condition, **images})
    own = processes.share(len(levels))

    def draw_own() -> Tensor:
        kept = level_dtype(model.levels)
        drawn = torch.zeros(levels.shape, dtype=kept)
        filler = _filler(model, options, on_row)
        with evaluation_mode(model), torch.inference_mode():
            embedding = model.condition(condition, len(levels))
            for part in _parts(own, options.batch_size):
                batch = Batch(levels[part], known[part], uniforms[part], embedding.part(part))
                drawn[part] = filler(batch).to("cpu", kept)
        return drawn

    return processes.all_reduce(processes.each(draw_own))


def _filler(model: PixelModel, options: SamplingOptions, on_row: OnRow | None) -> Filler:
    """What fills a batch of images."""
    how = options.truncation
    if isinstance(model, Mixture) and options.method != "recompute" and _is_carried_out(model):
        return lambda batch: mixture.fill(model, *batch, truncation=how, on_row=on_row)[0]
    if options.method == "recompute" or isinstance(model, Mixture) or not _has_program(model):
        return lambda batch: _recompute(model, batch, how, on_row)
    if _on_cpu(model) and _is_compiled(model):
        return lambda batch: executor.fill(model, *batch, truncation=how, on_row=on_row)[0]
    if model.any_order:
        warnings.warn(
            f"the step engine is not used: {model.name} visits pixels in any order by compiled "
            "steps on the CPU only; each pixel costs a forward pass",
            stacklevel=5,
        )
        return lambda batch: _recompute(model, batch, how, on_row)
    engine = TorchEngine(model, truncation=how)  # batches share what it records
    return lambda batch: engine.fill(*batch, on_row=on_row)[0]


def _on_cpu(model: PixelModel) -> bool:
    return next(model.parameters()).device.type == "cpu"


def _is_carried_out(model: Mixture) -> bool:
    """Whether the compiled engine can carry out a mixture; if not, a warning says why."""
    lacking = mixture.lack(model) if _on_cpu(model) else "mixtures have compiled steps on CPUs only"
    if lacking:
        warnings.warn(
            f"the step engine is not used: {lacking}; each pixel costs a forward pass",
            stacklevel=6,
        )
    return lacking is None


def _has_program(model: PixelModel) -> bool:
    found = type(model).lower is not PixelModel.lower
    if not found:
        warnings.warn(
            f"the step engine is not used: {model.name} has no program; each pixel costs a forward "
            "pass",
            stacklevel=6,
        )
    return found


def _is_compiled(model: PixelModel) -> bool:
    lacking = executor.lack(model)
    if lacking:
        warnings.warn(f"the step engine runs by torch, which is slower: {lacking}", stacklevel=6)
    return lacking is None


def _recompute(
    model: PixelModel, batch: Batch, truncation: Truncation, on_row: OnRow | None
) -> Tensor:
    device = next(model.parameters()).device
    state = Recompute(model, batch.levels.to(device), batch.embedding)
    known, uniforms = batch.known.to(device), batch.uniforms.to(device)
    indices = batch.embedding.parts[-1][0, 0].cpu() if model.any_order else None
    return scan(state, _chooser(state.levels, known, uniforms, truncation), on_row, indices)


def _parts(images: slice, size: int) -> Iterator[slice]:
    first, end = images.start, images.stop
    return (slice(at, min(at + size, end)) for at in range(first, end, size))


def _chooser(levels: Tensor, known: Tensor, uniforms: Tensor, truncation: Truncation) -> Choose:
    embedding = levels.clone()
    needed = (~known).any(0)

    def choose(step: Step, predict: Predict) -> Tensor:
        row, column, color = step
        here = (slice(None), color, row, column)
        if not needed[color, row, column]:
            return embedding[here]
        drawn = predict().icdf(uniforms[here], truncation)
        return torch.where(known[here], embedding[here], drawn)

    return choose
