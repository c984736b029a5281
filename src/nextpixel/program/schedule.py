"""When each operation of a program runs in a scan: before a row, at a pixel, or after it.

A convolution whose output is known at the pixel is split: what it reads in the rows above is summed
for the whole row before the row's first pixel, and what it reads in its own row is added when the
scan is there.

A schedule that folds starts every convolution in the row, on top of its bias. Whatever else is
known before the row (conditions, maps of places, the vertical stack) and is added to a convolution
then joins that first sum, so that it costs nothing at a pixel; a factor (a batch norm) is applied
to that sum and to the weights of the second part. The order of sums is another, so an executor that
promises its bits keeps to one of the two.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.program.ops import LATE, PIXEL, ROW, Affine, Conv, Map, Op, Part, Tap, Up
from nextpixel.program.program import Program


@dataclass(frozen=True, eq=False)
class Task:
    """An operation, or some taps of a convolution, that runs in one phase.

    Attributes:
        op: The operation.
        taps: Numbers of the taps that are summed now.
        start: Whether it sets its output, or adds to it.
        factor: What the weights are multiplied by, (outputs,), if by anything.
        parity: Rows and columns of the output, mod 2, that are made now; None: all.
        backward: Whether it runs before the row column by column, from right to left, together
            with the tasks next to it that do.
    """

    op: Op
    taps: tuple[int, ...] = ()
    start: bool = True
    factor: Tensor | None = None
    parity: tuple[int, int] | None = None
    backward: bool = False

    @property
    def every(self) -> int:
        """Rows and columns of the image from one place that is computed to the next."""
        return self.op.output.stride * (1 if self.parity is None else 2)

    @property
    def offset(self) -> tuple[int, int]:
        """Row and column of the image of the first place."""
        row, column = self.parity or (0, 0)
        return row * self.op.output.stride, column * self.op.output.stride

    def is_due(self, row: int) -> bool:
        """Whether there are places in a row of the image."""
        return (row - self.offset[0]) % self.every == 0

    def columns(self, columns: range) -> range:
        """Those of some columns of the image at which there are places."""
        first = columns.start + (self.offset[1] - columns.start) % self.every
        return range(first, columns.stop, self.every)

    def parts(self, *, in_runs: bool) -> tuple[Part, ...]:
        """The taps as matrices: one, or one for each run of neighbours in the row."""
        if not isinstance(self.op, Conv) or not self.taps:
            return ()
        taps = self.op.taps
        runs = _runs([(n, taps[n][1]) for n in self.taps]) if in_runs else [list(self.taps)]
        return tuple(self._part(self.op, run) for run in runs)

    def _part(self, op: Conv, run: list[int]) -> Part:
        weight = op.weight[run].flatten(0, 1)
        weight = weight if self.factor is None else weight * self.factor
        return Part(tuple(op.taps[n] for n in run), weight)


class Schedule:
    """A program's operations sorted by when they run, and what must be kept of its maps.

    Args:
        program: What a model is lowered to.
        fold: Whether every convolution starts in the row, and takes what the row knows with it.
        height: Of the images; needed where a map is kept whole, for attention.

    Raises:
        NextPixelError: If an operation would read what is made later.

    Attributes:
        tasks: For ROW, PIXEL and LATE, what runs then, in order.
        rows: Of each map, how many rows are kept: its own and those that are looked back at.
        pad: Of each map, how many columns of zeros lie at either side.
        home: Of each map, the map in whose place it is kept: itself, or what it is folded into.
        brief: Maps that are made and read at one pixel only: one column of them suffices.
    """

    def __init__(self, program: Program, *, fold: bool = False, height: int | None = None) -> None:
        self.fold, self.groups, self.height = fold, program.groups, height
        self.any_order = program.any_order
        self._made = {program.image.number}
        self.tasks: tuple[list[Task], list[Task], list[Task]] = ([], [], [])
        count = len(program.maps)
        self.rows, self.pad, self.home = [1] * count, [0] * count, list(range(count))
        self._readers = Counter(x.number for op in program.ops for x in op.inputs)
        self._readers[program.output.number] += 1
        self._sums: dict[int, int | None] = {}  # map -> place in tasks[PIXEL] of what adds to it
        for op in program.ops:
            self._place(op)
            self._made.add(op.output.number)
            self._keep_whole(op)
        self._check_whole(program)
        self.brief = _brief(program)

    def numbers(self, program: Program, width: int) -> int:
        """How many numbers are kept of an image of so many columns."""
        return sum(
            self.rows[kept.number]
            * (width // kept.stride + 2 * self.pad[kept.number])
            * kept.features
            for kept in program.maps
            if self.home[kept.number] == kept.number
        )

    def _place(self, op: Op) -> None:
        if isinstance(op, Up):
            self._place_up(op)
        elif isinstance(op, Conv):
            self._place_conv(op)
        elif self._folds(op):
            self._fold(op)
        else:
            if op.taps:
                self._check_order(op)
                self._keep(op.inputs[0], op.taps)
            taps = tuple(range(len(op.taps)))
            self.tasks[op.output.phase].append(Task(op, taps, backward=op.output.backward))

    def _folds(self, op: Op) -> bool:
        """Whether it applies what the row knows to a convolution that nothing else reads."""
        x = op.inputs[0].number
        return op.is_row_constant and x in self._sums and self._readers[x] == 1

    def _fold(self, op: Op) -> None:
        """Do it to the first sum, in place."""
        x, made = op.inputs[0].number, op.output.number
        self.home[made], later = self.home[x], self._sums[x]
        self.tasks[ROW].append(Task(op))
        if isinstance(op, Affine) and later is not None:
            task = self.tasks[PIXEL][later]
            factor = op.weight if task.factor is None else task.factor * op.weight
            self.tasks[PIXEL][later] = replace(task, factor=factor)
        self._sums[made] = later

    def _place_up(self, op: Up) -> None:
        """A convolution a parity; none reads rows that are not yet there, or already gone."""
        self._check_order(op)
        self._keep(op.inputs[0], op.taps)
        for parity in sorted(set(op.parities)):
            taps = tuple(n for n, own in enumerate(op.parities) if own == parity)
            self.tasks[op.output.phase].append(Task(op, taps, parity=parity))

    def _place_conv(self, op: Conv) -> None:
        if self.any_order:
            self._keep_around(op)
            self.tasks[PIXEL].append(Task(op, tuple(range(len(op.taps)))))
            return
        self._check_order(op)
        self._keep(op.inputs[0], op.taps)
        whole_row = op.output.phase == ROW and not op.output.backward
        early = tuple(n for n, (row, _) in enumerate(op.taps) if row < 0 or whole_row)
        late = tuple(n for n in range(len(op.taps)) if n not in early)
        starts_early = bool(early) or self.fold or op.output.phase == ROW or not late
        if starts_early:
            self.tasks[ROW].append(Task(op, early))
        if self.fold and op.output.phase == PIXEL:
            self._sums[op.output.number] = len(self.tasks[PIXEL]) if late else None
        if late:
            task = Task(op, late, start=not starts_early, backward=op.output.backward)
            self.tasks[op.output.phase].append(task)

    def _keep(self, source: Map, taps: Sequence[Tap]) -> None:
        home = self.home[source.number]
        for row, column in taps:
            self.rows[home] = max(self.rows[home], 1 - row)
            self.pad[home] = max(self.pad[home], abs(column))

    def _keep_around(self, op: Conv) -> None:
        """Keep all rows of what other pixels read, and as many of zeros as lie next to them."""
        self._keep(op.inputs[0], op.taps)
        reach = max(abs(row) for row, _ in op.taps)
        if reach and self.height is None:
            raise NextPixelError(f"the height must be stated for the operation {op.name}")
        if reach and self.height is not None:
            home = self.home[op.inputs[0].number]
            self.rows[home] = max(self.rows[home], self.height + reach)

    def _keep_whole(self, op: Op) -> None:
        for number in op.whole:
            if self.height is None:
                raise NextPixelError(f"the height must be stated for the operation {op.name}")
            kept = op.inputs[number].number
            self.rows[self.home[kept]] = self.height

    def _check_whole(self, program: Program) -> None:
        """Refuse a map that is kept whole and has columns of zeros: no executor steps over them."""
        for op in program.ops:
            for number in op.whole:
                if self.pad[op.inputs[number].number]:
                    raise NextPixelError(
                        f"a convolution reads columns next to a place of what {op.name} reads"
                    )

    def _check_order(self, op: Op) -> None:
        """Refuse what would read a map before it is made.

        Of the image's own place, color groups see the colors that are drawn. A map that a later
        operation makes is read to the left, or to the right where rows run backward.

        Raises:
            NextPixelError: Naming the operation and the tap.
        """
        source, phase = op.inputs[0], op.output.phase
        if phase == LATE:
            return
        loops = source.number not in self._made
        own = (
            -1
            if loops
            else {ROW: math.inf, PIXEL: 0, LATE: 0 if self.groups > 1 else -1}[source.phase]
        )  # the last column of its own row
        backward = loops and op.output.backward
        in_turn = phase == PIXEL or backward or (source.phase == ROW and not loops)
        last = own if in_turn else -math.inf
        for row, column in op.taps:
            if row > 0 or (row == 0 and (-column if backward else column) > last):
                raise NextPixelError(
                    f"the operation {op.name} reads at {row, column} what is made later: its "
                    "phase, or that of what it reads, is wrong"
                )


def _brief(program: Program) -> set[int]:
    """Maps that are made and read at one pixel only."""
    found = {made.number for made in program.maps if made.phase == PIXEL}
    for op in program.ops:
        taps = op.taps
        found.difference_update(op.inputs[number].number for number in op.whole)
        if isinstance(op, Up):  # at other pixels than those where it is made
            found.discard(op.inputs[0].number)
        if isinstance(op, Conv) and any(row < 0 for row, _ in taps):  # begun for the whole row
            found.discard(op.output.number)
        if any(tap != (0, 0) for tap in taps):
            found.discard(op.inputs[0].number)
    return found


def _runs(columns: list[tuple[int, int]]) -> list[list[int]]:
    """Split (number, column) into runs of neighbours, which lie in memory as one vector.

    Example:
        >>> _runs([(0, -4), (1, -2), (2, -1), (3, 0)])
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
