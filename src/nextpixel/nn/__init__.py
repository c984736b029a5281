"""Building blocks of the networks: masks as pure functions, and the layers that use them."""

from nextpixel.nn.condition import (
    ClassCondition,
    Condition,
    MapCondition,
    Value,
    VectorCondition,
    take,
)
from nextpixel.nn.conditioner import NO_EMBEDDING, Conditioner, Embedding, Injection
from nextpixel.nn.conv import ConditionalConv2d, Injections, MaskedConv2d, PositionMap
from nextpixel.nn.gated import Gate, HorizontalConv2d, VerticalConv2d, gate
from nextpixel.nn.levels import LevelFeatures
from nextpixel.nn.masks import causal_mask
from nextpixel.nn.orders import AnyOrders, MirrorOrders, Order, Orders

__all__ = [
    "NO_EMBEDDING",
    "AnyOrders",
    "ClassCondition",
    "Condition",
    "ConditionalConv2d",
    "Conditioner",
    "Embedding",
    "Gate",
    "HorizontalConv2d",
    "Injection",
    "Injections",
    "LevelFeatures",
    "MapCondition",
    "MaskedConv2d",
    "MirrorOrders",
    "Order",
    "Orders",
    "PositionMap",
    "Value",
    "VectorCondition",
    "VerticalConv2d",
    "causal_mask",
    "gate",
    "take",
]
