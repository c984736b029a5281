"""A program laid out for the compiled interpreter: tables of numbers in place of objects.

Features of a map lie side by side, padded to a multiple of 16, so that taps next to each other are
one span of memory. Where a map has parts (color groups, the halves before a gate) each part is
padded, so that a part is whole vectors. The image itself is not padded.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.program import ROW, Op, Program, Schedule, Task
from nextpixel.program.ops import Call, Conv, Inject
from nextpixel.program.ops.base import Floats, Table
from nextpixel.runtime.compiling import address_of
from nextpixel.runtime.vectors import WIDTH

SOURCE, OTHER, THIRD, TARGET, FIRST, SPANS, INPUTS, WEIGHT, CONSTANT, START, TERM, STEP = range(12)
EVERY, DOWN, RIGHT, BACKWARD, EXTRA = range(12, 17)
OWN = 4
COLUMNS = EXTRA + OWN
"""Columns of the tables of operations. STEP is the address of the compiled step; EVERY so many rows
and columns of the image, a power of 2, there is a place, the first at row DOWN and column RIGHT;
BACKWARD is 1 where places are computed from right to left. EXTRA is the first of OWN numbers."""
BASE, ROWS, PAD, FEATURES, ACROSS, STRIDE = range(6)
"""Columns of the table of maps. ACROSS lies between columns, 0 where one is kept; STRIDE is the
logarithm to base 2 of the rows and columns of the image that one of the map's stands for."""


class Phase(NamedTuple):
    """Operations that run in the same phase of the scan.

    Attributes:
        ops: (operations, COLUMNS), see `SOURCE` and so on.
        spans: (spans, 4): row, column and feature from the place computed, and the map.
        lengths: (spans,), inputs in each.
    """

    ops: Table
    spans: Table
    lengths: Table


@dataclass(frozen=True)
class Place:
    """Where a map's features lie.

    Attributes:
        parts: Parts that are padded alone.
        part: Features of a part.
        padded: The same with its padding.
    """

    parts: int
    part: int
    padded: int

    @property
    def size(self) -> int:
        """Features with padding."""
        return self.parts * self.padded

    def spread(self, values: Tensor) -> Tensor:
        """(..., features) -> (..., size), zeros as padding."""
        parts = values.reshape(*values.shape[:-1], self.parts, self.part)
        padded = torch.nn.functional.pad(parts, (0, self.padded - self.part))
        return padded.flatten(-2)


@dataclass(frozen=True)
class Layout:
    """A program as tables.

    Attributes:
        phases: What runs for a row, at a pixel, and once a color is written.
        maps: (maps, 6), see `BASE` and so on.
        weights: Of convolutions in panels of 16 outputs, and factors.
        bias: Of convolutions and factors.
        places: Of each map.
        size: Floats kept for an image.
        work: Multiplications for a row of an image.
    """

    phases: tuple[Phase, Phase, Phase]
    maps: Table
    weights: Floats
    bias: Floats
    places: list[Place]
    size: int
    work: int


def lay_out(program: Program, width: int, height: int | None = None) -> Layout:
    """Sort operations by when they run, and lay out maps and weights.

    Args:
        program: Of a model.
        width: Of its images.
        height: Of its images; needed for attention.

    Raises:
        NextPixelError: If an operation has no compiled step.
    """
    return _Builder(program, width, height).finish()


def step_address(op: Op) -> int:
    """Where the compiled step of an operation lies.

    Raises:
        NextPixelError: If it has none.
    """
    if op.compiled is None:
        raise NextPixelError(f"the operation {op.name} has no compiled step")
    floats, places = np.zeros(0, np.float32), np.zeros(0, np.int64)
    arrays = (floats, floats, floats, floats, places, places)
    types: dict[str, Any] = {name: 0 for name in Call._fields[len(arrays) :]}
    empty = Call(*arrays, **{**types, "extra": (0,) * OWN})
    return address_of(op.compiled, empty)


