"""Fused training kernels for CPUs, applied to layers from outside: see `accelerate.layers`."""

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from torch import nn

__all__ = ["accelerated", "has_numba"]


def accelerated(model: nn.Module) -> AbstractContextManager[None]:
    """Let the layers of a model train by fused kernels where these are expected to be faster.

    The kernels are imported when they are first asked for, so only training costs their start.

    Args:
        model: The model; nothing is left on it afterwards.
    """
    if not has_numba():
        return nullcontext()
    from nextpixel.accelerate.layers import fused

    return fused(model)


@cache
def has_numba() -> bool:
    """Whether kernels can be compiled."""
    return importlib.util.find_spec("numba") is not None
