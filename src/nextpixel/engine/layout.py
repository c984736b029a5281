"""A program laid out for the compiled interpreter: tables of numbers in place of objects.

Features of a map lie side by side, padded to a multiple of 16, so that taps beside each other are
one stretch of memory. Where a map has parts (color groups, the halves before a gate) each part is
padded, so that a part is whole vectors. The image itself is not padded.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.program.program import PIXEL, ROW, Op, Program
from nextpixel.runtime.vectors import WIDTH

KINDS = {"conv": 0, "relu": 1, "gate": 2, "add": 3, "affine": 4, "told": 5}
KIND, SOURCE, OTHER, TARGET, FIRST, COUNT, WEIGHT, INPUTS, BIAS, START, TERM, GROUPS = range(12)
"""Columns of the tables of operations."""
BASE, ROWS, PAD, FEATURES, STEP = range(5)
"""Columns of the table of maps; STEP lies between columns, 0 where one is kept."""

Table = NDArray[np.int64]
Floats = NDArray[np.float32]


class Phase(NamedTuple):
    """Operations that run at the same time of the scan.

    Attributes:
        ops: (operations, 12), see `KIND` and so on.
        stretches: (stretches, 4): row, column and feature from the place computed, and the map.
        lengths: (stretches,), inputs in each.
    """

    ops: Table
    stretches: Table
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
        maps: (maps, 5), see `BASE` and so on.
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


def lay_out(program: Program, width: int) -> Layout:
    """Sort operations by when they run, and lay out maps and weights.

    Args:
        program: Of a model.
        width: Of its images.
    """
    return _Builder(program, width).finish()


class _Builder:
    """Tables while they are made."""

    def __init__(self, program: Program, width: int) -> None:
        self.program, self.width = program, width
        self.places = _places(program)
        self.ops: tuple[list[list[int]], ...] = ([], [], [])
        self.stretches: tuple[list[list[int]], ...] = ([], [], [])
        self.rows, self.pad = [1] * len(program.maps), [0] * len(program.maps)
        self.brief = _brief(program)
        self.weights, self.bias = _Store(), _Store()
        self.terms = self.work = 0
        for op in program.ops:
            self._place(op)

    def _place(self, op: Op) -> None:
        """Put an operation where it can run; a convolution may be split in two."""
        if op.kind != "conv":
            self._simple(op)
            return
        taps = range(len(op.taps))
        above = [k for k in taps if op.output.known == ROW or op.taps[k][0] < 0]
        beside = [k for k in taps if k not in above]
        if above:
            self._conv(op, ROW, above, start=True)
        if beside:
            self._conv(op, PIXEL, beside, start=not above)

    def _simple(self, op: Op) -> None:
        place = self.places[op.output.number]
        weight = bias = 0
        if op.weight is not None and op.bias is not None:
            weight = self.weights.add(place.spread(op.weight))
            bias = self.bias.add(place.spread(op.bias))
        self._put(op, op.output.known, 0, weight=weight, bias=bias, inputs=0, start=True)
        self.terms += op.kind == "told"

    def _conv(self, op: Op, when: int, taps: list[int], *, start: bool) -> None:
        assert op.weight is not None
        assert op.bias is not None
        source, target = self.places[op.inputs[0].number], self.places[op.output.number]
        before = len(self.stretches[when])
        for k in taps:
            self._tap(when, op.inputs[0].number, *op.taps[k])
        rows = target.spread(op.weight[taps].flatten(0, 1))
        panels = rows.reshape(len(rows), -1, WIDTH)
        self._put(
            op, when, before,
            weight=self.weights.add(panels.transpose(0, 1)),
            bias=self.bias.add(target.spread(op.bias)),
            inputs=len(taps) * source.parts * source.part,
            start=start,
        )  # fmt: skip
        self.work += self.width * len(taps) * source.parts * source.part * target.size

    def _tap(self, when: int, source: int, row: int, column: int) -> None:
        """The stretches of one tap; one that goes on from the last tap becomes part of its."""
        self.rows[source] = max(self.rows[source], 1 - row)
        self.pad[source] = max(self.pad[source], abs(column))
        place = self.places[source]
        for part in range(place.parts):
            self.stretches[when].append([row, column, part * place.padded, source, place.part])

    def _put(
        self, op: Op, when: int, before: int, *, weight: int, bias: int, inputs: int, start: bool
    ) -> None:
        source, target = op.inputs[0].number, op.output.number
        self.stretches[when][before:] = self._joined(self.stretches[when][before:])
        count = len(self.stretches[when]) - before
        self.ops[when].append(
            [
                KINDS[op.kind], source, op.inputs[-1].number, target, before, count,
                weight, inputs, bias, int(start), self.terms, op.groups,
            ]
        )  # fmt: skip

    def _joined(self, stretches: list[list[int]]) -> list[list[int]]:
        """Stretches that lie end to end as one."""
        made: list[list[int]] = []
        for row, column, feature, source, length in stretches:
            size = self.places[source].size
            if made and made[-1][0] == row:
                end = made[-1][1] * size + made[-1][2] + made[-1][4]
                if end == column * size + feature:
                    made[-1][4] += length
                    continue
            made.append([row, column, feature, source, length])
        return made

    def finish(self) -> Layout:
        maps, size = [], 0
        for known, place in zip(self.program.maps, self.places, strict=True):
            rows, pad = self.rows[known.number], self.pad[known.number]
            brief = known.number in self.brief
            maps.append([size, rows, pad, place.size, 0 if brief else place.size])
            size += _whole(rows * (1 if brief else self.width + 2 * pad) * place.size)
        return Layout(
            phases=tuple(map(_phase, self.ops, self.stretches)),  # type: ignore[arg-type]
            maps=np.array(maps, np.int64),
            weights=self.weights.joined(),
            bias=self.bias.joined(),
            places=self.places,
            size=size + WIDTH * (size // WIDTH % 2 == 0),  # odd: images do not share cache lines
            work=self.work,
        )


def _phase(ops: list[list[int]], stretches: list[list[int]]) -> Phase:
    table = np.array(stretches, np.int64).reshape(-1, 5)
    return Phase(
        np.array(ops, np.int64).reshape(-1, 12),
        np.ascontiguousarray(table[:, :4]),
        np.ascontiguousarray(table[:, 4]),
    )


def _brief(program: Program) -> set[int]:
    """Maps that are made and read at one pixel only: one column of them is kept."""
    found = {known.number for known in program.maps if known.known == PIXEL}
    for op in program.ops:
        if any(row < 0 for row, _ in op.taps):  # begun for the whole row
            found.discard(op.output.number)
        if any(tap != (0, 0) for tap in op.taps):
            found.discard(op.inputs[0].number)
    return found


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
    parts = [1 if known.known == ROW else program.groups for known in program.maps]
    parts[program.image.number] = 1
    before: list[int] = []
    while parts != before:
        before = list(parts)
        for op in program.ops:
            _agree(parts, op)
    made = [known.number for known in program.maps[1:]]
    simple = [known.number for op in program.ops if op.kind != "conv" for known in op.inputs]
    padded = {*made, *simple}
    return [
        _place(known.features, parts[known.number], padded=known.number in padded)
        for known in program.maps
    ]


def _agree(parts: list[int], op: Op) -> None:
    """Give what an operation reads and makes the same parts; a gate makes one of two."""
    source, target = op.inputs[0].number, op.output.number
    if op.kind == "gate":
        most = max(parts[source], 2 * parts[target], 2 * op.groups)
        parts[source], parts[target] = most, most // 2
    elif op.kind != "conv":
        numbers = [known.number for known in (*op.inputs, op.output)]
        most = max(parts[number] for number in numbers)
        for number in numbers:
            parts[number] = most


def _place(features: int, parts: int, *, padded: bool) -> Place:
    part = features // parts
    return Place(parts, part, _whole(part) if padded else part)
