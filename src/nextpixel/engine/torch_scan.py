"""One row of the scan at a time, for a batch of images, in torch operations.

Nothing in a row depends on a value, nor on the row's number but for its turn, the number modulo the
largest stride (1 in a network of one resolution): the last rows of each map lie in a `Ring`, at
addresses that are the same for every row, and the number of the row is a tensor. So a row of each
turn can be recorded once and replayed for all.

Per image the state has, over all maps, sum(rows kept x (width + padding) x features) numbers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from nextpixel.engine.lowering import lowered
from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import Embedding
from nextpixel.program import LATE, PIXEL, ROW, Map, Program, Schedule, Tap, Task
from nextpixel.program.ops import Inject, Part
from nextpixel.runtime.device import require


class Ring:
    """Rows of a map, the current one last, with columns of zeros at either side.

    Rows move up by one when a row ends, so that what reads and writes them can be recorded once.

    Args:
        like: Gives dtype and device.
        count: Images B.
        rows: Rows that are kept.
        width: Columns of the image.
        pad: Columns of zeros at either side.
        features: F.
        stride: Rows of the image that a row stands for.
    """

    def __init__(
        self,
        like: Tensor,
        *,
        count: int,
        rows: int,
        width: int,
        pad: int,
        features: int,
        stride: int = 1,
    ) -> None:
        self.values = like.new_zeros(count, rows, width + 2 * pad, features)
        self.pad, self.stride = pad, stride

    def at(self, columns: range, row: int = 0, features: slice = slice(None)) -> Tensor:
        """A view of some columns, (B, columns, features); `row` is 0 or counts back from there."""
        left, right = columns.start + self.pad, columns.stop + self.pad
        return self.values[:, row - 1, left : right : columns.step, features]

    def seen(self, columns: range, taps: tuple[tuple[int, int], ...]) -> Tensor:
        """What taps see from some columns, (B, columns, taps * F).

        Of one column, and taps that are neighbours in the current row, it is a view.
        """
        (row, first), (last_row, last) = taps[0], taps[-1]
        if len(columns) == 1 and row == last_row == 0 and last - first == len(taps) - 1:
            run = range(columns.start + first, columns.start + last + 1)
            return self.at(run).flatten(1).unsqueeze(1)
        shifted = [
            self.at(range(columns.start + column, columns.stop + column, columns.step), row)
            for row, column in taps
        ]
        return torch.cat(shifted, -1)

    def shift(self, turn: int) -> None:
        """Move rows up by one where the image's row is the last of the current one."""
        if self.values.shape[1] > 1 and (turn + 1) % self.stride == 0:
            self.values[:, :-1] = self.values[:, 1:].clone()

    def clear(self) -> None:
        """Above the image all is zero."""
        self.values.zero_()


Draw = Callable[[Distribution, Tensor], Tensor]
"""Levels of a distribution by uniforms, shape S -> S."""

EVERYTHING = slice(None)


@dataclass(frozen=True)
class Row:
    """What is known of the current row, with B images, C colors, W columns.

    Attributes:
        levels: (B, C, W): the known ones, and those drawn so far.
        known: (B, C, W).
        uniforms: (B, C, W).
        terms: What is added from outside the image, by the number of its output: (B or 1, W, F).
        turn: Its number modulo `Scan.turns`.
    """

    levels: Tensor
    known: Tensor
    uniforms: Tensor
    terms: dict[int, Tensor]
    turn: int


