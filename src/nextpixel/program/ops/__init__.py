"""The operations of programs: one class in one file each. A new one is a file and a line here."""

from nextpixel.program.ops.add import Add
from nextpixel.program.ops.affine import Affine
from nextpixel.program.ops.attend import Attend
from nextpixel.program.ops.base import LATE, PIXEL, ROW, Call, Map, Op, Part, Tap, View
from nextpixel.program.ops.cell import Cell, OutputGate
from nextpixel.program.ops.concat_elu import ConcatElu
from nextpixel.program.ops.conv import Conv
from nextpixel.program.ops.elu import Elu
from nextpixel.program.ops.gate import Gate
from nextpixel.program.ops.gelu import Gelu
from nextpixel.program.ops.inject import Inject
from nextpixel.program.ops.layer_norm import LayerNorm
from nextpixel.program.ops.local_conv import LocalConv
from nextpixel.program.ops.relu import Relu
from nextpixel.program.ops.sigmoid_gate import SigmoidGate
from nextpixel.program.ops.up import Up

OPS: tuple[type[Op], ...] = (
    Conv, Up, Relu, Elu, ConcatElu, Gelu, Gate, SigmoidGate, Add, Affine, LayerNorm, Inject, Cell,
    OutputGate, Attend, LocalConv,
)  # fmt: skip
"""All of the package, for tests and messages; a program may hold others."""

__all__ = [
    "LATE", "OPS", "PIXEL", "ROW", "Add", "Affine", "Attend", "Call", "Cell", "ConcatElu", "Conv",
    "Elu", "Gate", "Gelu", "Inject", "LayerNorm", "LocalConv", "Map", "Op", "OutputGate", "Part",
    "Relu", "SigmoidGate", "Tap", "Up", "View",
]  # fmt: skip
