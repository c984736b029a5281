"""When each operation of a program runs in a scan: before a row, at a pixel, or behind it.

A convolution is split: what it reads in the rows above is summed for the whole row before the row's
first pixel, on top of its bias, and what it reads beside the pixel is added when the scan is there.
Whatever else is known before the row (conditions, maps of places, the vertical stack) and is added
to a convolution joins that first sum, so that it costs nothing at a pixel; a factor (a batch norm)
is applied to that sum and to the weights of the second part.
"""

from collections import Counter
from dataclasses import dataclass, replace

from torch import Tensor

from nextpixel.program.program import PIXEL, ROW, Map, Op, Program, Tap


@dataclass(frozen=True, eq=False)
class Part:
    """Taps of a convolution that are read together, as one matrix.

    Attributes:
        taps: Rows and columns from the place that is computed.
        weight: (taps * inputs, outputs).
    """

    taps: tuple[Tap, ...]
    weight: Tensor


@dataclass(frozen=True, eq=False)
class Task:
    """An operation, or the part of a convolution, that runs at one of the three times.

    Attributes:
        op: The operation.
        parts: Of a convolution: what is summed now.
    """

    op: Op
    parts: tuple[Part, ...] = ()


class Schedule:
    """A program's operations sorted by when they run, and what must be kept of its maps.

    Args:
        program: What a model is lowered to.

    Attributes:
        tasks: For ROW, PIXEL and LATE (`nn/program.py`), what runs then, in order. A convolution in
            the first list sets its output, one in the second adds to it.
        rows: Of each map, how many rows are kept: its own and those that are looked back at.
        pad: Of each map, how many columns of zeros lie at either side.
        home: Of each map, the map in whose place it is kept: itself, or what it is added onto.
    """

    def __init__(self, program: Program) -> None:
        self.tasks: tuple[list[Task], list[Task], list[Task]] = ([], [], [])
        count = len(program.maps)
        self.rows, self.pad, self.home = [1] * count, [0] * count, list(range(count))
        self._readers = Counter(x.number for op in program.ops for x in op.inputs)
        self._readers[program.output.number] += 1
        self._sums: dict[int, int | None] = {}  # map -> place in tasks[PIXEL] of what adds to it
        for op in program.ops:
            self._place(op)

    def numbers(self, program: Program, width: int) -> int:
        """How many numbers are kept of an image of so many columns."""
        return sum(
            self.rows[known.number] * (width + 2 * self.pad[known.number]) * known.features
            for known in program.maps
            if self.home[known.number] == known.number
        )

    def _place(self, op: Op) -> None:
        if op.kind == "conv":
            self._place_conv(op)
        elif self._joins(op):
            self._join(op)
        else:
            self.tasks[op.output.known].append(Task(op))

    def _joins(self, op: Op) -> bool:
        """Whether it applies what the row knows to a convolution that nothing else reads."""
        x = op.inputs[0].number
        known = op.kind in ("told", "affine") or (op.kind == "add" and op.inputs[1].known == ROW)
        return known and x in self._sums and self._readers[x] == 1

    def _join(self, op: Op) -> None:
        """Do it to the first sum, in place."""
        x, made = op.inputs[0].number, op.output.number
        self.home[made], beside = self.home[x], self._sums[x]
        self.tasks[ROW].append(Task(op))
        if op.kind == "affine" and beside is not None:
            self.tasks[PIXEL][beside] = _scaled(self.tasks[PIXEL][beside], op.weight)
        self._sums[made] = beside

    def _place_conv(self, op: Op) -> None:
        self._keep(op.inputs[0], op.taps)
        now = [n for n, (row, _) in enumerate(op.taps) if row < 0 or op.output.known == ROW]
        beside = [n for n in range(len(op.taps)) if n not in now]
        self.tasks[ROW].append(Task(op, (_part(op, now),) if now else ()))
        if op.output.known == PIXEL:
            self._sums[op.output.number] = len(self.tasks[PIXEL]) if beside else None
        if beside:
            runs = _side_by_side([(n, op.taps[n][1]) for n in beside])
            self.tasks[PIXEL].append(Task(op, tuple(_part(op, run) for run in runs)))

    def _keep(self, source: Map, taps: tuple[Tap, ...]) -> None:
        home = self.home[source.number]
        for row, column in taps:
            self.rows[home] = max(self.rows[home], 1 - row)
            self.pad[home] = max(self.pad[home], abs(column))


def _part(op: Op, numbers: list[int]) -> Part:
    assert op.weight is not None
    weight = op.weight[numbers].flatten(0, 1)
    return Part(tuple(op.taps[number] for number in numbers), weight)


def _scaled(task: Task, factor: Tensor | None) -> Task:
    assert factor is not None
    parts = tuple(replace(part, weight=part.weight * factor) for part in task.parts)
    return replace(task, parts=parts)


def _side_by_side(columns: list[tuple[int, int]]) -> list[list[int]]:
    """Split (number, column) into runs of neighbours, which lie in memory as one vector.

    Example:
        >>> _side_by_side([(0, -4), (1, -2), (2, -1), (3, 0)])
        [[0], [1, 2, 3]]
    """
    runs: list[list[int]] = []
    last = None
    for number, column in columns:
        if last is None or column != last + 1:
            runs.append([])
        runs[-1].append(number)
        last = column
    return runs
