"""Nets that read one window of the image, and then their own pixel only, carried out anywhere.

Such a net keeps nothing of other pixels but their levels. So places whose windows are known can go
through it together, sixteen at a time, wherever they lie, with a state of a few kilobytes each.

The program of the net is rewritten: the window becomes the features of a neighbour to the left, and
what convolutions read of the image they read of that neighbour.
"""

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextpixel.engine.cpu.executor import (
    Prepared,
    prepared,
    prepared_program,
    query_address,
    spot_address,
)
from nextpixel.heads import CompiledCDF
from nextpixel.models import PixelModel
from nextpixel.program import Map, Program, Tap
from nextpixel.program.ops import (
    PIXEL,
    Add,
    Affine,
    ConcatElu,
    Conv,
    Elu,
    Gate,
    Gelu,
    LayerNorm,
    Op,
    Relu,
)

POINTWISE = (Relu, Elu, ConcatElu, Gelu, Gate, Add, Affine, LayerNorm)
"""Operations that read at their own place only."""


@dataclass(frozen=True, eq=False)
class PreparedWindow:
    """A net of one window, ready to be carried out at any places.

    Attributes:
        made: The rewritten program on images of one row: the window, then the pixel.
        taps: Rows and columns of the window from the pixel, (n, 2), in the order of its features.
    """

    made: Prepared
    taps: NDArray[np.int64]

    @property
    def advance(self) -> int:
        """Address of what prepares a color once the one before it is drawn; 0: there is no CDF."""
        head = self.made.head.compiled
        if not isinstance(head, CompiledCDF) or head.advance is None:
            return self.made.plan.cdf[0]
        return spot_address(head.advance)

    @property
    def moments(self) -> int:
        """Address of what says where the levels of a sub-pixel lie; 0: nothing does."""
        head = self.made.head.compiled
        if not isinstance(head, CompiledCDF) or head.moments is None:
            return 0
        return query_address(head.moments)

    @property
    def lag(self) -> int:
        """Columns by which a row must follow the row above."""
        return 1 + max(0, int(self.taps[:, 1].max()))


def window_of(program: Program) -> list[Tap] | None:
    """What a program reads of the image, if all else is read at its own place; None: it is not."""
    taps: set[Tap] = set()
    for op in program.ops:
        if type(op) is Conv and op.inputs[0] is program.image and op.stride == 1:
            taps.update(op.taps)
        elif program.image in op.inputs or not (
            type(op) in POINTWISE or (type(op) is Conv and op.taps == ((0, 0),))
        ):
            return None
    return sorted(taps) if taps and (0, 0) not in taps else None


def prepare_window(model: PixelModel) -> PreparedWindow | None:
    """A model as a net of one window; None if it is none, or takes a condition.

    Raises:
        NextPixelError: As `executor.prepared`.
    """
    conditioner = model.conditioner
    if type(model).lower is PixelModel.lower or conditioner.conditions or conditioner.order:
        return None
    program = prepared(model).program  # compared with the model, and its steps where not our own
    taps = window_of(program) if program.groups == 1 else None
    if taps is None:
        return None
    made = prepared_program(model, _rewritten(program, taps), (1, 2))
    return PreparedWindow(made, np.array(taps, np.int64))


def _rewritten(program: Program, taps: list[Tap]) -> Program:
    """The same operations, reading the window as features of the place to the left."""
    made = Program(program.inputs * len(taps), groups=1)
    maps: dict[int, Map] = {program.image.number: made.image}
    for op in program.ops:
        inputs = [maps[x.number] for x in op.inputs]
        if isinstance(op, Conv) and op.inputs[0] is program.image:
            maps[op.output.number] = _window_conv(made, op, taps)
        else:
            maps[op.output.number] = made.add_op(_moved(op, inputs, made))
    made.output = maps[program.output.number]
    return made


def _window_conv(made: Program, op: Conv, taps: list[Tap]) -> Map:
    weight = op.weight.new_zeros(len(taps), *op.weight.shape[1:])
    weight[[taps.index(tap) for tap in op.taps]] = op.weight
    flat = weight.flatten(0, 1).T.unsqueeze(-1)
    return made.conv(made.image, flat, [(0, -1)], op.bias, phase=PIXEL)


def _moved(op: Op, inputs: list[Map], made: Program) -> Op:
    """An operation between other maps."""
    moved = copy.copy(op)
    moved.inputs = tuple(inputs)
    moved.output = made.new_map(op.output.features, PIXEL)
    return moved
