"""One row of the scan at a time, for a batch of images, in torch operations.

Nothing in a row depends on the row's number, on the host or on a value: buffers stay where they
are, and the number of the row is a tensor. So a row can be recorded once and replayed for all.

Per image the state has, over all maps, sum(rows kept x (width + padding) x features) numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nextpixel.engine.ring import Ring
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import Embedding
from nextpixel.program.program import LATE, PIXEL, ROW, Map, Op, Program, term_of
from nextpixel.program.schedule import Schedule, Task
from nextpixel.runtime.memory import require

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
        terms: What each "told" adds, by the number of its output: (B or 1, W, F).
    """

    levels: Tensor
    known: Tensor
    uniforms: Tensor
    terms: dict[int, Tensor]


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
    """

    def __init__(self, model: PixelModel, embedding: Embedding, count: int, draw: Draw) -> None:
        self.model, self.draw = model, draw
        self.program = model.lower().pruned()
        self.schedule = Schedule(self.program)
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

    def tell(self, embedding: Embedding) -> None:
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

    def row(self) -> None:
        """Carry out the next row."""
        row = self._read_row()
        above, beside, behind = (self.schedule.tasks[when] for when in (ROW, PIXEL, LATE))
        self._run(above, row, self.columns, None)
        for column in self.columns:
            for group in range(self.program.groups):
                self._run(beside, row, range(column, column + 1), group)
                self._draw(row, column, group)
                self._run(behind, row, range(column, column + 1), None)
        self._write_row(row)

    def _read_row(self) -> Row:
        images = (self.levels, self.known, self.uniforms)
        levels, known, uniforms = (x.index_select(2, self.number).squeeze(2) for x in images)
        terms = {
            output: (term.index_select(1, self.number) if term.shape[1] > 1 else term)
            .squeeze(1)
            .expand(-1, len(self.columns), -1)
            for output, term in self.terms.items()
        }
        return Row(levels, known, uniforms, terms)

    def _write_row(self, row: Row) -> None:
        levels = row.levels.unsqueeze(2)
        self.levels.index_copy_(2, self.number, levels)
        outputs = self._outputs(self.columns, EVERYTHING)
        log_p = self.model.head(outputs, self.model.colors).log_prob(levels)
        self.log_prob += log_p.sum((1, 2, 3))
        for ring in set(self.rings):
            ring.shift()
        self.number += 1

    def _outputs(self, columns: range, features: slice) -> Tensor:
        """What the head reads at some columns, float64, (B, outputs, 1, columns)."""
        outputs = self.rings[self.program.output.number].at(columns, features=features)
        return outputs.double().transpose(1, 2).unsqueeze(2)

    def _draw(self, row: Row, column: int, group: int) -> None:
        """Draw the colors of a group where they are not known, and write them."""
        colors = _share(self.model.colors, group, self.program.groups)
        features = _share(self.program.output.features, group, self.program.groups)
        outputs = self._outputs(range(column, column + 1), features)
        pixel = self.model.head(outputs, colors.stop - colors.start)[:, :, 0, 0]
        here = (slice(None), colors, column)
        drawn = self.draw(pixel, row.uniforms[here])
        row.levels[here] = torch.where(row.known[here], row.levels[here], drawn)
        x = self.model.encode(row.levels[:, :, column, None, None])
        self.rings[0].at(range(column, column + 1)).copy_(x.squeeze(3).transpose(1, 2))

    def _run(self, tasks: list[Task], row: Row, columns: range, group: int | None) -> None:
        """Carry out tasks at some columns, for the features of a color group or for all."""
        for task in tasks:
            op = task.op
            features = _share(op.output.features, group, self.program.groups)
            target = self.rings[op.output.number].at(columns, features=features)
            if op.kind == "conv" and op.output.known == PIXEL and group is not None:
                self._add_beside(task, columns.start, features, target)
            elif op.kind == "conv":
                self._start_conv(task, columns, target)
            else:
                self._run_pointwise(op, row, columns, group, target)

    def _start_conv(self, task: Task, columns: range, target: Tensor) -> None:
        """Set a convolution's output to its bias and what its taps see in the rows above."""
        op, source = task.op, self.rings[task.op.inputs[0].number]
        assert op.bias is not None
        if not task.parts:
            target.copy_(op.bias)
            return
        (part,) = task.parts
        seen = source.seen(columns, part.taps).flatten(0, 1)
        target.copy_(torch.addmm(op.bias, seen, part.weight).view_as(target))

    def _add_beside(self, task: Task, column: int, features: slice, target: Tensor) -> None:
        """Add to a convolution's output what its taps see in the current row."""
        source = self.rings[task.op.inputs[0].number]
        for part in task.parts:
            seen = source.beside(column, part.taps)
            target.squeeze(1).addmm_(seen, part.weight[:, features])

    def _run_pointwise(
        self, op: Op, row: Row, columns: range, group: int | None, target: Tensor
    ) -> None:
        """Carry out what is done feature by feature."""
        groups = self.program.groups
        x, *other = (
            self.rings[source.number].at(columns, features=_share(source.features, group, groups))
            for source in op.inputs
        )
        features = _share(op.output.features, group, groups)
        if op.kind == "relu":
            torch.clamp(x, min=0, out=target)
        elif op.kind == "add":
            torch.add(x, other[0], out=target)
        elif op.kind == "gate":
            _gate(x, target, op.groups if group is None else op.groups // groups)
        elif op.kind == "affine":
            assert op.weight is not None
            assert op.bias is not None
            torch.addcmul(op.bias[features], x, op.weight[features], out=target)
        else:
            term = row.terms[op.output.number][:, columns.start : columns.stop, features]
            torch.add(x, term, out=target)


def _rings(
    program: Program, schedule: Schedule, like: Tensor, count: int, width: int
) -> list[Ring]:
    """Where each map is kept."""

    def make(known: Map) -> Ring:
        rows, pad = schedule.rows[known.number], schedule.pad[known.number]
        return Ring(like, count=count, rows=rows, width=width, pad=pad, features=known.features)

    homes = set(schedule.home)
    made = {known.number: make(known) for known in program.maps if known.number in homes}
    return [made[home] for home in schedule.home]


def _terms(program: Program, embedding: Embedding, like: Tensor) -> dict[int, Tensor]:
    """What each "told" adds, by the number of its output: (B or 1, H or 1, W or 1, F)."""
    return {
        op.output.number: term_of(op, embedding, like).permute(0, 2, 3, 1).contiguous()
        for op in program.ops
        if op.kind == "told"
    }


def _share(count: int, group: int | None, groups: int) -> slice:
    """Features of a color group, or all of them."""
    if group is None:
        return slice(0, count)
    return slice(group * count // groups, (group + 1) * count // groups)


def _gate(x: Tensor, target: Tensor, groups: int) -> None:
    """In each group, tanh of its first half times sigmoid of its second; x has twice as many."""
    first, second = x.unflatten(-1, (groups, 2, -1)).unbind(-2)  # type: ignore[no-untyped-call]
    made = target.unflatten(-1, (groups, -1))  # type: ignore[no-untyped-call]
    torch.mul(torch.tanh(first), torch.sigmoid(second), out=made)