class _Builder:
    """Tables while they are made."""

    def __init__(self, program: Program, width: int, height: int | None) -> None:
        self.program, self.width = program, width
        self.schedule = Schedule(program, height=height)
        self.places = _places(program)
        self.weights, self.bias = _Store(), _Store()
        self.terms: dict[Op, int] = {op: n for n, op in enumerate(injections(program))}
        self.work = 0
        row, pixel, late = map(self._phase, self.schedule.tasks)
        self.phases = (row, pixel, late)

    def _phase(self, tasks: list[Task]) -> Phase:
        spans: list[list[int]] = []
        ops = [self._row(task, spans) for task in tasks]
        table = np.array(spans, np.int64).reshape(-1, 5)
        return Phase(
            np.array(ops, np.int64).reshape(-1, COLUMNS),
            np.ascontiguousarray(table[:, :4]),
            np.ascontiguousarray(table[:, 4]),
        )

    def _row(self, task: Task, spans: list[list[int]]) -> list[int]:
        """A task's row of the table; its spans are appended to `spans`."""
        op, first = task.op, len(spans)
        spans.extend(self._spans(task))
        weight, constant = self._numbers(task)
        inputs = sum(span[4] for span in spans[first:])
        source, other, third = (*(x.number for x in op.inputs), 0, 0)[:3]
        extra = (*op.extra, *[0] * OWN)[:OWN]
        return [
            source, other, third, op.output.number, first, len(spans) - first, inputs, weight,
            constant, int(task.start), self.terms.get(op, 0), step_address(op), task.every,
            *task.offset, int(task.backward), *extra,
        ]  # fmt: skip

    def _numbers(self, task: Task) -> tuple[int, int]:
        """Where the weights and the biases of a task lie."""
        op, place = task.op, self.places[task.op.output.number]
        if op.weight is None or op.bias is None:
            return 0, 0
        if not isinstance(op, Conv):
            weight = place.spread(op.weight)
        else:
            rows = place.spread(op.weight[list(task.taps)].flatten(0, 1))
            weight = rows.reshape(len(rows), -1, WIDTH).transpose(0, 1)
            self.work += self.width * len(rows) * place.size
        return self.weights.add(weight), self.bias.add(place.spread(op.bias))

    def _spans(self, task: Task) -> list[list[int]]:
        """What the taps of a task read: row, column, feature, map and length of each span."""
        source = task.op.inputs[0].number
        place = self.places[source]
        if not isinstance(task.op, Conv):
            return [[*task.op.taps[n], 0, source, place.size] for n in task.taps]
        return self._joined(
            [
                [*task.op.taps[n], part * place.padded, source, place.part]
                for n in task.taps
                for part in range(place.parts)
            ]
        )

    def _joined(self, spans: list[list[int]]) -> list[list[int]]:
        """Spans that lie end to end as one."""
        made: list[list[int]] = []
        for row, column, feature, source, length in spans:
            size = self.places[source].size
            if made and made[-1][0] == row:
                end = made[-1][1] * size + made[-1][2] + made[-1][4]
                if end == column * size + feature:
                    made[-1][4] += length
                    continue
            made.append([row, column, feature, source, length])
        return made

    def finish(self) -> Layout:
        """All of it."""
        maps, size = [], 0
        for kept, place in zip(self.program.maps, self.places, strict=True):
            rows, pad = self.schedule.rows[kept.number], self.schedule.pad[kept.number]
            brief = kept.number in self.schedule.brief
            stride = kept.stride.bit_length() - 1
            maps.append([size, rows, pad, place.size, 0 if brief else place.size, stride])
            width = self.width // kept.stride + 2 * pad
            size += _whole(rows * (1 if brief else width) * place.size)
        return Layout(
            phases=self.phases,
            maps=np.array(maps, np.int64),
            weights=self.weights.joined(),
            bias=self.bias.joined(),
            places=self.places,
            size=size + WIDTH * (size // WIDTH % 2 == 0),  # odd: images do not share cache lines
            work=self.work,
        )


def injections(program: Program) -> list[Inject]:
    """What a program adds from outside the image, in the order of the tables of terms."""
    return [op for op in program.ops if isinstance(op, Inject)]


def _whole(size: int) -> int:
    return -(-size // WIDTH) * WIDTH


class _Store:
    """Parts of one array, each of which begins at a whole vector."""

    def __init__(self) -> None:
        self.parts: list[Floats] = []
        self.size = 0

    def add(self, values: Tensor) -> int:
        """Keep values; where they begin."""
        at = self.size
        flat = values.detach().float().cpu().contiguous().numpy().ravel()
        self.parts.append(np.pad(flat, (0, _whole(flat.size) - flat.size)))
        self.size += self.parts[-1].size
        return at

    def joined(self) -> Floats:
        """All of it."""
        made = aligned(self.size)
        np.concatenate([*self.parts, made[:0]], out=made)
        return made


def aligned(size: int) -> Floats:
    """Zeros that begin at a cache line, so that no vector lies across two."""
    room = np.zeros(size + WIDTH, np.float32)
    skipped = -room.ctypes.data // 4 % WIDTH
    return room[skipped : skipped + size]


def _places(program: Program) -> list[Place]:
    """Parts of each map: color groups, both halves of what a gate reads, and as its neighbours."""
    parts = [1 if kept.phase == ROW else program.groups for kept in program.maps]
    parts[program.image.number] = 1
    before: list[int] = []
    while parts != before:
        before = list(parts)
        for op in program.ops:
            _agree(parts, op)
    made = [kept.number for kept in program.maps[1:]]
    read = [kept.number for op in program.ops if not isinstance(op, Conv) for kept in op.inputs]
    padded = {*made, *read}
    return [
        _place(kept.features, parts[kept.number], padded=kept.number in padded)
        for kept in program.maps
    ]


def _agree(parts: list[int], op: Op) -> None:
    """Give what an operation reads and makes the parts that it asks for."""
    sources, target = tuple(kept.number for kept in op.inputs), op.output.number
    asked, parts[target] = op.parts(tuple(parts[source] for source in sources), parts[target])
    for source, count in zip(sources, asked, strict=True):
        parts[source] = max(parts[source], count)


def _place(features: int, parts: int, *, padded: bool) -> Place:
    part = features // parts
    return Place(parts, part, _whole(part) if padded else part)
