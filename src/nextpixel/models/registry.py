"""Models by name: those of the package, and those that `register` adds from outside."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch

from nextpixel.config import build as build_settings
from nextpixel.config import spelled
from nextpixel.errors import check_count, check_kind, nearest
from nextpixel.models.autoencoder import PixelAutoencoder
from nextpixel.models.base import PixelModel
from nextpixel.models.gated import GatedPixelCNN
from nextpixel.models.locally_masked import LocallyMasked
from nextpixel.models.options import Part
from nextpixel.models.pixelcnn import PixelCNN
from nextpixel.models.pixelrnn import DiagonalBiLSTMNet, RowLSTMNet
from nextpixel.models.pixelsnail import PixelSNAIL
from nextpixel.models.plusplus import PixelCNNPlusPlus
from nextpixel.models.residual import ResidualPixelCNN
from nextpixel.models.transformer import PixelTransformer
from nextpixel.models.windowed import WindowedPixelCNN
from nextpixel.nn import ClassCondition, Condition, MapCondition, VectorCondition
from nextpixel.order import read_shape

MODELS: tuple[type[PixelModel], ...] = (
    PixelCNN, ResidualPixelCNN, GatedPixelCNN, PixelCNNPlusPlus, PixelAutoencoder,
    RowLSTMNet, DiagonalBiLSTMNet, PixelSNAIL, PixelTransformer, LocallyMasked,
    WindowedPixelCNN,
)  # fmt: skip
"""Those of the package."""

Model = TypeVar("Model", bound=type[PixelModel])

_registered: dict[str, type[PixelModel]] = {model.name: model for model in MODELS}


def names() -> list[str]:
    """Names that `build` knows, sorted.

    Example:
        >>> "gated-pixelcnn" in names()
        True
    """
    return sorted(_registered)


def register(cls: Model) -> Model:
    """Make a model class known by its `name`: to `build`, `load`, recipes and the command line.

    It may stand above the class as a decorator. A class that is defined again, as a notebook does,
    takes the place of its former self.

    Args:
        cls: A subclass of `PixelModel` with a `name` of its own and a dataclass `Config`.

    Returns:
        The class.

    Raises:
        TypeError: If it is no such class.
        ValueError: If another class has its name.
    """
    if not (isinstance(cls, type) and issubclass(cls, PixelModel)):
        raise TypeError(f"cls must be a subclass of PixelModel, got {cls!r}")
    _check_parts(cls)
    known = _registered.get(cls.name)
    if known is not None and path_of(known) != path_of(cls):
        raise ValueError(
            f"name of {cls.__name__} must be its own, got {cls.name!r}, which is that of "
            f"{path_of(known)}"
        )
    _registered[cls.name] = cls
    return cls


def _check_parts(cls: type[PixelModel]) -> None:
    """Refuse a class that lacks what building it by name takes."""
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise TypeError(
            f"cls must define all that a model has, got {cls.__name__} without {missing}"
        )
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(
            f"name of {cls.__name__} must be a text such as 'my-pixelcnn', got {name!r}"
        )
    config = getattr(cls, "Config", None)
    if not (isinstance(config, type) and is_dataclass(config)):
        raise TypeError(f"Config of {cls.__name__} must be a dataclass of options, got {config!r}")


def check_registered(cls: type[PixelModel]) -> None:
    """Refuse a class whose models could not be built again by their name.

    Raises:
        ValueError: If it is not registered, or another class has its name.
    """
    name = getattr(cls, "name", None)
    known = _registered.get(name) if isinstance(name, str) else None
    if known is cls:
        return
    remedy = f"call nextpixel.register({cls.__name__})"
    if known is None:
        raise ValueError(f"model must be of a registered class, got {cls.__name__}; {remedy}")
    if path_of(known) == path_of(cls):
        raise ValueError(
            f"model must be of {path_of(cls)} as it is now, got one built before the class was "
            "defined again; build it again"
        )
    raise ValueError(
        f"model must be of the class registered as {name!r}, {path_of(known)}, got one of "
        f"{path_of(cls)}; give that a name of its own and {remedy}"
    )


def path_of(cls: type) -> str:
    """Where a class is defined: its module, and its name there.

    Example:
        >>> path_of(PixelCNN)
        'nextpixel.models.pixelcnn.PixelCNN'
    """
    return f"{cls.__module__}.{cls.__qualname__}"


def model_class(name: str) -> type[PixelModel]:
    """The class of a model.

    Raises:
        ValueError: If there is no model of that name.
    """
    check_kind("name", name, str, "the name of a model; npx.models.names() lists them")
    if name not in _registered:
        raise ValueError(f"there is no model {name!r}; {nearest(name, names())}")
    return _registered[name]


def read_options(options: Mapping[str, object], where: str) -> dict[str, object]:
    """Options with conditions and parts made: each a section of settings, or made already.

    Raises:
        ValueError: If one of them is invalid.
    """
    read = dict(options)
    if isinstance(read.get("parts"), list | tuple):
        parts: Any = read["parts"]
        read["parts"] = tuple(_read_part(item, f"{where}: parts") for item in parts)
    if "condition" in read:
        read["condition"] = read_conditions(read["condition"], f"{where}: condition")
    return read


def read_conditions(conditions: object, where: str = "condition") -> tuple[Condition, ...]:
    """Conditions of what a file or the command line says; None or nothing is none.

    Raises:
        ValueError: If one of them is invalid.

    Example:
        >>> read_conditions("classes=3,form=gate")
        (ClassCondition(classes=3, form='gate', dropout=0.0, features=16),)
    """
    found = spelled(conditions) if isinstance(conditions, str) and conditions else conditions
    items = found if isinstance(found, list | tuple) else [found] if found else []
    return tuple(_read_condition(item, where) for item in items)


def _read_part(item: object, where: str) -> Part:
    """A net of a mixture, by its model's name and options."""
    if isinstance(item, Part):
        return item
    if not isinstance(item, Mapping) or set(item) != {"name", "options"}:
        raise ValueError(f"{where} must have name and options, got {item!r}")
    options = read_options(item["options"], where)
    return Part(
        item["name"], build_settings(model_class(item["name"]).Config, options, where=where)
    )


