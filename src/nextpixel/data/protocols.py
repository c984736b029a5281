"""How levels are made of a source's pixels.

- `threshold`: 8-bit pixel v becomes 1 if v >= 128, else 0. K = 2.
- `dynamic`: v becomes 1 with probability v / 255, drawn anew each time an image is read in training
  and fixed by a seed in testing. K = 2. Harder than `threshold`: never compare the two.
- `quantized`: v becomes min(K - 1, floor(v K / 255)), 2 < K <= 256; of 16 bits with 65535 in place
  of 255, K <= 65536. Fewer levels than pixels have values lose what distinguishes them.
- `levels`: the source has levels already; they are left as they are.
"""

import torch
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.images import level_dtype, quantize


def resolve(config: DataConfig, source_levels: int | None, depth: int = 8) -> tuple[int, str]:
    """Settle the number of levels and the protocol.

    Args:
        config: What was asked for.
        source_levels: K of a source of levels; None for pixels.
        depth: Bits of a pixel, 8 or 16.

    Returns:
        K and the protocol.

    Raises:
        ValueError: If what was asked for does not fit the source, or itself.

    Example:
        >>> resolve(DataConfig(name="mnist", levels=2), None)
        (2, 'threshold')
        >>> resolve(DataConfig(name="mnist", protocol="dynamic"), None)
        (2, 'dynamic')
        >>> resolve(DataConfig(name="digits"), 17)
        (17, 'levels')
    """
    if source_levels is not None:
        return _resolve_levels(config, source_levels)
    if depth > 8 and (config.protocol in ("threshold", "dynamic") or config.levels == 2):
        raise ValueError(
            f"levels must be above 2, quantized, for {config.name}, which has {depth}-bit pixels"
        )
    if config.protocol in ("threshold", "dynamic"):
        return _resolve_binary(config), config.protocol
    return _resolve_quantized(config, depth)


def _resolve_levels(config: DataConfig, count: int) -> tuple[int, str]:
    if config.protocol not in (None, "levels"):
        raise ValueError(
            f"protocol must be 'levels' for {config.name}, which has levels and no 8-bit pixels, "
            f"got {config.protocol!r}"
        )
    if config.levels not in (None, count):
        raise ValueError(
            f"levels must be {count} for {config.name}, which has levels and no 8-bit pixels, "
            f"got {config.levels}"
        )
    return count, "levels"


def _resolve_binary(config: DataConfig) -> int:
    if config.levels not in (None, 2):
        raise ValueError(f"levels must be 2 with protocol {config.protocol!r}, got {config.levels}")
    return 2


def _resolve_quantized(config: DataConfig, depth: int) -> tuple[int, str]:
    most = 1 << depth
    count = most if config.levels is None else config.levels
    if count > most:
        raise ValueError(
            f"levels must be 2 to {most} for {config.name}, which has {depth}-bit pixels, "
            f"got {count}"
        )
    if config.protocol == "levels":
        raise ValueError(
            f"protocol must be threshold, dynamic or quantized for {config.name}, "
            f"which has {depth}-bit pixels, got 'levels'"
        )
    if count > 2:
        return count, "quantized"
    if config.protocol == "quantized":
        raise ValueError("protocol must be threshold or dynamic at 2 levels, got 'quantized'")
    return 2, "threshold"


def to_levels(pixels: Tensor, level_count: int, protocol: str, rng: torch.Generator) -> Tensor:
    """Make levels of pixels.

    Args:
        pixels: uint8, or int32 where they have 16 bits, of any shape.
        level_count: K.
        protocol: One of `PROTOCOLS`.
        rng: Drawn from by `dynamic` alone: one number a pixel, in order.

    Returns:
        Levels as `images.level_dtype(level_count)`, of the same shape.
    """
    if protocol == "dynamic":
        # One of 255 equally likely numbers is below v with probability v / 255 exactly.
        noise = torch.randint(255, pixels.shape, dtype=torch.uint8, generator=rng)
        return (noise < pixels).to(torch.uint8)
    if protocol == "levels":
        return pixels.to(level_dtype(level_count))
    depth = depth_in(pixels.dtype)
    return pixels if level_count == 1 << depth else quantize(pixels, level_count, depth)


def in_words(protocol: str, level_count: int, depth: int) -> str:
    """How levels are made, for people.

    Example:
        >>> in_words("quantized", 4, 8), in_words("levels", 17, 8)
        ('8-bit pixels quantised to 4 of 256 levels', '17 levels as they are')
    """
    pixels, most = f"{depth}-bit pixels", 1 << depth
    if protocol == "quantized" and level_count < most:
        return f"{pixels} quantised to {level_count} of {most} levels"
    return {
        "quantized": f"{pixels} in all {most} levels",
        "threshold": f"{pixels} made 2 levels, of which 1 begins at {most // 2}",
        "dynamic": f"{pixels} made 2 levels by chance, anew each time",
        "levels": f"{level_count} levels as they are",
    }[protocol]


def depth_in(dtype: torch.dtype) -> int:
    """Bits of pixels that are kept as a type."""
    return 8 if dtype == torch.uint8 else 16
