"""Convolutions of a block, each behind a ReLU, in one operation: see `nextpixel.nn.chains`."""

from collections.abc import Sequence

from torch import Tensor

from nextpixel.nn import chains
from nextpixel.nn.conditioner import Given
from nextpixel.nn.conv import ConditionalConv2d


def pays(x: Tensor, layers: Sequence[ConditionalConv2d], given: Given) -> bool:
    """Whether `block` can be used, and is expected to be faster than torch's operations.

    Not for convolutions that hear something before they convolve, or in places of their own.
    """
    plain = all(layer.training and layer.plain_inputs for layer in layers)
    return plain and given.everywhere and chains.pays(x, *(one.conv.weight for one in layers))


def block(
    x: Tensor, layers: Sequence[ConditionalConv2d], given: Given, *, residual: bool
) -> Tensor:
    """ReLU and convolution, one or more times.

    Args:
        x: What the first ReLU hears, (B, inputs, H, W), float32.
        layers: The convolutions.
        given: What they are told, the same at every place.
        residual: Whether `x` is added behind the last one.

    Returns:
        (B, outputs, H, W), differentiable once.
    """
    return chains.chain(
        x,
        [layer.conv.taps for layer in layers],
        [layer.conv.seen for layer in layers],
        [layer.told(given) for layer in layers],
        residual=residual,
    )
