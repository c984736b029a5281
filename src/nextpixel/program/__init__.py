"""A network as data: which feature map is made of which, and by what operation.

Layers lower themselves, in `lower` next to `forward`, to the operations of `nextpixel.program.ops`.
Maps are of three phases, by when they are known in a scan:

- ROW: for a whole row before its first pixel is drawn (the vertical stack: rows above only);
- PIXEL: once everything before a pixel is drawn;
- LATE: once the pixel itself is drawn (the image, and what is made of it place by place).

A program knows no weights' meaning, no levels and no sampling. `Program.run` carries it out on
whole images, which is the reference that lowering and executors are tested against; a `Schedule`
says for them what runs when.
"""

from nextpixel.program.ops import LATE, OPS, PIXEL, ROW, Call, Map, Op, Tap, View
from nextpixel.program.program import Program
from nextpixel.program.schedule import Schedule, Task

__all__ = [
    "LATE", "OPS", "PIXEL", "ROW", "Call", "Map", "Op", "Program", "Schedule", "Tap", "Task",
    "View",
]  # fmt: skip
