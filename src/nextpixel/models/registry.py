"""Models by name. A new model is a new file and one line here."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch

from nextpixel.config import build as build_settings
from nextpixel.errors import nearest
from nextpixel.models.autoencoder import PixelAutoencoder
from nextpixel.models.base import PixelModel
from nextpixel.models.gated import GatedPixelCNN
from nextpixel.models.pixelcnn import PixelCNN
from nextpixel.models.residual import ResidualPixelCNN
from nextpixel.nn import ClassCondition, Condition, MapCondition, VectorCondition

MODELS: tuple[type[PixelModel], ...] = (PixelCNN, ResidualPixelCNN, GatedPixelCNN, PixelAutoencoder)


def names() -> list[str]:
    """Names that `build` knows, sorted.

    Example:
        >>> names()
        ['autoencoder', 'gated-pixelcnn', 'pixelcnn', 'residual-pixelcnn']
    """
    return sorted(model.name for model in MODELS)


def model_class(name: str) -> type[PixelModel]:
    """The class of a model.

    Raises:
        ValueError: If there is no model of that name.
    """
    for model in MODELS:
        if model.name == name:
            return model
    raise ValueError(f"there is no model {name!r}; {nearest(name, names())}")


def read_options(options: Mapping[str, object], where: str) -> dict[str, object]:
    """Options with their conditions made: each a section of settings, or a condition already.

    Raises:
        ValueError: If a condition is invalid.
    """
    read = dict(options)
    given = read.get("condition") or ()
    if "condition" in read:
        items = list(given) if isinstance(given, list | tuple) else [given]
        read["condition"] = tuple(_read_condition(item, f"{where}: condition") for item in items)
    return read


def _read_condition(item: object, where: str) -> Condition:
    if isinstance(item, ClassCondition | VectorCondition | MapCondition):
        return item
    kinds = {"classes": ClassCondition, "size": VectorCondition, "channels": MapCondition}
    if isinstance(item, Mapping):
        for key, kind in kinds.items():
            if key in item:
                return build_settings(kind, item, where=where)
    raise ValueError(f"{where} must have one of {', '.join(kinds)}, got {item!r}")


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
        levels: K, 2 to 256.
        seed: Of the initial weights: the same seed gives the same weights. None: they are drawn
            from torch's global generator.
        **options: Fields of the model's `Config`. `condition` may be one condition or several.

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
) -> PixelModel:
    """`build` with the options as a mapping; `where` names their source in errors."""
    chosen: Any = model_class(name)
    config: Any = build_settings(chosen.Config, read_options(options, where), where=where)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model: PixelModel = chosen(tuple(shape), levels, config)
    return model.eval()


def register(cls):  # placeholder until merged
    global MODELS
    MODELS = (*MODELS, cls)
    return cls
