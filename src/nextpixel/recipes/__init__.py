"""Recipes: data, model and training under one name.

A recipe is a YAML or TOML file; those of the package are in this folder. Reading one costs no
torch, building its model does.
"""

from nextpixel.recipes.recipe import (
    SUFFIXES,
    Layer,
    ModelChoice,
    Recipe,
    build_recipe,
    check_model,
    for_classes,
    model_of,
    names,
    read,
    settings_of,
)

__all__ = [
    "SUFFIXES",
    "Layer",
    "ModelChoice",
    "Recipe",
    "build_recipe",
    "check_model",
    "for_classes",
    "model_of",
    "names",
    "read",
    "settings_of",
]
