"""Recipes: data, model and training under one name.

A recipe is a YAML or TOML file; those of the package are in this folder. Reading one costs no
torch, building its model does.
"""

from nextpixel.recipes.recipe import (
    Layer,
    ModelChoice,
    Recipe,
    build_recipe,
    check_model,
    model_of,
    names,
    read,
)

__all__ = [
    "Layer",
    "ModelChoice",
    "Recipe",
    "build_recipe",
    "check_model",
    "model_of",
    "names",
    "read",
]