class Scan:
    """Images on their way through the scan, with all that is kept of them, on the model's device.

    Args:
        model: In evaluation mode.
        embedding: Conditions.
        count: Images B.
        draw: Draws levels from a distribution.

    Attributes:
        levels: Int64, (B, C, H, W); rows that are done hold the drawn ones.
        log_prob: Of the rows that are done, nats, float64, (B,).
        number: How many rows are done, int64, (1,).
        turns: Kinds of rows: those of one turn are carried out alike.
    """

    def __init__(self, model: PixelModel, embedding: Embedding, count: int, draw: Draw) -> None:
        self.model, self.draw = model, draw
        self.program = lowered(model)
        if self.program.any_order:
            raise NextPixelError(f"{model.name} visits pixels in any order, this engine row by row")
        self.schedule = Schedule(self.program, fold=True, height=model.shape[1])
        self.tasks = tuple(
            [(task, task.parts(in_runs=phase == PIXEL)) for task in tasks]
            for phase, tasks in enumerate(self.schedule.tasks)
        )
        self.turns = max(task.every for tasks in self.schedule.tasks for task in tasks)
        like = next(model.parameters()).detach()
        self.columns = range(model.shape[2])
        needed = count * self.schedule.numbers(self.program, model.shape[2]) * like.element_size()
        what = f"the scan of {count} images"
        require(needed, what, "make batch_size or the images smaller", like.device)
        self.rings = _rings(self.program, self.schedule, like, count, len(self.columns))
        self.terms = _terms(self.program, embedding, like)
        self.levels = torch.zeros(count, *model.shape, dtype=torch.int64, device=like.device)
        self.known = torch.zeros_like(self.levels, dtype=torch.bool)
        self.uniforms = torch.zeros_like(self.levels, dtype=torch.float64)
        self.log_prob = self.uniforms.new_zeros(count)
        self.number = self.levels.new_zeros(1)

    @property
    def nbytes(self) -> int:
        """Bytes of the feature maps that are kept, of all images."""
        return sum(ring.values.nbytes for ring in set(self.rings))

    def set_embedding(self, embedding: Embedding) -> None:
        """Take other conditions for as many images."""
        for number, term in _terms(self.program, embedding, self.rings[0].values).items():
            self.terms[number].copy_(term)

    def start(self, levels: Tensor, known: Tensor, uniforms: Tensor) -> None:
        """Begin at the top: keep `levels` where `known`, draw by `uniforms`; all (B, C, H, W)."""
        self.levels.copy_(levels)
        self.known.copy_(known)
        self.uniforms.copy_(uniforms)
        self.clear()

    def clear(self) -> None:
        """Go back to the top; above the image all features are zero."""
        for ring in set(self.rings):
            ring.clear()
        self.log_prob.zero_()
        self.number.zero_()

    def row(self, turn: int = 0) -> None:
        """Carry out the next row, whose number is `turn` modulo `turns`."""
        row = self._read_row(turn)
        self._run(ROW, row, self.columns, None)
        for column in self.columns:
            for group in range(self.program.groups):
                self._run(PIXEL, row, range(column, column + 1), group)
                self._draw(row, column, group)
                self._run(LATE, row, range(column, column + 1), None)
        self._write_row(row)

    def _read_row(self, turn: int) -> Row:
        images = (self.levels, self.known, self.uniforms)
        levels, known, uniforms = (x.index_select(2, self.number).squeeze(2) for x in images)
        terms = {
            output: (term.index_select(1, self.number) if term.shape[1] > 1 else term)
            .squeeze(1)
            .expand(-1, len(self.columns), -1)
            for output, term in self.terms.items()
        }
        return Row(levels, known, uniforms, terms, turn)

    def _write_row(self, row: Row) -> None:
        levels = row.levels.unsqueeze(2)
        self.levels.index_copy_(2, self.number, levels)
        outputs = self._outputs(self.columns, EVERYTHING)
        log_p = self.model.read_head(outputs, levels).log_prob(levels)
        self.log_prob += log_p.sum((1, 2, 3))
        for ring in set(self.rings):
            ring.shift(row.turn)
        self.number += 1

    def _outputs(self, columns: range, features: slice) -> Tensor:
        """What the head reads at some columns, float64, (B, outputs, 1, columns)."""
        outputs = self.rings[self.program.output.number].at(columns, features=features)
        return outputs.double().transpose(1, 2).unsqueeze(2)

    def _draw(self, row: Row, column: int, group: int) -> None:
        """Draw the colors of a group where they are not known, and write them."""
        colors = _share(self.model.colors, group, self.program.groups)
        if self.model.head.sees_colors:  # each color waits for those before it
            for color in range(colors.start, colors.stop):
                self._draw_colors(row, column, slice(color, color + 1))
        else:
            self._draw_colors(row, column, colors)
        x = self.model.encode(row.levels[:, :, column, None, None])
        self.rings[0].at(range(column, column + 1)).copy_(x.squeeze(3).transpose(1, 2))

    def _draw_colors(self, row: Row, column: int, colors: slice) -> None:
        outputs = self._outputs(range(column, column + 1), EVERYTHING)
        levels = row.levels[:, :, column, None, None]
        pixel = self.model.read_head(outputs, levels)[:, colors, 0, 0]
        here = (slice(None), colors, column)
        drawn = self.draw(pixel, row.uniforms[here])
        row.levels[here] = torch.where(row.known[here], row.levels[here], drawn)

    def _run(self, phase: int, row: Row, columns: range, group: int | None) -> None:
        """Carry out a phase at some columns, for the features of a color group or for all."""
        for backward, tasks in groupby(self.tasks[phase], lambda one: one[0].backward):
            if not backward:
                self._run_tasks(tasks, row, columns, group)
                continue
            kept = list(tasks)
            for column in reversed(columns):
                self._run_tasks(kept, row, range(column, column + 1), group)

    def _run_tasks(
        self,
        tasks: Iterable[tuple[Task, tuple[Part, ...]]],
        row: Row,
        columns: range,
        group: int | None,
    ) -> None:
        for task, parts in tasks:
            if task.is_due(row.turn) and task.columns(columns):
                task.op.step(_Places(self, task, parts, row, columns, group))


