"""The step engine: a pixel costs a pixel.

Every hidden value depends on the past only, so each is computed once and kept. A program's
operations are sorted by when they can run: for a whole row before its first pixel (the rows above),
at each pixel (what needs the pixels to its left), and once a pixel is written. Maps are kept in
rings of as many rows as later operations look back: memory does not grow with the image's height.

Per image the state has, over all maps, sum(rows kept x (width + padding) x features) floats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.engine.cpu import kernels
from nextpixel.engine.cpu.fixed_order import fixed_order
from nextpixel.engine.cpu.layout import Layout, aligned, injections, lay_out
from nextpixel.engine.lowering import IMAGES, check_predictions, lowered, probe
from nextpixel.errors import NextPixelError
from nextpixel.heads import HEADS, CompiledCDF, CompiledHead, Head, Query, Spot
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.models import PixelModel
from nextpixel.models.sizes import tied_by
from nextpixel.nn import Embedding
from nextpixel.program import OPS, Program
from nextpixel.program.ops import Inject
from nextpixel.program.ops.base import Floats, Table
from nextpixel.runtime.compiling import address_of
from nextpixel.runtime.device import require
from nextpixel.runtime.threads import Threads

Number = TypeVar("Number", np.int64, np.float64)
Doubles = NDArray[np.float64]
OWN_HEADS = tuple(HEADS.values())
"""Those of the package, before others are registered."""
CALL = 2_000_000_000
"""Multiplications in one go; between two of them the scan can be stopped."""


def fill(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    embedding: Embedding,
    *,
    truncation: Truncation,
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
    out = levels.long().clone().contiguous().numpy()
    threads = Threads()
    made = prepared(model)
    blocks = open_blocks(
        made, out, known.numpy(), uniforms.numpy(), embedding, threads.count,
        lists_levels=made.lists_levels or truncation != PLAIN,
    )  # fmt: skip
    chosen = numbers(truncation, model.levels)
    rows = 1 if on_row else max(1, CALL // (made.layout.work * len(out)))
    places = places_in_order(made, embedding)
    for top in range(0, model.shape[1], rows):
        bottom = min(model.shape[1], top + rows)

        def scan(block: kernels.Block, top: int = top, bottom: int = bottom) -> None:
            scan_some(made, block, chosen, places, top, bottom)

        list(threads.map(scan, blocks))
        if on_row is not None:
            on_row(bottom, torch.from_numpy(out))
    log_p = torch.from_numpy(np.concatenate([block.log_p for block in blocks]))
    check_predictions(model, log_p)
    return torch.from_numpy(out), log_p


def places_in_order(made: "Prepared", embedding: Embedding) -> Table | None:
    """Rows and columns of the pixels in the order of the images, (H * W, 2); None: the raster's.

    Raises:
        ValueError: If the images have several orders.
    """
    if not made.program.any_order:
        return None
    indices = embedding.parts[-1]
    if not bool((indices == indices[:1]).all()):
        raise ValueError("images must have one order to be carried through the scan together")
    return places_of(indices[0, 0])


def places_of(indices: Tensor) -> Table:
    """Rows and columns of the pixels, (H * W, 2), in the order that indices (H, W) say."""
    visited = indices.flatten().argsort().numpy()
    return np.stack(np.divmod(visited, indices.shape[1]), 1)


def scan_some(
    made: "Prepared",
    block: kernels.Block,
    truncation: tuple[float, int, float],
    places: Table | None,
    top: int,
    bottom: int,
) -> None:
    """Carry out rows top..bottom-1 of the scan, or as many of its pixels in another order."""
    if places is None:
        kernels.scan_rows(made.plan, block, truncation, top, bottom)
    else:
        width = made.plan.shape[2]
        some = np.ascontiguousarray(places[top * width : bottom * width])
        kernels.scan_places(made.plan, block, truncation, some)


def open_blocks(
    made: "Prepared",
    levels: NDArray[np.int64],
    known: NDArray[np.bool_],
    uniforms: NDArray[np.float64],
    embedding: Embedding,
    threads: int,
    *,
    lists_levels: bool | None = None,
) -> list[kernels.Block]:
    """Images before their scan, all of shape (B, C, H, W), a block for each of some threads.

    Blocks read and write `levels` itself. They have room for lists of all levels if `lists_levels`;
    None: if the head has no CDF.

    Raises:
        NextPixelError: If memory is too small.
    """
    what = f"the scan of {len(levels)} images of {levels.shape[2]}x{levels.shape[3]} at a time"
    require(made.memory(len(levels)), what, "make batch_size or the images smaller")
    blocks = []
    for part in shares(len(levels), threads):
        terms = terms_of(made.program, made.layout, embedding.part(part))
        listed = made.lists_levels if lists_levels is None else lists_levels
        room = len(made.plan.shown) if listed else 0
        blocks.append(_block(made, terms, levels[part], known[part], uniforms[part], room))
    return blocks


def numbers(truncation: Truncation, levels: int) -> tuple[float, int, float]:
    """A truncation as compiled code takes it: what keeps all levels in place of None."""
    return float(truncation.temperature), truncation.top_k or levels, float(truncation.top_p or 1.0)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model ready to be carried out.

    Attributes:
        head: The model's, of which the plan has the compiled steps.
        weights: Copies of the weights that it was made from.
    """

    head: Head
    weights: list[Tensor]
    program: Program
    layout: Layout
    plan: kernels.Plan

    def is_of(self, model: PixelModel, weights: list[Tensor]) -> bool:
        """Whether the model still has the same head and weights."""
        return self.head is model.head and all(map(torch.equal, self.weights, weights))

    @property
    def lists_levels(self) -> bool:
        """Whether drawing needs a list of all levels: the head gives no CDF."""
        return not isinstance(self.head.compiled, CompiledCDF)

    def memory(self, count: int) -> int:
        """Bytes of what is kept for images on their way: rings of rows of all maps.

        4 * count * sum over maps of rows kept * (width + padding) * features; a map that is read
        at its own pixel only counts as one column. And the weights once.
        """
        layout = self.layout
        return 4 * (count * layout.size + layout.weights.size + layout.bias.size)


