"""One model for images of any size, unless something in it is a map of its own size.

A network of convolutions and recurrences does the same at every pixel, so that the weights say what
it predicts for images of any height and width. A learned map of positions, a condition that is a
map, or an order of the pixels by their numbers belong to one size: such a model is tied to it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nextpixel.models.autoencoder import PixelAutoencoder
from nextpixel.models.base import PixelModel
from nextpixel.models.mixtures import Mixture
from nextpixel.nn import Embedding, PositionMap, Value
from nextpixel.program import Program
from nextpixel.program.ops import Inject
from nextpixel.runtime.device import require

SLAB = 1 << 17
"""Pixels that go through a net at a time, where it does not reach over a whole image."""


def tied_by(model: PixelModel, program: Program | None = None) -> str | None:
    """What ties a model to images of its own size, in words; None: nothing does.

    Args:
        model: The model.
        program: Its program, where that is at hand.
    """
    if isinstance(model, Mixture):
        found = ((net.name, tied_by(net)) for net in model.nets)
        return next((f"has a {name} that {words}" for name, words in found if words), None)
    if program is None and type(model).lower is not PixelModel.lower:
        program = model.lower().pruned()
    if model.any_order or (program is not None and program.any_order):
        return "takes any order, by the numbers of its pixels"
    if any(isinstance(module, PositionMap) for module in model.modules()):
        return "adds a learned map of positions"
    if any(condition.form == "map" for condition in model.conditioner.conditions):
        return "has a condition that is a map"
    ops = [] if program is None else program.ops
    if any(isinstance(op, Inject) and isinstance(op.source, Tensor) for op in ops):
        return "reads where in the image a pixel is"
    return None


def at_size(model: PixelModel, height: int, width: int) -> PixelModel:
    """The same model for images of another size.

    It has the very weights of `model`, not copies: what changes one changes both. What it predicts
    is what a model built for that size does with these weights.

    Args:
        model: The model.
        height: Of the images.
        width: Of the images.

    Returns:
        A model of that size, in training or evaluation mode as `model` is; `model` itself if it has
        that size.

    Raises:
        ValueError: If the model is tied to its own size, or its kind has none of that size.

    Example:
        >>> from nextpixel import build
        >>> model = build("pixelcnn", shape=(1, 8, 8), levels=2, features=4, layers=1)
        >>> at_size(model, 5, 12).log_prob(torch.zeros(3, 1, 5, 12, dtype=torch.int64)).shape
        torch.Size([3])
    """
    if (height, width) == model.shape[1:]:
        return model
    if reason := tied_by(model):
        raise ValueError(_one_size(model, reason))
    with torch.random.fork_rng(devices=[]):
        made = type(model)((model.colors, height, width), model.levels, model.config)
    made.head = model.head
    _share_weights(model, made)
    return made


def _one_size(model: PixelModel, reason: str) -> str:
    _, height, width = model.shape
    return (
        f"images must be {height}x{width} for this {model.name}, which {reason}; nets without maps "
        "take any size, such as gated-pixelcnn with position=False"
    )


def _share_weights(model: PixelModel, made: PixelModel) -> None:
    """Give every module of `made` the weights and the mode of its twin in `model`.

    Raises:
        ValueError: Naming weights that have another shape, or that one of the two lacks.
    """
    expected, found = (_shapes(one) for one in (model, made))
    differing = sorted(set(expected.items()) ^ set(found.items()))
    if differing:
        raise ValueError(_one_size(model, f"has weights {differing[0][0]} of that size"))
    twins = dict(model.named_modules())
    for name, module in made.named_modules():
        module._parameters, module._buffers = twins[name]._parameters, twins[name]._buffers
        module.training = twins[name].training


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tuple(tensor.shape) for name, tensor in named}


def fitting(model: PixelModel, shape: Sequence[int]) -> PixelModel:
    """The model for images of a shape (C, H, W) if it takes that size, else itself.

    What fits in no size is left for `PixelModel.check` to refuse.

    Raises:
        ValueError: If its kind has none of that size.
    """
    other = len(shape) == 3 and shape[0] == model.colors and tuple(shape) != model.shape
    if not other or min(shape) < 1 or tied_by(model):
        return model
    return at_size(model, shape[1], shape[2])


def wrong_shape(model: PixelModel, shape: tuple[int, ...]) -> str:
    """What an error says of levels of a shape that is not (B, C, H, W): who takes them, if any."""
    expected = ", ".join(map(str, model.shape))
    text = f"levels must have shape (B, {expected}), got {shape}"
    if len(shape) != 4 or shape[1] != model.colors:
        return text
    if reason := tied_by(model):
        return f"{text}: this {model.name} {reason}"
    return f"{text}; npx.at_size(model, {shape[2]}, {shape[3]}) takes them"


def log_prob_map(model: PixelModel, levels: Tensor, condition: Value | None = None) -> Tensor:
    """Log-probability of every sub-pixel given its past, in memory that stays bounded.

    Images of more than `SLAB` pixels go through the net by slabs of rows, each with as many rows
    above it as the net reaches, so that the numbers are those of the whole.

    Args:
        model: The model.
        levels: Integers 0..K-1, shape (B, C, H, W).
        condition: As in `PixelModel.forward`.

    Returns:
        Nats, (B, C, H, W); errors as of `PixelModel.forward`.

    Raises:
        NextPixelError: If one pass over all rows is needed, and does not fit into memory.
    """
    model.check(levels)
    height, pixels = levels.shape[2], levels[:, :1].numel()
    rows = max(1, model.reach, SLAB * height // max(1, pixels))
    if rows + model.reach >= height or not _is_plain(model):
        _check_memory(model, pixels)
        whole: Tensor = model(levels, condition).log_prob(levels)
        return whole
    condition = model.own_condition(levels) if condition is None else condition
    embedding = model.condition(condition, len(levels))
    slabs = [_slab(model, levels, embedding, top, rows) for top in range(0, height, rows)]
    return torch.cat(slabs, 2)


def _slab(model: PixelModel, levels: Tensor, embedding: Embedding, top: int, rows: int) -> Tensor:
    """Log-probabilities of rows top..top+rows-1, (B, C, rows, W)."""
    first = max(0, top - model.reach)
    seen = levels[:, :, first : top + rows]
    x = model.encode(seen)
    here = embedding.window((first, 0), *seen.shape[2:])
    outputs = model.network(x, here, (first, 0))[:, :, top - first :]
    own = seen[:, :, top - first :]
    return model.read_head(outputs.to(x.dtype), own).log_prob(own)


def _is_plain(model: PixelModel) -> bool:
    """Whether a prediction is what the network and the head say, and nothing else."""
    own = type(model).forward in (PixelModel.forward, PixelAutoencoder.forward)
    return own and type(model).predict is PixelModel.predict


def _check_memory(model: PixelModel, pixels: int) -> None:
    """Refuse a pass over so many pixels that its outputs and widest maps do not fit."""
    if pixels <= SLAB:
        return
    weight = next(model.parameters())
    widest = max(kernel.shape[0] for kernel in model.parameters() if kernel.ndim > 1)
    numbers = 3 * (widest + model.outputs * max((1, *getattr(model, "classes", ()))))
    require(
        weight.element_size() * pixels * numbers,
        f"one pass of {model.name} over {pixels:,} pixels",
        "fewer or smaller images fit, or a net that reaches over fewer rows",
        weight.device,
    )
