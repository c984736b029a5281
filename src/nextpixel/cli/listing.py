"""`nextpixel recipes`, `models` and `data`: what there is, a line each."""

from dataclasses import fields


def recipes(name: str | None = None, /) -> None:
    """List the recipes, or show one.

    Args:
        name: Recipe to show in full, with all defaults, as a file that `train` takes.
    """
    from nextpixel import recipes as known

    if name is not None:
        print(known.read(name).to_yaml(), end="")
        return
    _print_table({found: known.read(found).title for found in known.names()})


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
