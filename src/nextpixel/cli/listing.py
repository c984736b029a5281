"""`nextpixel recipes`, `models` and `data`: what there is, a line each."""

from collections.abc import Sequence
from dataclasses import fields
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from nextpixel.errors import nearest

if TYPE_CHECKING:
    from nextpixel.recipes import Recipe
    from nextpixel.recipes.results import Results
    from nextpixel.recipes.shipped import Shipped


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
    _print_rows([head, *rows])


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


def models(name: str | None = None, /, *, json: bool = False) -> None:
    """List the models shipped trained and those that can be built, or show one.

    Nats are per image of the test set, ± standard error; figures of different data, protocol or
    condition cannot be compared.

    Args:
        name: Shipped model whose card to show, or a model to build, for its options.
        json: Print one JSON object.
    """
    from nextpixel.recipes.shipped import describe_shipped, shipped_names

    if name in shipped_names():
        _show(describe_shipped(name), json=json)
        return
    found = [describe_shipped(shipped) for shipped in shipped_names()]
    if name is None and not json:
        _print_rows([_SHIPPED_HEAD, *map(_shipped_row, found)], right=4)
        print("\nto build, with options and their defaults:", flush=True)
    options = _architectures()
    if name is not None and name not in options:
        raise ValueError(f"there is no model {name!r}; {nearest(name, [*options, *_names(found)])}")
    chosen = options if name is None else {name: options[name]}
    if json:
        shipped = [] if name else [one.as_dict() for one in found]
        print(dumps({"shipped": shipped, "architectures": chosen}))
        return
    for architecture, defaults in chosen.items():
        print(architecture, " ", *(f"{key}={value}" for key, value in defaults.items()))


_SHIPPED_HEAD = (
    "shipped", "data", "protocol", "told", "levels", "parameters", "KiB", "test nats", "bits/dim",
)  # fmt: skip


def _shipped_row(found: "Shipped") -> tuple[str, ...]:
    return (
        found.name,
        found.data,
        found.protocol,
        found.condition,
        str(found.levels),
        "-" if found.parameters is None else f"{found.parameters:,}",
        str(round(found.bytes / 1024)),
        f"{found.nats:.2f} ± {found.standard_error:.2f}",
        f"{found.bits_per_dim:.4f}",
    )


def _names(found: "Sequence[Shipped]") -> list[str]:
    return [one.name for one in found]


def _show(found: "Shipped", *, json: bool) -> None:
    """A model's card, and where its picture lies."""
    if json:
        print(dumps(found.as_dict()))
        return
    print(Path(found.card).read_text(encoding="utf-8"))
    print(f"picture: {found.picture}")


def _architectures() -> dict[str, dict[str, object]]:
    """Options of each model that can be built, with their defaults; costs torch."""
    from nextpixel.models import model_class, names

    return {
        name: {option.name: option.default for option in fields(model_class(name).Config)}
        for name in names()
    }


def data() -> None:
    """List the data sets."""
    from nextpixel.data import describe, names
    from nextpixel.data.load import OWN

    _print_table({name: describe(name) for name in names()} | OWN)


def _print_table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"{name:{width}}  {text}")


def _print_rows(rows: Sequence[Sequence[str]], right: int | None = None) -> None:
    """A table; the columns from number `right` on end at one edge, as numbers do."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) if right is None else right
    for row in rows:
        cells = [
            f"{cell:{'>' if column >= first else '<'}{widths[column]}}"
            for column, cell in enumerate(row)
        ]
        print("  ".join(cells).rstrip())
