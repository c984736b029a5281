"""A program: the operations of a network, in the order in which they are carried out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nextpixel.program.ops import (
    LATE,
    PIXEL,
    ROW,
    Add,
    Affine,
    Cell,
    Conv,
    Gate,
    Inject,
    LocalConv,
    Map,
    Op,
    OutputGate,
    Relu,
    Tap,
    Up,
)
from nextpixel.program.ops.inject import Source


@dataclass
class Program:
    """Operations in order; layers lower themselves to it.

    Args:
        inputs: Planes of the image as `PixelModel.encode` gives it.
        groups: Color groups of the features.
        any_order: Whether the scan may take any order: all is computed at the pixel, and all rows
            of what other pixels read are kept.

    Example:
        >>> import torch
        >>> program = Program(inputs=2, groups=1)
        >>> program.output = program.relu(program.image)
        >>> program.run(torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1)).flatten().tolist()
        [0.0, 2.0]
    """

    inputs: int
    groups: int
    ops: list[Op] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    any_order: bool = False

    def __post_init__(self) -> None:
        """The image is the first map."""
        self.image = self.new_map(self.inputs, LATE)
        self.output = self.image

    def new_map(self, features: int, phase: int, stride: int = 1, *, backward: bool = False) -> Map:
        """Another map, which an operation is to make."""
        made = Map(len(self.maps), features, phase, stride, backward)
        self.maps.append(made)
        return made

    def add_op(self, op: Op) -> Map:
        """Append an operation; its output."""
        self.ops.append(op)
        return op.output

    def apply(self, kind: type[Op], *inputs: Map, **options: object) -> Map:
        """Append an operation whose output has the features and phase that its class says.

        Args:
            kind: Its class.
            *inputs: What it reads.
            **options: Further arguments of the class.
        """
        made = self.new_map(*kind.shape(*inputs), inputs[0].stride)
        return self.add_op(kind(inputs, made, **options))

    def conv(
        self,
        x: Map,
        weight: Tensor,
        taps: Sequence[Tap],
        bias: Tensor | None,
        *,
        phase: int,
        stride: int = 1,
    ) -> Map:
        """A convolution; `weight` (outputs, inputs, taps) in the order of `taps`.

        With stride 2 the taps are read from row 2 R and column 2 C for place (R, C).
        """
        made = self.new_map(len(weight), phase, stride * x.stride)
        return self.add_op(Conv((x,), made, weight, tuple(taps), bias, stride))

    def local_conv(
        self, x: Map, weight: Tensor, taps: Sequence[Tap], bias: Tensor, *, sees_self: bool
    ) -> Map:
        """A locally masked convolution, for any order; `weight` (outputs, inputs, taps)."""
        self.any_order = True
        made = self.new_map(len(weight), PIXEL)
        return self.add_op(LocalConv((x,), made, weight, tuple(taps), bias, sees_self=sees_self))

    def up(
        self, x: Map, weight: Tensor, size: tuple[int, int], bias: Tensor | None, *, phase: int
    ) -> Map:
        """A transposed convolution of stride 2, see `ops.up`; `weight` (outputs, inputs, size)."""
        made = self.new_map(len(weight), phase, x.stride // 2)
        return self.add_op(Up((x,), made, weight, size, bias))

    def relu(self, x: Map) -> Map:
        """The larger of x and 0."""
        return self.apply(Relu, x)

    def gate(self, x: Map, groups: int = 1) -> Map:
        """In each group, tanh of its first half times sigmoid of its second."""
        return self.apply(Gate, x, groups=groups)

    def add(self, x: Map, y: Map) -> Map:
        """X + y; one may be known for the row, the other not."""
        return self.apply(Add, x, y)

    def affine(self, x: Map, factor: Tensor, bias: Tensor) -> Map:
        """X times a factor plus a bias, feature by feature."""
        return self.apply(Affine, x, factor=factor, bias=bias)

    def lstm(
        self,
        gates: Map,
        weight: Tensor,
        taps: Sequence[Tap],
        before: Tap,
        *,
        groups: int,
        backward: bool = False,
        first_row: int = 0,
    ) -> Map:
        """Cells that read what they let out at places before; what they let out, (F).

        Args:
            gates: What the input adds to the gates, (4 F).
            weight: What they add themselves, (4 F, F, taps).
            taps: Where they read what was let out.
            before: Row and column of the cell before.
            groups: Color groups.
            backward: Whether rows run from right to left, as a whole before a row's first pixel.
            first_row: Rows above it have empty cells.
        """
        phase, size = ROW if backward else gates.phase, weight.shape[1]
        out, cells, state, total = (
            self.new_map(features, phase, backward=backward)
            for features in (size, size, len(weight), len(weight))
        )
        self.add_op(Conv((out,), state, weight, tuple(taps), None))
        self.add_op(Add((gates, state), total))
        self.add_op(Cell((cells, total), cells, before, groups, first_row))
        return self.add_op(OutputGate((cells, total), out, groups))

    def inject(self, x: Map, source: Source, order: Tensor | None = None) -> Map:
        """X + a constant map, or + what conditions add, its features in `order`."""
        if getattr(source, "is_empty", False):
            return x
        return self.apply(Inject, x, source=source, order=order)

    def pruned(self) -> "Program":
        """Itself without the operations that nothing reads."""
        read = {self.output.number}
        for op in reversed(self.ops):
            if op.output.number in read:
                read.update(x.number for x in op.inputs)
        self.ops = [op for op in self.ops if op.output.number in read]
        return self

    def run(self, image: Tensor, embedding: object = None) -> Tensor:
        """Carry it out on whole images, (B, inputs, H, W) -> (B, outputs, H, W).

        Where operations read maps that later ones make, as cells do, they are carried out from
        zeros on until nothing changes any more: each time more places are right.
        """
        values = {self.image.number: image}
        for body in self.bodies():
            self._carry_out(body, values, embedding)
        return values[self.output.number]

    def bodies(self) -> Iterator[list[Op]]:
        """In order, operations that are carried out together: one, or those of a loop."""
        number = 0
        while number < len(self.ops):
            body = self.ops[number : self._last_of_loop(number) + 1]
            number += len(body)
            yield body

    @property
    def loops(self) -> bool:
        """Whether an operation reads a map that it or a later one makes."""
        return any(self._last_of_loop(number) > number for number in range(len(self.ops)))

    def _last_of_loop(self, number: int) -> int:
        """The last operation that has to be carried out together with operation `number`."""
        makers = {op.output.number: n for n, op in enumerate(self.ops)}
        last = number
        while number <= last:
            read = [makers.get(x.number, 0) for x in self.ops[number].inputs]
            last, number = max(last, *read), number + 1
        return last

    def _carry_out(self, body: list[Op], values: dict[int, Tensor], embedding: object) -> None:
        """Carry out one operation, or those of a loop until nothing changes any more."""
        image = values[self.image.number]
        loops = any(x.number not in values for op in body for x in op.inputs)
        for op in body if loops else ():
            values[op.output.number] = _zeros(image, op.output)
        for _ in range(image[0, 0].numel() + 1 if loops else 1):
            before = [values[op.output.number] for op in body if loops]
            for op in body:
                inputs = [values[x.number] for x in op.inputs]
                inputs += op.extra_inputs(embedding, image)
                values[op.output.number] = op.reference(*inputs)
            after = [values[op.output.number] for op in body]
            if not loops or all(map(torch.equal, before, after)):
                break


def _zeros(image: Tensor, made: Map) -> Tensor:
    count, _, height, width = image.shape
    return image.new_zeros(count, made.features, height // made.stride, width // made.stride)
