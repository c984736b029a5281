"""The step engine: a pixel costs a pixel.

Every hidden value depends on the past only, so each is computed once and kept. A program's
operations are sorted by when they can run: for a whole row before its first pixel (the rows above),
at each pixel (what needs the pixels to its left), and once a pixel is written. Maps are kept in
rings of as many rows as later operations look back: memory does not grow with the image's height.

Per image the state has, over all maps, sum(rows kept x (width + padding) x features) floats.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.images import to_network
from nextpixel.lanes import Lanes
from nextpixel.models import PixelModel
from nextpixel.nn import Given
from nextpixel.nn.program import PIXEL, ROW, Map, Op, Program, term_of
from nextpixel.sampling import kernels

KINDS = {"conv": 0, "relu": 1, "gate": 2, "add": 3, "affine": 4, "told": 5}
BLOCK = 16
"""Images that share the loading of weights."""

Table = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass
class Compiled:
    """A program as tables of numbers: three lists of operations, their taps, and the maps."""

    ops: tuple[Table, Table, Table]
    taps: tuple[Table, Table, Table]
    maps: Table
    weights: Floats
    bias: Floats
    size: int
    widest: int


def compile_program(program: Program, width: int) -> Compiled:
    """Sort a program's operations by when they run, and lay out its maps and weights."""
    layout = _Layout(program)
    for op in program.ops:
        layout.place(op)
    return layout.finish(width)


class _Layout:
    """Tables of a program while they are made."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ops: tuple[list[list[int]], ...] = ([], [], [])
        self.taps: tuple[list[tuple[int, int]], ...] = ([], [], [])
        self.rows = [1] * len(program.maps)
        self.pad = [0] * len(program.maps)
        self.weights: list[Floats] = []
        self.bias: list[Floats] = []
        self.terms = 0

    def place(self, op: Op) -> None:
        """Put an operation where it can run; a convolution may be split in two."""
        if op.kind != "conv":
            self._put(op, op.output.known, (), op.weight, op.bias, start=True)
            return
        above = [number for number, (row, _) in enumerate(op.taps) if row < 0]
        beside = [number for number, (row, _) in enumerate(op.taps) if row == 0]
        if op.output.known == ROW:
            above, beside = above + beside, []
        assert op.weight is not None
        if above:
            taps = tuple(op.taps[number] for number in above)
            self._put(op, ROW, taps, op.weight[above], op.bias, start=True)
        if beside:
            taps = tuple(op.taps[number] for number in beside)
            self._put(op, PIXEL, taps, op.weight[beside], op.bias, start=not above)

    def _put(
        self,
        op: Op,
        when: int,
        taps: tuple[tuple[int, int], ...],
        weight: Tensor | None,
        bias: Tensor | None,
        *,
        start: bool,
    ) -> None:
        source = op.inputs[0]
        for row, column in taps:
            self.rows[source.number] = max(self.rows[source.number], 1 - row)
            self.pad[source.number] = max(self.pad[source.number], abs(column))
        other = op.inputs[-1].number
        self.ops[when].append(
            [
                KINDS[op.kind],
                source.number,
                other,
                op.output.number,
                source.features,
                op.output.features,
                len(self.taps[when]),
                len(taps),
                self._store(self.weights, weight),
                self._store(self.bias, bias),
                int(start),
                self.terms,
            ]
        )
        self.taps[when].extend(taps)
        self.terms += op.kind == "told"

    @staticmethod
    def _store(into: list[Floats], values: Tensor | None) -> int:
        at = sum(map(len, into))
        if values is not None:
            into.append(values.detach().float().cpu().contiguous().numpy().ravel())
        return at

    def finish(self, width: int) -> Compiled:
        maps, size = [], 0
        for known in self.program.maps:
            rows, pad = self.rows[known.number], self.pad[known.number]
            maps.append([size, rows, pad, known.features])
            size += rows * (width + 2 * pad) * known.features
        return Compiled(
            ops=tuple(np.array(ops, np.int64).reshape(-1, 12) for ops in self.ops),  # type: ignore[arg-type]
            taps=tuple(np.array(taps, np.int64).reshape(-1, 2) for taps in self.taps),  # type: ignore[arg-type]
            maps=np.array(maps, np.int64),
            weights=_joined(self.weights),
            bias=_joined(self.bias),
            size=size,
            widest=max(known.features for known in self.program.maps),
        )


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate([*parts, np.zeros(1, np.float32)])


def fill(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    given: Given,
    *,
    temperature: float,
    on_row: Callable[[int, Tensor], None] | None,
) -> tuple[Tensor, Tensor]:
    """Keep `levels` where `known`, draw the rest by `uniforms`; all of shape (B, C, H, W).

    Returns:
        Levels, int64, shape (B, C, H, W), and the log-probability along the scan at temperature 1,
        nats, float64, shape (B,).

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight or a prediction is no finite number.
    """
    check_finite(model)
    program = model.lower()
    compiled = compile_program(program, model.shape[2])
    out = levels.long().clone().contiguous().numpy()
    log_p = np.zeros(len(out))
    lanes = Lanes()
    blocks = [
        _Block(model, program, compiled, given.part(part), temperature, part)
        for part in _blocks(len(out), lanes.count)
    ]
    for block in blocks:
        block.watch(out, known, uniforms, log_p)
    for row in range(model.shape[1]):
        list(lanes.map(lambda block, row=row: block.scan(row), blocks))  # type: ignore[misc]
        if on_row is not None:
            on_row(row + 1, torch.from_numpy(out))
    if not np.isfinite(log_p).all():
        raise NextPixelError(f"{model.name} predicts what is no number: its outputs overflow")
    return torch.from_numpy(out), torch.from_numpy(log_p)


def check_finite(model: PixelModel) -> None:
    """Refuse weights that are no finite numbers.

    Raises:
        NextPixelError: Naming the first.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise NextPixelError(f"the weights {name} of {model.name} are not all finite numbers")


