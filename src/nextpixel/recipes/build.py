"""The model of a recipe, untrained.

torch is imported when a model is built, not before: listing recipes must be instant.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nextpixel.config import check as check_config
from nextpixel.recipes.recipe import Recipe, read

if TYPE_CHECKING:
    from nextpixel.models import PixelModel
    from nextpixel.order import Shape


def build_recipe(name: str | Path) -> "PixelModel":
    """Build the model of a recipe for its data set, untrained.

    Args:
        name: One of `names()`, or the path of a YAML or TOML file.

    Returns:
        The model, in evaluation mode; the same weights every time.

    Raises:
        ValueError: If there is no such recipe, or a setting of it is wrong.
        NextPixelError: If its data cannot be read.
    """
    from nextpixel.data import load_config

    recipe = read(name)
    check_model(recipe)
    data = load_config(replace(recipe.data, limit=1))
    return model_of(recipe, shape=data.shape, levels=data.level_count)


def model_of(recipe: Recipe, *, shape: "Shape", levels: int) -> "PixelModel":
    """Build the model of a recipe for images of `shape` (C, H, W) with K = `levels`.

    Raises:
        ValueError: If there is no such model, or an option of it is wrong.
    """
    from nextpixel.models.registry import build_from

    return build_from(
        recipe.model.name,
        shape=shape,
        levels=levels,
        seed=recipe.train.seed,
        options=recipe.model.options,
        where=f"{recipe.name}: model",
    )


def check_model(recipe: Recipe) -> None:
    """Refuse a model or an option that there is not, before any data is read.

    Raises:
        ValueError: Naming it and the nearest.
    """
    from nextpixel.models.registry import model_class, read_options

    config = model_class(recipe.model.name).Config
    where = f"{recipe.name}: model"
    check_config(config, read_options(recipe.model.options, where), where)
