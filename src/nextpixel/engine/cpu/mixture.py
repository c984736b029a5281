"""Mixtures by the step engine: each net prepared as it is alone, all of them in one scan.

It has the same bits on any machine as the nets have, and costs what the nets cost, less what is
left out of the classes: a net whose class is summed out goes through the scan once for each class
that is still likely.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.engine.cpu import executor, kernels, mixing
from nextpixel.engine.cpu.executor import Prepared
from nextpixel.engine.cpu.fixed_order import fixed_order
from nextpixel.engine.cpu.layout import aligned
from nextpixel.engine.lowering import check_predictions
from nextpixel.heads import Spot
from nextpixel.heads.categorical import categorical_log_weights
from nextpixel.heads.truncation import Truncation
from nextpixel.models import Mixture, PixelModel
from nextpixel.nn import NO_EMBEDDING, Embedding
from nextpixel.runtime.compiling import address_of
from nextpixel.runtime.threads import Threads

Members = tuple[mixing.Member, ...]


@dataclass(frozen=True, eq=False)
class PreparedMixture:
    """A mixture ready to be carried out.

    Attributes:
        model: The mixture.
        parts: Its nets, ready.
        plan: Of the mixture: no operations, and outputs that are the levels' log-probabilities.
    """

    model: Mixture
    parts: tuple[Prepared, ...]
    plan: kernels.Plan

    @property
    def lists_levels(self) -> bool:
        """As `Prepared.lists_levels`."""
        return True

    @property
    def work(self) -> int:
        """Multiplications for a row of an image, as long as no class is left out."""
        each = zip(self.parts, self.model.classes, strict=True)
        return sum(max(1, classes) * part.layout.work for part, classes in each)


def prepared(model: Mixture, size: tuple[int, int] | None = None) -> PreparedMixture:
    """The mixture laid out for images of a size; as `executor.prepared`."""
    size = size or model.shape[1:]
    parts = tuple(executor.prepared(net, size) for net in model.nets)
    floats, p, levels = np.zeros(0, np.float32), np.zeros(0), np.zeros((0,) * 4, np.int64)
    spot = Spot(floats, 0, 0, 0, levels, 0, 0, 0, 0, p)
    plan = parts[0].plan._replace(
        maps=np.zeros((1, parts[0].plan.maps.shape[1]), np.int64),
        size=model.colors * model.levels,
        shown=np.zeros((model.levels, 1), np.float32),
        log_weights=address_of(categorical_log_weights, spot),
        cdf=(0, 0, 0),
        across=model.levels,
        output=0,
    )
    return PreparedMixture(model, parts, plan)


def lack(model: PixelModel) -> str | None:
    """What keeps a model, or a mixture's net, from being carried out by compiled steps; or None.

    Raises:
        NotImplementedError: If this kind of model has no program, and is no mixture.
    """
    if not isinstance(model, Mixture):
        return executor.lack(model)
    for net in model.nets:
        if type(net).lower is PixelModel.lower:
            return f"{net.name} has no program"
        if lacking := executor.lack(net):
            return lacking
    return None


def open_scan(
    made: PreparedMixture,
    levels: NDArray[np.int64],
    known: NDArray[np.bool_],
    uniforms: NDArray[np.float64],
) -> tuple[kernels.Block, Members]:
    """Images before their scan, all of shape (B, C, H, W), and their rows in each net.

    Raises:
        NextPixelError: If memory is too small.
    """
    model, plan = made.model, made.plan
    none, room = np.zeros(1, np.int64), np.zeros(model.levels)
    block = kernels.Block(
        state=aligned(len(levels) * plan.size),
        terms=aligned(16),
        places=np.zeros((1, 4), np.int64),
        begins=(none, none, none),
        here=none,
        room=np.zeros(1),
        p=room,
        probabilities=np.zeros_like(room),
        levels=levels,
        known=np.ascontiguousarray(known),
        uniforms=np.ascontiguousarray(uniforms),
        log_p=np.zeros(len(levels)),
    )
    each = zip(model.nets, made.parts, model.classes, strict=True)
    return block, tuple(
        _member(net, part, classes, levels.shape, model.config.least_posterior)
        for net, part, classes in each
    )


def _member(
    net: PixelModel, made: Prepared, classes: int, shape: tuple[int, ...], least: float
) -> mixing.Member:
    """A net with a row for each class of each image."""
    images, each = shape[0], max(1, classes)
    count = images * each
    blank = np.zeros((count, 1, 1, 1))
    block = executor.open_blocks(
        made, np.zeros((count, *shape[1:]), np.int64), blank.astype(bool), blank,
        _embedding(net, classes, images), 1, lists_levels=True,
    )[0]  # fmt: skip
    rows = np.arange(images + 1, dtype=np.int64) * each
    listed = np.zeros((count if classes > 1 else 0, net.levels))
    return mixing.Member(made.plan, block, rows, listed, np.zeros(net.levels), least)


def _embedding(net: PixelModel, classes: int, images: int) -> Embedding:
    """That of every class, for each image."""
    if not classes:
        return NO_EMBEDDING
    labels = torch.arange(classes).repeat(images)
    with fixed_order():
        return net.condition(labels, len(labels))


def fill(
    model: Mixture,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    embedding: Embedding,
    *,
    truncation: Truncation,
    on_row: Callable[[int, Tensor], None] | None,
) -> tuple[Tensor, Tensor]:
    """Keep `levels` where `known`, draw the rest by `uniforms`; as `executor.fill`."""
    del embedding  # a mixture has no condition
    out = levels.long().clone().contiguous().numpy()
    threads, made = Threads(), prepared(model)
    parts = executor.shares(len(out), threads.count)
    masks, draws = known.numpy(), uniforms.numpy()
    scans = [open_scan(made, out[part], masks[part], draws[part]) for part in parts]
    chosen = executor.numbers(truncation, model.levels)
    rows = 1 if on_row else max(1, executor.CALL // (made.work * len(out)))
    for top in range(0, model.shape[1], rows):
        bottom = min(model.shape[1], top + rows)

        def scan(one: tuple[kernels.Block, Members], top: int = top, bottom: int = bottom) -> None:
            mixing.scan_rows(made.plan, *one, chosen, top, bottom)

        list(threads.map(scan, scans))
        if on_row is not None:
            on_row(bottom, torch.from_numpy(out))
    log_p = torch.from_numpy(np.concatenate([block.log_p for block, _ in scans]))
    check_predictions(model, log_p)
    return torch.from_numpy(out), log_p
