"""The operations of programs: one class in one file each. A new one is a file and a line here."""

from nextpixel.program.ops.add import Add
from nextpixel.program.ops.affine import Affine
from nextpixel.program.ops.base import LATE, PIXEL, ROW, Call, Map, Op, Part, Tap, View
from nextpixel.program.ops.conv import Conv
from nextpixel.program.ops.gate import Gate
from nextpixel.program.ops.inject import Inject
from nextpixel.program.ops.relu import Relu

OPS: tuple[type[Op], ...] = (Conv, Relu, Gate, Add, Affine, Inject)
"""All of the package, for tests and messages; a program may hold others."""

__all__ = [
    "LATE", "OPS", "PIXEL", "ROW", "Add", "Affine", "Call", "Conv", "Gate", "Inject", "Map", "Op",
    "Part", "Relu", "Tap", "View",
]  # fmt: skip
