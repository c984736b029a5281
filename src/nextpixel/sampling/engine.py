"""The step engine: a pixel costs a pixel.

Every hidden value depends on the past only, so each is computed once and kept. A program's
operations are sorted by when they can run: for a whole row before its first pixel (the rows above),
at each pixel (what needs the pixels to its left), and once a pixel is written. Maps are kept in
rings of as many rows as later operations look back: memory does not grow with the image's height.

Per image the state has, over all maps, sum(rows kept x (width + padding) x features) floats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.heads.sharpness import Sharpness
from nextpixel.images import to_network
from nextpixel.lanes import Lanes
from nextpixel.memory import require
from nextpixel.models import PixelModel
from nextpixel.nn import Given
from nextpixel.nn.program import Program, term_of
from nextpixel.sampling import kernels
from nextpixel.sampling.finite import check_predictions, check_weights
from nextpixel.sampling.layout import Floats, Layout, Table, aligned, lay_out

BLOCK = 16
"""Images that share the loading of weights."""
CALL = 2_000_000_000
"""Multiplications in one go; between two of them the scan can be stopped."""


def fill(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    given: Given,
    *,
    sharpness: Sharpness,
    on_row: Callable[[int, Tensor], None] | None,
) -> tuple[Tensor, Tensor]:
    """Keep `levels` where `known`, draw the rest by `uniforms`; all of shape (B, C, H, W).

    Returns:
        Levels, int64, shape (B, C, H, W), and the log-probability along the scan at temperature 1,
        nats, float64, shape (B,).

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight or a prediction is no finite number, or memory is too small.
    """
    made = prepared(model)
    plan = made.plan
    what = f"drawing {len(levels)} images of {model.shape[1]}x{model.shape[2]} at a time"
    require(memory_of(model, len(levels)), what, "make batch_size or the images smaller")
    out = levels.long().clone().contiguous().numpy()
    kept, chances = known.contiguous().numpy(), uniforms.contiguous().numpy()
    log_p = np.zeros(len(out))
    chosen = (
        float(sharpness.temperature),
        sharpness.top_k or model.levels,
        float(sharpness.top_p or 1.0),
    )
    lanes = Lanes()
    blocks = []
    for part in _parts(len(out), lanes.count):
        terms = _terms(made.program, made.layout, given.part(part))
        blocks.append(_block(plan, *terms, out[part], kept[part], chances[part], log_p[part]))
    rows = 1 if on_row else max(1, CALL // (made.layout.work * len(out)))
    height = model.shape[1]
    for top in range(0, height, rows):
        bottom = min(height, top + rows)

        def scan(block: kernels.Block, top: int = top, bottom: int = bottom) -> None:
            kernels.scan_rows(plan, block, chosen, top, bottom)

        list(lanes.map(scan, blocks))
        if on_row is not None:
            on_row(bottom, torch.from_numpy(out))
    found = torch.from_numpy(log_p)
    check_predictions(model, found)
    return torch.from_numpy(out), found


def memory_of(model: PixelModel, count: int) -> int:
    """Bytes of what is kept for images on their way: rings of rows of all maps.

    4 * count * sum over maps of rows kept * (width + padding) * features; and the weights once.
    """
    made = prepared(model)
    return 4 * (count * made.layout.size + made.layout.weights.size + made.layout.bias.size)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model ready to be carried out.

    Attributes:
        weights: Copies of the weights that it was made from.
    """

    weights: list[Tensor]
    program: Program
    layout: Layout
    plan: kernels.Plan


PREPARED: WeakKeyDictionary[PixelModel, Prepared] = WeakKeyDictionary()


def prepared(model: PixelModel) -> Prepared:
    """The model laid out for the interpreter; kept until its weights change.

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight is no finite number.
    """
    weights = [*model.parameters(), *model.buffers()]
    found = PREPARED.get(model)
    if found is None or not all(map(torch.equal, found.weights, weights)):
        check_weights(model)
        program = model.lower()
        layout = lay_out(program, model.shape[2])
        copies = [weight.detach().clone() for weight in weights]
        found = Prepared(copies, program, layout, _plan(model, program, layout))
        PREPARED[model] = found
    return found


def _parts(count: int, lanes: int) -> list[slice]:
    size = max(1, min(BLOCK, -(-count // lanes)))
    return [slice(first, min(count, first + size)) for first in range(0, count, size)]


def _plan(model: PixelModel, program: Program, layout: Layout) -> kernels.Plan:
    every = torch.arange(model.levels)
    image, place = layout.places[program.image.number], layout.places[program.output.number]
    return kernels.Plan(
        *layout.phases,
        maps=layout.maps,
        weights=layout.weights,
        bias=layout.bias,
        size=layout.size,
        scale=to_network(every, model.levels, torch.float32).numpy(),
        shape=model.shape,
        groups=program.groups,
        head=(model.head.size, place.padded if place.parts > 1 else model.head.size),
        planes=image.padded if image.parts > 1 else 1 + model.edge,
        edge=model.edge,
        output=program.output.number,
    )


def _block(
    plan: kernels.Plan,
    terms: Floats,
    places: Table,
    levels: NDArray[np.int64],
    known: NDArray[np.bool_],
    uniforms: NDArray[np.float64],
    log_p: NDArray[np.float64],
) -> kernels.Block:
    phases = (plan.row, plan.pixel, plan.late)
    begins = tuple(np.zeros(len(phase.stretches), np.int64) for phase in phases)
    return kernels.Block(
        state=aligned(len(levels) * plan.size),
        terms=terms,
        places=places,
        begins=begins,  # type: ignore[arg-type]
        here=np.zeros(len(plan.maps), np.int64),
        p=np.zeros(len(plan.scale)),
        weights=np.zeros(len(plan.scale)),
        levels=levels,
        known=known,
        uniforms=uniforms,
        log_p=log_p,
    )


def _terms(program: Program, layout: Layout, given: Given) -> tuple[Floats, Table]:
    """What "told" operations add, in the order in which they are placed, and its strides."""
    like = torch.zeros(1)
    parts, places, at = [], [], 0
    for op in program.ops:
        if op.kind != "told":
            continue
        term = term_of(op, given, like).float().permute(0, 2, 3, 1)
        term = layout.places[op.output.number].spread(term).contiguous()
        batch, height, width, features = term.shape
        row = width * features
        strides = [height * row if batch > 1 else 0, row if height > 1 else 0]
        places.append([at, *strides, features if width > 1 else 0])
        parts.append(term.numpy().ravel())
        at += term.numel()
    return np.concatenate([*parts, aligned(16)]), np.array(places, np.int64).reshape(-1, 4)