def _blocks(count: int, lanes: int) -> list[slice]:
    size = max(1, min(BLOCK, -(-count // lanes)))
    return [slice(first, min(count, first + size)) for first in range(0, count, size)]


class _Block:
    """A few images on their way through the scan, with all that is kept of them."""

    def __init__(
        self,
        model: PixelModel,
        program: Program,
        compiled: Compiled,
        given: Given,
        temperature: float,
        part: slice,
    ) -> None:
        self.model, self.compiled, self.temperature, self.part = model, compiled, temperature, part
        self.output: Map = program.output
        self.groups = program.groups
        count = part.stop - part.start
        self.state = np.zeros(count * compiled.size, np.float32)
        self.terms, self.places = _terms(program, given)
        self.rels = tuple(np.zeros(len(taps) + 1, np.int64) for taps in compiled.taps)
        self.here = np.zeros(len(compiled.maps), np.int64)
        self.sums = tuple(np.zeros(compiled.widest, np.float32) for _ in range(4))
        self.p = np.zeros(max(2, model.head.size))
        every = torch.arange(model.levels)
        self.scale = to_network(every, model.levels, torch.float32).numpy()
        self.powers = (2.0 ** np.arange(-127, 1)).astype(np.float32)

    def watch(
        self, levels: NDArray[np.int64], known: Tensor, uniforms: Tensor, log_p: NDArray[np.float64]
    ) -> None:
        """Say what to write into, what is known, and what to draw by."""
        self.levels, self.log_p = levels[self.part], log_p[self.part]
        self.known = known[self.part].contiguous().numpy()
        self.uniforms = uniforms[self.part].contiguous().numpy()

    def scan(self, row: int) -> None:
        """Carry out one row."""
        made, model = self.compiled, self.model
        kernels.scan_row(
            *made.ops, self.state, made.size, made.weights, made.bias, self.terms, self.places,
            made.taps, self.rels, made.maps, self.here, self.scale, self.levels, self.known,
            self.uniforms, self.log_p, self.temperature, row, model.shape[2], model.colors,
            self.groups, model.head.size, model.edge, self.output.number, 0, len(self.levels),
            self.sums, self.powers, self.p,
        )  # fmt: skip


def _terms(program: Program, given: Given) -> tuple[Floats, Table]:
    """What "told" operations add, in the order in which they are placed, and its strides."""
    like = torch.zeros(1)
    parts, places, at = [], [], 0
    for op in _told_in_order(program):
        term = term_of(op, given, like).float().permute(0, 2, 3, 1).contiguous()
        batch, height, width, features = term.shape
        row = width * features
        strides = [height * row if batch > 1 else 0, row if height > 1 else 0]
        places.append([at, *strides, features if width > 1 else 0])
        parts.append(term.numpy().ravel())
        at += term.numel()
    return _joined(parts), np.array(places, np.int64).reshape(-1, 4)


def _told_in_order(program: Program) -> list[Op]:
    return [op for op in program.ops if op.kind == "told"]
