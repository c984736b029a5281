"""Fused training kernels for CPUs, applied to layers from outside: see `accelerate.layers`."""

from contextlib import AbstractContextManager

from torch import nn

__all__ = ["accelerated"]


def accelerated(model: nn.Module) -> AbstractContextManager[None]:
    """Let the layers of a model train by fused kernels where these are expected to be faster.

    The kernels are imported when they are first asked for, so only training costs their start.

    Args:
        model: The model; nothing is left on it afterwards.
    """
    from nextpixel.accelerate.layers import fused

    return fused(model)
