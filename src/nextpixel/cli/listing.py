"""`nextpixel recipes`, `models`, `data` and `runs`: what there is, a line each."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from json import dumps
from math import log, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from nextpixel.cli.options import explanations, plain_type
from nextpixel.errors import NextPixelError, nearest

if TYPE_CHECKING:
    from nextpixel.recipes import Recipe
    from nextpixel.recipes.shipped import Results, Shipped
    from nextpixel.training.runs import Summary


def recipes(name: str | None = None, /, *, json: bool = False) -> None:
    """List the recipes, or show one.

    Args:
        name: Recipe to show in full, with all defaults, as a file that `train` takes.
        json: Print one JSON object, of recipes in full and all that was measured, by name.
    """
    from nextpixel import recipes as known
    from nextpixel.recipes.shipped import Results

    results = Results.read()
    if json:
        chosen = map(known.read, known.names() if name is None else [name])
        print(dumps({recipe.name: _recipe_facts(recipe, results) for recipe in chosen}))
        return
    if name is not None:
        print(known.read(name).to_yaml(), end="")
        return
    head = ("recipe", "seed", "data", "levels", "parameters", "measured on the test set", "what")
    rows = [_recipe_row(known.read(found), results) for found in known.names()]
    _print_rows([head, *rows])


def _recipe_facts(recipe: "Recipe", results: "Results") -> dict[str, Any]:
    """What it says, its number of parameters, and figures by the settings that differ from it."""
    found = results.of(recipe.name)
    measured = {
        label.removeprefix(recipe.name).strip(): one.as_dict() for label, one in found.items()
    }
    parameters = results.parameters.get(recipe.name)
    return recipe.as_dict() | {"parameters": parameters, "measured": measured}


def _recipe_row(recipe: "Recipe", results: "Results") -> tuple[str, ...]:
    found = results.measured.get(recipe.name)
    figure = f"{found.nats:z.2f} nats, {found.bits_per_dim:z.4f} bits/dim" if found else "-"
    if found and "not counted" in found.conditioned_on:
        figure += ", its own code not counted"
    return (
        recipe.name,
        recipe.seed,
        recipe.data.name,
        str(recipe.data.levels or "own"),
        f"{results.parameters[recipe.name]:,}" if recipe.name in results.parameters else "by size",
        figure,
        recipe.title,
    )


def models(name: str | None = None, /, *, json: bool = False) -> None:
    """List the models shipped trained and those that can be built, or show one.

    Nats are per image of the test set, ± standard error; figures of different data, protocol or
    condition cannot be compared, and a model's own code of each image is not counted in them.

    Args:
        name: Shipped model or folder of a model, whose card to show, or a model to build, for its
            options.
        json: Print one JSON object.
    """
    from nextpixel.recipes.shipped import describe_shipped, shipped_names

    if name is not None and (Path(name) / "config.json").is_file():
        _show_folder(Path(name), json=json)
        return
    if name in shipped_names():
        _show(describe_shipped(name), json=json)
        return
    found = [describe_shipped(shipped) for shipped in shipped_names()]
    if name is None and not json:
        _print_rows([_SHIPPED_HEAD, *map(_shipped_row, found)], right=4)
        print("\nto build, with options and their defaults:", flush=True)
    options = _architectures()
    if name is not None and name not in options and Path(name).is_dir():
        _show_folder(Path(name), json=json)  # says what it lacks
    if name is not None and name not in options:
        raise ValueError(f"there is no model {name!r}; {nearest(name, [*options, *_names(found)])}")
    chosen = options if name is None else {name: options[name]}
    if json:
        shipped = [] if name else [one.as_dict() for one in found]
        print(dumps({"shipped": shipped, "architectures": chosen}))
        return
    for architecture, defaults in chosen.items():
        print(architecture, " ", *(f"{key}={value}" for key, value in defaults.items()))
    if name is not None:
        _print_options(name)


def _show_folder(folder: Path, *, json: bool) -> None:
    from nextpixel.cli import card

    card.show(folder, json=json)


_SHIPPED_HEAD = (
    "shipped", "data", "protocol", "condition", "levels", "parameters", "KiB", "test nats",
    "bits/dim",
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
        f"{found.nats:z.2f} ± {found.standard_error:.2f}",
        f"{found.bits_per_dim:z.4f}",
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


def _print_options(architecture: str) -> None:
    """A line for each option of a model, as the command line takes it."""
    from nextpixel.models import model_class

    config = model_class(architecture).Config
    hints, texts = get_type_hints(config), explanations(config)
    print()
    _print_table(
        {
            f"--model.{option.name.replace('_', '-')} {plain_type(hints[option.name])}": texts.get(
                option.name, ""
            )
            for option in fields(config)
        }
    )


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


_RUNS_HEAD = (
    "run", "step", "best", "validation nats", "test nats", "bits/dim", "parameters", "time",
)  # fmt: skip


def runs(folder: Path = Path("runs"), /, *, curves: Path | None = None) -> None:
    """List the runs at or below a folder, those of equal data, protocol and condition together.

    Only within such a group can figures be compared; the likeliest validation images come first.
    "best" is the step with the likeliest validation images; bits/dim are those of the test images;
    ~ marks test figures of the curve, which are of some of the test images only, and * those of
    images given a code of their own.

    Args:
        folder: Where to look.
        curves: Picture of the curves of all of them on test images, a .png file.
    """
    if curves is not None and curves.suffix.lower() != ".png":
        raise ValueError(f"curves must end in .png, got {str(curves)!r}")
    from nextpixel.training.runs import METRICS, find_runs

    found = sorted(_readable(list(find_runs(folder))), key=lambda run: (_kind(run), _rank(run)))
    if not found:
        raise NextPixelError(f"{folder} holds no run that can be read")
    names = {run.folder: str(run.folder.relative_to(folder)) for run in found}
    groups = [(kind, list(runs)) for kind, runs in groupby(found, _kind)]
    rows = [_RUNS_HEAD, *(_row(names[run.folder], run) for run in found)]
    table = iter(_aligned(rows, right=1))
    print(next(table))
    for kind, members in groups:
        print(f"\n{kind}")
        for _ in members:
            print(next(table))
    if any(map(_codes_its_images, found)):
        print("* given its own code of each image, not counted")
    if curves is not None:
        from nextpixel import gallery

        chosen = {names[run.folder]: run.folder / METRICS for run in found if run.step is not None}
        gallery.save(gallery.compare(chosen), curves)


def _readable(folders: Sequence[Path]) -> "list[Summary]":
    from nextpixel.training.runs import summarize

    found = []
    for folder in folders:
        try:
            found.append(summarize(folder))
        except NextPixelError as error:
            print(f"nextpixel: warning: left out: {error}", file=sys.stderr)
    return found


def _codes_its_images(run: "Summary") -> bool:
    return "not counted" in _condition(run)


def _condition(run: "Summary") -> str:
    from nextpixel.recipes.shipped import condition_of

    try:
        return condition_of(run.config["model"]["options"])
    except (KeyError, TypeError, AttributeError):  # no model is there yet, or another's
        return "-"


def _kind(run: "Summary") -> str:
    """What runs must have in common for their figures to be compared, in words."""
    model, data = run.config.get("model", {}), run.config.get("data", {})
    if not model or not data.get("name"):
        return "data not known"
    shape = "x".join(map(str, model.get("shape", ())))
    words = [f"{data['name']} {shape}", data.get("protocol") or "protocol not known"]
    words.append(f"{model.get('levels')} levels")
    condition = _condition(run)
    return ", ".join(words if condition == "-" else [*words, f"condition: {condition}"])


def _bits_per_dim(run: "Summary") -> float | None:
    """Of the test images."""
    shape = run.config.get("model", {}).get("shape")
    return run.test_nats / (log(2) * prod(shape)) if run.test_nats is not None and shape else None


def _rank(run: "Summary") -> tuple[float, str]:
    worst = float("inf")
    return (worst if run.validation_nats is None else run.validation_nats, str(run.folder))


def _row(name: str, run: "Summary") -> tuple[str, ...]:
    mark, end = "" if run.all_test_images else "~", "*" if _codes_its_images(run) else ""
    return (
        name,
        _say(run.step, "{:,}"),
        _say(run.best_step, "{:,}"),
        _say(run.validation_nats, "{:z.2f}" + end),
        _say(run.test_nats, mark + "{:z.2f}" + end),
        _say(_bits_per_dim(run), mark + "{:z.4f}" + end),
        _say(run.parameters, "{:,}"),
        "-" if run.seconds is None else _clock(run.seconds),
    )


def _say(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _print_table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"{name:{width}}  {text}")


def _print_rows(rows: Sequence[Sequence[str]], right: int | None = None) -> None:
    print(*_aligned(rows, right), sep="\n")


def _aligned(rows: Sequence[Sequence[str]], right: int | None = None) -> list[str]:
    """Lines of a table; the columns from number `right` on end at one edge, as numbers do."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) if right is None else right
    return [
        "  ".join(
            f"{cell:{'>' if column >= first else '<'}{widths[column]}}"
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