def _read_condition(item: object, where: str) -> Condition:
    if isinstance(item, ClassCondition | VectorCondition | MapCondition):
        return item
    kinds = {"classes": ClassCondition, "size": VectorCondition, "channels": MapCondition}
    item = spelled(item) if isinstance(item, str) else item
    if isinstance(item, Mapping):
        for key, kind in kinds.items():
            if key in item:
                return build_settings(kind, item, where=where)
    raise ValueError(
        f"{where} must have one of {', '.join(kinds)}, such as classes=10 or "
        f"classes=10,form=gate, or be a list of such, or none, got {item!r}"
    )


def build(
    name: str,
    *,
    shape: Sequence[int],
    levels: int,
    seed: int | None = None,
    **options: object,
) -> PixelModel:
    """Build an untrained model, in evaluation mode.

    Args:
        name: One of `names()`.
        shape: (C, H, W) of the images.
        levels: K, 2 to 65,536.
        seed: Of the initial weights: the same seed gives the same weights. None: they are drawn
            from torch's global generator.
        **options: Fields of the model's `Config`. `condition` may be one condition or several.
            Features that are left out are as many as the default, or a few more where colors that
            depend on each other share them.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such model or option, or a value is invalid.

    Example:
        >>> model = build("pixelcnn", shape=(1, 8, 8), levels=2, features=8, layers=2)
        >>> model.log_prob(torch.zeros(3, 1, 8, 8, dtype=torch.int64)).shape
        torch.Size([3])
    """
    for field in fields(model_class(name).Config):
        value = options.get(field.name)
        if isinstance(value, str) and type(field.default) in _NO_WORDS:  # files have words for all
            kind = _NO_WORDS[type(field.default)]
            raise ValueError(f"model: {field.name} must be {kind}, got {value!r}")
    return build_from(name, shape=shape, levels=levels, seed=seed, options=options)


_NO_WORDS = {int: "an integer", float: "a number", bool: "true or false"}


def build_from(
    name: str,
    *,
    shape: Sequence[int],
    levels: int,
    seed: int | None = None,
    options: Mapping[str, object],
    where: str = "model",
    stated: Collection[str] | None = None,
) -> PixelModel:
    """`build` with the options as a mapping; `where` names their source in errors.

    Options that are not `stated` (None: those that are not among `options`) suit the images.
    """
    if seed is not None:
        check_count("seed", seed, -(2**63))
    chosen: Any = model_class(name)
    config: Any = build_settings(chosen.Config, read_options(options, where), where=where)
    config = config.suited(read_shape(shape)[0], options if stated is None else stated)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model: PixelModel = chosen(read_shape(shape), levels, config)
    return model.eval()
