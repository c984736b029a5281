"""Options that all models share, and checks of their values."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Self

from nextpixel.images import SCALES
from nextpixel.nn import ClassCondition, MapCondition, VectorCondition

COLOR_MODES = ("dependent", "independent", "coupled")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Options of every model; a subclass adds its own.

    Attributes:
        colors: "dependent" (G sees R of its pixel, through groups of features), "independent", or
            "coupled" (G sees R through the mixture that is the head, as in PixelCNN++).
        condition: What the model is given in addition to the past: labels, vectors, maps. In words:
            classes=10 (labels), classes=10,form=gate (how layers receive it), size=8 (vectors),
            channels=2 (maps), a list of such in YAML, "[{classes: 10}, {size: 8}]", or none.
        condition_all: Whether the condition is added at every convolution of the network, the last
            one included (seed 004), or only at those of its hidden features (the papers).
        head: Name of the head: "auto" (one logit for two levels, a softmax for up to 256, else a
            mixture of logistics), or a registered one; see `nextpixel.heads`.
        components: Of a mixture.
        edge: Whether the network's input has, next to each color, a plane of ones: it tells the
            zero padding around the image from a level that happens to map to zero.
        scale: What levels become for the network: "symmetric", -1 to 1, or "unit", 0 to 1, on which
            level 0 equals the padding (`nextpixel.images`).
        level_features: How many learned numbers of each level (an embedding) the network sees next
            to it: from them a kernel can read that a level is 0, or 255.
        orders: Scan orders the network is trained for and knows apart: 1 (raster), 4 (its mirror
            images) or 8 (those by columns too, of square images); see `nextpixel.order.MIRRORS`.
    """

    colors: str = "dependent"
    condition: tuple[ClassCondition | VectorCondition | MapCondition, ...] = ()
    condition_all: bool = False
    head: str = "auto"
    components: int = 10
    edge: bool = True
    scale: str = "symmetric"
    level_features: int = 0
    orders: int = 1

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ValueError: Naming the option.
        """
        check_choice("colors", self.colors, COLOR_MODES)
        check_choice("scale", self.scale, SCALES)
        check_counts(self, "level_features", least=0)
        if self.orders not in (1, 4, 8):
            raise ValueError(f"orders must be 1, 4 or 8, got {self.orders}")

    @property
    def feature_options(self) -> tuple[str, ...]:
        """Names of the options that count features; colors that depend on each other share them."""
        return ()

    def suited(self, colors: int, stated: Collection[str]) -> Self:
        """The same, with defaults that suit images of so many colors.

        Features that colors share are rounded up to what they can share.

        Args:
            colors: C.
            stated: Names of the options that are no defaults: these stay as they are.
        """
        groups = color_groups(self.colors, colors)
        free = [name for name in self.feature_options if name not in stated]
        return replace(self, **{name: -(-getattr(self, name) // groups) * groups for name in free})


@dataclass(frozen=True)
class Part:
    """A net of a mixture.

    Attributes:
        name: Its model's name in the registry.
        options: Of that model.
    """

    name: str
    options: ModelConfig

    def as_dict(self) -> dict[str, object]:
        """The options by their names."""
        return {field.name: getattr(self.options, field.name) for field in fields(self.options)}


def color_groups(mode: str, colors: int) -> int:
    """Feature groups of a network: one per color where colors depend on each other, else one.

    Raises:
        ValueError: If `mode` is none of `COLOR_MODES`.
    """
    check_choice("colors", mode, COLOR_MODES)
    return colors if mode == "dependent" else 1


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is none of the choices.

    Raises:
        ValueError: Naming the choices.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_counts(config: object, *names: str, least: int = 1) -> None:
    """Refuse counts of a config that are too small or no integers.

    Raises:
        TypeError: Naming the first that is no integer.
        ValueError: Naming the first that is too small.
    """
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def check_sides(config: object, *names: str, least: int = 1) -> None:
    """Refuse widths of kernels that are too small or have no centre.

    Raises:
        TypeError: Naming the first that is no integer.
        ValueError: Naming the first that is too small or even.
    """
    check_counts(config, *names, least=least)
    for name in names:
        if getattr(config, name) % 2 == 0:
            raise ValueError(
                f"{name} must be odd, so that the kernel has a centre, got {getattr(config, name)}"
            )


def check_groups(config: ModelConfig, groups: int) -> None:
    """Refuse numbers of features that cannot be shared out to the colors.

    Raises:
        ValueError: Naming the first of them, and what would do.
    """
    for name in config.feature_options:
        value = getattr(config, name)
        if value % groups:
            below = value // groups * groups
            others = f"{below} or {below + groups}" if below else str(groups)
            raise ValueError(
                f"{name} must be a multiple of {groups}, the number of colors that depend on each "
                f"other, got {value}; {others} would do, or colors='independent'"
            )
