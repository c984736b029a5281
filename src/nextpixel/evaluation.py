"""Figures of a set of images, as values and as lines for people."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


def with_error(nats: str, error: float) -> str:
    """A figure with its standard error, which a single image does not give.

    Example:
        >>> with_error("60.56", 0.157), with_error("60.56", math.nan)
        ('60.56 +- 0.16', '60.56')
    """
    return nats if math.isnan(error) else f"{nats} +- {error:.2f}"


def without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values for JSON, which has no NaN: None in its place, in inner mappings too."""
    return {
        name: without_nan(value)
        if isinstance(value, Mapping)
        else None
        if value != value
        else value
        for name, value in values.items()
    }


def _count(n: int, of: str = "") -> str:
    return f"{n:,} images{of}" if n > 1 else f"1 image{of}, hence no standard error"


@dataclass(frozen=True)
class Region:
    """Likelihood of some sub-pixels of each image, each given all before it.

    It is their share of the image's likelihood by the chain rule. It is not the probability of that
    part alone: what lies before it, inside or outside, is taken as it is.

    Attributes:
        nats: Mean over images.
        standard_error: Of `nats`; NaN for a single image.
        bits_per_dim: `nats` / (ln 2 x sub-pixels).
        sub_pixels: How many.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    sub_pixels: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"the region given its past: {with_error(f'{self.nats:z.2f}', self.standard_error)} "
            f"nats per image, {self.bits_per_dim:z.4f} bits/dim ({self.sub_pixels:,} sub-pixels)"
        )


@dataclass(frozen=True)
class Difference:
    """How much better one model codes images than another, image by image.

    Attributes:
        nats: Mean of what the first takes less what the second takes; below 0 the first is better.
        standard_error: Of `nats`, from the spread of the differences; NaN for a single image.
        bits_per_dim: `nats` / (ln 2 x sub-pixels).
        n: Images.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"difference {with_error(f'{self.nats:+z.2f}', self.standard_error)} nats per image, "
            f"{self.bits_per_dim:+z.4f} bits/dim ({_count(self.n)})"
        )


@dataclass(frozen=True)
class Evaluation:
    """Likelihood of a set of images.

    Attributes:
        nats: Mean negative log-probability of an image.
        standard_error: Of `nats`, from the spread over images; NaN for a single image.
        bits_per_dim: `nats` / (ln 2 x sub-pixels); where images differ in size, all bits by all
            sub-pixels.
        n: Images.
        protocol: How the levels were made ("threshold", "dynamic", "quantized", "levels").
        data: Name of the set.
        conditioned_on: What the model was conditioned on besides the past; in JSON "given".
        bits_error: Standard error of `bits_per_dim`.
        by_color: Bits/dim of each color given those before it.
        region: Likelihood of a part of each image given its past; None: none was asked for.
        orders: Of so many scan orders the likelihood is the mixture.
        sizes: How many different sizes the images have.
        tiles: Height and width of the tiles that images of another size were cut into, for a model
            that is tied to its own; None: each was scored as a whole.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int
    protocol: str
    data: str
    conditioned_on: str = "nothing"
    bits_error: float = math.nan
    by_color: tuple[float, ...] = ()
    region: "Region | None" = None
    orders: int = 1
    sizes: int = 1
    tiles: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON; NaN becomes None."""
        values = asdict(self)
        values["given"] = values.pop("conditioned_on")
        return without_nan(values)

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{with_error(f'{self.nats:z.2f}', self.standard_error)} nats per image, "
            f"{self.bits_per_dim:z.4f} bits/dim "
            f"({_count(self.n, f' of {self.data}')}, "
            + (f"of {self.sizes} sizes, " if self.sizes > 1 else "")
            + ("in tiles of {}x{}, ".format(*self.tiles) if self.tiles else "")
            + f"protocol {self.protocol}"
            + (f", mixture of {self.orders} orders" if self.orders > 1 else "")
            + (f", given {self.conditioned_on})" if self.conditioned_on != "nothing" else ")")
        )
