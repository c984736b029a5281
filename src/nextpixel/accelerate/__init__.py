"""Fused training kernels for CPUs, applied to layers from outside: see `accelerate.layers`."""

from nextpixel.accelerate.layers import accelerated

__all__ = ["accelerated"]
