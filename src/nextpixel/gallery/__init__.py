"""Pictures: of levels, of a completion, of a training run, of a receptive field.

Every function here returns a Pillow image, except those that write one; none of them draws from a
model. matplotlib is imported when a plot is made, never before.
"""

from nextpixel.gallery.plots import compare, curves, receptive_field
from nextpixel.gallery.tiles import animated, animation, grid, note_of, reconstructions, save, sheet

__all__ = [
    "animated",
    "animation",
    "compare",
    "curves",
    "grid",
    "note_of",
    "receptive_field",
    "reconstructions",
    "save",
    "sheet",
]