PREPARED: WeakKeyDictionary[PixelModel, dict[tuple[int, int], Prepared]] = WeakKeyDictionary()


def prepared(model: PixelModel, size: tuple[int, int] | None = None) -> Prepared:
    """The model laid out for the interpreter; kept until its weights change.

    Args:
        model: The model.
        size: Height and width of the images, where they are not the model's own.

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight is no finite number, a compiled step is missing, or program or
            steps do not compute what the model does.
        ValueError: If the model is tied to its own size.
    """
    size = size or model.shape[1:]
    weights = _tensors(model)
    kept = PREPARED.setdefault(model, {})
    found = kept.get(size)
    if found is None or not found.is_of(model, weights):
        program = lowered(model)
        if size != model.shape[1:] and tied_by(model, program):
            raise ValueError(f"{model.name} takes images of {model.shape[1:]} only, got {size}")
        found = prepared_program(model, program, size)
        if not _is_known(model, program):
            if size == model.shape[1:]:
                check_steps(model, found)
            else:
                prepared(model)  # which compares its steps at its own size
        kept[size] = found
    return found


def prepared_program(model: PixelModel, program: Program, size: tuple[int, int]) -> Prepared:
    """A program of a model laid out for images of a height and width; errors as of `prepared`."""
    layout = lay_out(program, size[1], size[0])
    copies = [weight.detach().clone() for weight in _tensors(model)]
    return Prepared(model.head, copies, program, layout, _plan(model, program, layout, size))


def lack(model: PixelModel) -> str | None:
    """What keeps a model from being carried out by compiled steps, in words; None: nothing.

    Raises:
        NotImplementedError: If this kind of model has no program.
    """
    if any(made.head is model.head for made in PREPARED.get(model, {}).values()):
        return None  # it was carried out before
    ops = [op.name for op in model.lower().ops if op.compiled is None]
    if ops:
        return f"the operation {ops[0]!r} has no compiled step"
    if not isinstance(model.head.compiled, CompiledHead | CompiledCDF):
        return f"the head {type(model.head).__name__} has no compiled step"
    return None


def _is_known(model: PixelModel, program: Program) -> bool:
    """Whether model and compiled steps are the package's own, which its tests compare."""
    own = type(model).__module__.startswith("nextpixel.")
    own = own and all(type(op) in OPS for op in program.ops)
    return own and type(model.head) in OWN_HEADS


@torch.inference_mode()
def check_steps(model: PixelModel, made: "Prepared") -> None:
    """Compare compiled steps, in the phases that a program says, with the model on random images.

    Raises:
        NextPixelError: If they differ.
    """
    levels, embedding, log_prob = probe(model)
    known, uniforms = np.ones(levels.shape, bool), np.zeros(levels.shape)
    (block,) = open_blocks(made, levels.numpy(), known, uniforms, embedding, 1)
    places, chosen = places_in_order(made, embedding), numbers(PLAIN, model.levels)
    scan_some(made, block, chosen, places, 0, model.shape[1])
    expected = log_prob.double().flatten(1).sum(1).numpy()
    if not np.allclose(block.log_p, expected, rtol=1e-3, atol=1e-2 * IMAGES):
        raise NextPixelError(
            f"compiled steps of {type(model).__name__} do not compute what the model does: of "
            f"random images they say {block.log_p} nats, the model {expected}"
        )


def _tensors(model: PixelModel) -> list[Tensor]:
    """All parameters and buffers; torch's own listings take longer than a small net's image."""
    kept = (part for module in model.modules() for part in (module._parameters, module._buffers))
    return [value for part in kept for value in part.values() if value is not None]