class _Places:
    """Where a task computes: the view of its step, see `nextpixel.program.ops.View`."""

    def __init__(
        self,
        scan: Scan,
        task: Task,
        parts: tuple[Part, ...],
        row: Row,
        columns: range,
        group: int | None,
    ) -> None:
        self.scan, self.op, self.start, self.parts = scan, task.op, task.start, parts
        self.current, self.columns, self.group = row, task.columns(columns), group

    def _own(self, kept: Map) -> range:
        """The columns of a map that are those of the image."""
        first, step = self.columns.start // kept.stride, max(1, self.columns.step // kept.stride)
        return range(first, first + (len(self.columns) - 1) * step + 1, step)

    def _share(self, kept: Map) -> slice:
        return _share(kept.features, self.group, self.scan.program.groups)

    @property
    def features(self) -> slice:
        """Which features of the output are computed."""
        return self._share(self.op.output)

    @property
    def inputs(self) -> list[Tensor]:
        """What the operation reads there, each (B, N, features)."""
        return [
            self.scan.rings[kept.number].at(self._own(kept), features=self._share(kept))
            for kept in self.op.inputs
        ]

    @property
    def target(self) -> Tensor:
        """Where its output goes, (B, N, features)."""
        ring = self.scan.rings[self.op.output.number]
        return ring.at(self._own(self.op.output), features=self.features)

    @property
    def term(self) -> Tensor:
        """What is added from outside the image there, (B or 1, N, features)."""
        term = self.current.terms[self.op.output.number]
        return term[:, self.columns.start : self.columns.stop : self.columns.step, self.features]

    @property
    def row(self) -> Tensor:
        """The number of the row, (1,)."""
        return self.scan.number

    @property
    def column(self) -> int:
        """The number of the first column."""
        return self.columns.start

    def whole(self, number: int) -> Tensor:
        """All rows that are kept of an input, (B, rows, W, F); the last is this one."""
        return self.scan.rings[self.op.inputs[number].number].values

    def seen(self, taps: tuple[Tap, ...]) -> Tensor:
        """What taps see of the first input there, (B, N, taps * inputs)."""
        source = self.op.inputs[0]
        return self.scan.rings[source.number].seen(self._own(source), taps)


def _rings(
    program: Program, schedule: Schedule, like: Tensor, count: int, width: int
) -> list[Ring]:
    """Where each map is kept."""

    def make(known: Map) -> Ring:
        rows, pad = schedule.rows[known.number], schedule.pad[known.number]
        return Ring(
            like, count=count, rows=rows, width=width // known.stride, pad=pad,
            features=known.features, stride=known.stride,
        )  # fmt: skip

    homes = set(schedule.home)
    made = {known.number: make(known) for known in program.maps if known.number in homes}
    return [made[home] for home in schedule.home]


def _terms(program: Program, embedding: Embedding, like: Tensor) -> dict[int, Tensor]:
    """What is added from outside the image: (B or 1, H or 1, W or 1, F)."""
    return {
        op.output.number: op.term(embedding, like).permute(0, 2, 3, 1).contiguous()
        for op in program.ops
        if isinstance(op, Inject)
    }


def _share(count: int, group: int | None, groups: int) -> slice:
    """Features of a color group, or all of them."""
    if group is None:
        return slice(0, count)
    return slice(group * count // groups, (group + 1) * count // groups)
