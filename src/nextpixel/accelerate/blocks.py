"""Convolutions of a block, each behind a ReLU, in one operation: see `accelerate.chains`."""

from collections.abc import Sequence

from torch import Tensor

from nextpixel.accelerate import chains
from nextpixel.nn.conditioner import Embedding
from nextpixel.nn.conv import ConditionalConv2d, MaskedConv2d

Layers = Sequence[ConditionalConv2d | MaskedConv2d]


def pays(x: Tensor, layers: Layers, embedding: Embedding) -> bool:
    """Whether `block` can be used, and is expected to be faster than torch's operations.

    Not for convolutions that hear something before they convolve, or in places of their own.
    """
    convs = [_conv(layer) for layer in layers]
    plain = embedding.everywhere and not any(
        isinstance(layer, ConditionalConv2d) and layer.before.layers for layer in layers
    )
    return plain and convs[0].training and chains.pays(x, *(conv.weight for conv in convs))


def block(
    x: Tensor,
    layers: Layers,
    embedding: Embedding,
    *,
    rectified: bool = True,
    residual: bool = False,
) -> Tensor:
    """ReLU and convolution, one or more times.

    Args:
        x: What the first ReLU hears, (B, inputs, H, W), float32.
        layers: The convolutions.
        embedding: Conditions, the same at every place.
        rectified: Whether there is a ReLU before the first one.
        residual: Whether `x` is added behind the last one.

    Returns:
        (B, outputs, H, W), differentiable once.
    """
    convs = [_conv(layer) for layer in layers]
    told = [
        layer.inject(embedding) if isinstance(layer, ConditionalConv2d) else layer.constant
        for layer in layers
    ]
    taps, weights = [conv.taps for conv in convs], [conv.seen for conv in convs]
    return chains.chain(x, taps, weights, told, rectified=rectified, residual=residual)


def _conv(layer: ConditionalConv2d | MaskedConv2d) -> MaskedConv2d:
    return layer.conv if isinstance(layer, ConditionalConv2d) else layer