def shares(count: int, threads: int) -> list[slice]:
    """Images in as many runs as there are threads, or fewer."""
    size = max(1, -(-count // threads))
    return [slice(first, min(count, first + size)) for first in range(0, count, size)]


def _plan(
    model: PixelModel, program: Program, layout: Layout, size: tuple[int, int]
) -> kernels.Plan:
    shown = model.shown(torch.arange(model.levels), torch.float32).detach().contiguous().numpy()
    image, place = layout.places[program.image.number], layout.places[program.output.number]
    log_weights, cdf = _head_addresses(model)
    return kernels.Plan(
        *layout.phases,
        maps=layout.maps,
        weights=layout.weights,
        bias=layout.bias,
        size=layout.size,
        shown=shown,
        shape=(model.colors, *size),
        groups=program.groups,
        log_weights=log_weights,
        cdf=cdf,
        across=place.padded if place.parts > 1 else model.head.size,
        planes=image.padded if image.parts > 1 else shown.shape[1],
        output=program.output.number,
    )


def _head_addresses(model: PixelModel) -> tuple[int, tuple[int, int, int]]:
    """Where the head's own steps lie: its log-weights or its CDF, 0 for the other.

    Raises:
        NextPixelError: If the head has no compiled step.
    """
    head = model.head.compiled
    if isinstance(head, CompiledHead):
        return spot_address(head.log_weights), (0, 0, 0)
    if isinstance(head, CompiledCDF):
        below, log_prob = query_address(head.below), query_address(head.log_prob)
        return 0, (spot_address(head.prepare), below, log_prob)
    raise NextPixelError(f"the head {type(model.head).__name__} has no compiled step")


def query_address(function: Callable[..., object]) -> int:
    """Where a compiled function of a `Query` lies."""
    return address_of(function, Query(np.zeros(0), 0, np.zeros(0)))


def spot_address(function: Callable[..., object]) -> int:
    """Where a compiled function of a `Spot` lies."""
    floats, levels = np.zeros(0, np.float32), np.zeros((0,) * 4, np.int64)
    return address_of(function, Spot(floats, 0, 0, 0, levels, 0, 0, 0, 0, np.zeros(0)))


def _room(head: CompiledHead | CompiledCDF | None) -> Doubles:
    """What a CDF keeps of a sub-pixel, and a place for its answers; both zero but its constants."""
    constants, size = (head.constants, head.room) if isinstance(head, CompiledCDF) else ((), 0)
    made = _own(len(constants) + size + 1, np.float64)
    made[: len(constants)] = constants
    return made


def _block(
    made: Prepared,
    terms: tuple[Floats, Table],
    levels: NDArray[np.int64],
    known: NDArray[np.bool_],
    uniforms: NDArray[np.float64],
    listed: int,
) -> kernels.Block:
    """Images before their scan, with room for a list of so many levels."""
    plan = made.plan
    phases = (plan.row, plan.pixel, plan.late)
    begins = tuple(_own(len(phase.spans), np.int64) for phase in phases)
    return kernels.Block(
        state=aligned(len(levels) * plan.size),
        terms=terms[0],
        places=terms[1],
        begins=begins,  # type: ignore[arg-type]
        here=_own(len(plan.maps), np.int64),
        room=_room(made.head.compiled),
        p=_own(listed, np.float64),
        probabilities=_own(listed, np.float64),
        levels=levels,
        known=np.ascontiguousarray(known),
        uniforms=np.ascontiguousarray(uniforms),
        log_p=_own(len(levels), np.float64),
    )


def _own(size: int, dtype: type[Number]) -> NDArray[Number]:
    """Zeros with room on both sides: on cache lines of their own, which no thread waits for."""
    return np.zeros(size + 32, dtype)[16 : 16 + size]


def terms_of(program: Program, layout: Layout, embedding: Embedding) -> tuple[Floats, Table]:
    """What is added from outside the image, in the order of the tables, and its strides."""
    parts: list[Floats] = []
    places, at = [[0, 0, 0, 0]], 0
    for op in injections(program):
        with fixed_order():
            term = _term(op, layout, embedding)
        batch, height, width, features = term.shape
        row = width * features
        strides = [height * row if batch > 1 else 0, row if height > 1 else 0]
        places.append([at, *strides, features if width > 1 else 0])
        parts.append(term.numpy().ravel())
        at += term.numel()
    return np.concatenate([*parts, aligned(16)]), np.array(places[1:] or places, np.int64)


def _term(op: Inject, layout: Layout, embedding: Embedding) -> Tensor:
    """What one operation adds, (B or 1, H or 1, W or 1, features with padding)."""
    term = op.term(embedding, torch.zeros(1)).float().permute(0, 2, 3, 1)
    return layout.places[op.output.number].spread(term).contiguous()
