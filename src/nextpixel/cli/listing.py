"""`nextpixel recipes`, `models` and `data`: what there is, a line each."""

from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextpixel.recipes import Recipe
    from nextpixel.recipes.results import Results


def recipes(name: str | None = None, /) -> None:
    """List the recipes, or show one.

    Args:
        name: Recipe to show in full, with all defaults, as a file that `train` takes.
    """
    from nextpixel import recipes as known
    from nextpixel.recipes.results import Results

    if name is not None:
        print(known.read(name).to_yaml(), end="")
        return
    results = Results.read()
    head = ("recipe", "seed", "data", "levels", "parameters", "measured on the test set", "what")
    rows = [_recipe_row(known.read(found), results) for found in known.names()]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _recipe_row(recipe: "Recipe", results: "Results") -> tuple[str, ...]:
    found = results.measured.get(recipe.name)
    figure = f"{found.nats:.2f} nats, {found.bits_per_dim:.4f} bits/dim" if found else "-"
    return (
        recipe.name,
        recipe.seed,
        recipe.data.name,
        str(recipe.data.levels),
        f"{results.parameters[recipe.name]:,}",
        figure,
        recipe.title,
    )


def models() -> None:
    """List the models that can be built, with their options, and those shipped trained."""
    from nextpixel.checkpoint import shipped_names
    from nextpixel.models import model_class, names

    for name in names():
        options = fields(model_class(name).Config)
        print(name + "  " + " ".join(f"{option.name}={option.default}" for option in options))
    print("shipped, trained:", ", ".join(shipped_names()) or "none")


def data() -> None:
    """List the data sets."""
    from nextpixel.data import describe, names

    _print_table({name: describe(name) for name in names()})


def _print_table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"{name:{width}}  {text}")
