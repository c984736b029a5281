"""What is asked of those who draw: images, of which a part may be known."""

from typing import NamedTuple

from torch import Tensor

from nextpixel.nn import Value


class Request(NamedTuple):
    """Images to draw.

    Attributes:
        levels: Shape (B, C, H, W), any level where not `known`.
        known: Boolean, of that shape.
        uniforms: In [0, 1), float64, of that shape.
        condition: What the model is conditioned on, one entry an image.
    """

    levels: Tensor
    known: Tensor
    uniforms: Tensor
    condition: Value | None
