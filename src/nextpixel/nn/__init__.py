"""Building blocks of the networks: masks as pure functions, and the layers that use them."""

from nextpixel.nn.conv import MaskedConv2d
from nextpixel.nn.masks import causal_mask

__all__ = ["MaskedConv2d", "causal_mask"]
