"""Tables of what recipes measured: docs/results.md, docs/seeds.md, and the short one of README.md.

They stand between marks, and are written by `python benchmarks/record.py`. Published figures are
those of published.json, printed only next to figures of the same data, protocol and levels of
models without a condition.
"""

import json
from pathlib import Path
from typing import Any

from nextpixel.data.load import OWN
from nextpixel.recipes import Recipe, names, read
from nextpixel.recipes.shipped import Measured, Results, parameters_of

ROOT = Path(__file__).parents[1]
PUBLISHED = Path(__file__).parent / "published.json"
LOSSES = Path(__file__).parent / "losses.json"
"""Nats a pixel as training goes on: what a seed's code prints, and what our run has."""
IN_README = (
    "demo",
    "mnist-fast",
    "mnist-laptop",
    "mnist-fast-class",
    "mnist2-gated-class",
    "mnist2-autoencoder",
    "mnist256-fast",
    "mnist256-fast-class",
    "fashion256-fast",
    "digits17-gated",
    "color-mnist-fast",
    "mnist2-gated",
    "mnist2-gated-spatial",
)
"""The most telling first: the table takes the first `ROWS` that were measured."""
ROWS = 10
FOLDER_OPTION = dict.fromkeys(("fashion-mnist", "cifar10", "photographs"), " --data.folder DIR")
"""Of data sets that are read from files."""


FAMILY = ("row-lstm", "diagonal-bilstm", "snail", "transformer", "residual", "gated")
"""The six small nets that docs/family.md has side by side."""
FEWER = "1,400 steps"
"""Label of their runs of as many images each."""

SEEDS = ("000", "001", "002", "003", "004")


def write_tables(results: Results) -> None:
    """Write all tables between their marks."""
    replace_between(ROOT / "docs" / "results.md", "table", results_table(results))
    for seed in SEEDS:
        replace_between(ROOT / "docs" / "seeds.md", f"seed {seed}", seed_table(seed, results))
    replace_between(ROOT / "docs" / "seeds.md", "loss of seed 002", loss_table(results))
    replace_between(ROOT / "docs" / "family.md", "family", family_table(results))
    replace_between(ROOT / "README.md", "measured", readme_table(results))


def replace_between(page: Path, mark: str, text: str) -> None:
    """Put a text between `<!-- mark -->` and `<!-- end of mark -->`."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    content = page.read_text(encoding="utf-8")
    if first not in content or last not in content:
        raise SystemExit(f"{page} must have the marks {first} and {last}")
    head, _, rest = content.partition(first)
    tail = rest.partition(last)[2]
    page.write_text(f"{head}{first}\n{text}\n{last}{tail}", encoding="utf-8")


def results_table(results: Results) -> str:
    """The table of docs/results.md: a row a recipe, and one for each variant that was measured."""
    head = (
        "recipe", "seed", "test set, given", "nats per image", "bits/dim", "parameters",
        "trained", "hardware", "published, same protocol", "command",
    )  # fmt: skip
    known = [recipe for recipe in map(read, names()) if recipe.data.name not in OWN]
    rows = [row for recipe in known for row in _rows(recipe, results)]
    published = "Published figures, of models without a condition:"
    return "\n".join([_table(head, rows), "", published, "", published_table()])


def seed_table(seed: str, results: Results) -> str:
    """A table of docs/seeds.md: the recipes that were made after a seed, with fewer columns."""
    head = ("recipe", "test set, given", "nats per image", "bits/dim")
    recipes = [read(name) for name in names()]
    ours = [recipe for recipe in recipes if seed in recipe.seed.split(", ")]
    rows = [row for recipe in ours for row in _begun(recipe, results).values()]
    return _table(head, [(label, *cells) for label, _, *cells in rows])


def loss_table(results: Results) -> str:
    """The losses that the code of seed 002 prints, and those of our run at the same steps."""
    del results
    found = json.loads(LOSSES.read_text(encoding="utf-8"))["mnist4-gated"]
    theirs = ["-" if loss is None else str(loss) for loss in found["theirs"]]
    ours = [f"{loss:.4f}" for loss in found["ours"]]
    rows = [("the code's line", *theirs), ("ours, validation images", *ours)]
    return _table(("step", *found["names"]), rows)


def family_table(results: Results) -> str:
    """Six nets: after as many images each, and after about as many minutes each."""
    head = ("net", "weights", f"{FEWER}, nats", "minutes", "about 8 minutes, nats", "images")
    rows = []
    for net in FAMILY:
        name = f"mnist-{net}"
        longer = results.measured.get(name)
        fewer = results.measured.get(f"{name} {FEWER}")
        if longer is not None and longer.images == 1400 * 16:
            fewer = longer
        rows.append((
            f"`{name}`", f"{results.parameters[name]:,}",
            _figures(fewer)[0] if fewer else "-", f"{fewer.minutes}" if fewer else "-",
            _figures(longer)[0] if longer else "-", f"{longer.images:,}" if longer else "-",
        ))  # fmt: skip
    return _table(head, rows)


def readme_table(results: Results) -> str:
    """The table of README.md."""
    head = ("recipe", "seed", "test set", "nats per image", "bits/dim", "trained, on")
    measured = {name: results.measured[name] for name in IN_README if name in results.measured}
    rows = [
        (f"`{name}`", read(name).seed, test_set(found, read(name)), *_figures(found),
         f"{found.minutes} min, {found.hardware}")
        for name, found in list(measured.items())[:ROWS]
    ]  # fmt: skip
    return _table(head, rows)


def published_table() -> str:
    """Published figures with their sources."""
    head = ("data, protocol, levels", "model", "published", "conditions", "source")
    rows = [
        (key, row["model"], _published(row), row["conditions"], row["source"])
        for key, rows in published().items()
        for row in rows
    ]
    return _table(head, rows)


def published() -> dict[str, list[dict[str, Any]]]:
    """The file of published figures: rows by data, protocol and levels."""
    content: dict[str, list[dict[str, Any]]] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return content


def comparable(recipe: Recipe) -> list[dict[str, Any]]:
    """Published figures that may stand next to a recipe's."""
    if recipe.model.options.get("condition") or recipe.model.name == "autoencoder":
        return []
    key = f"{recipe.data.name} {protocol_of(recipe)} {recipe.data.levels}"
    return published().get(key, [])


def protocol_of(recipe: Recipe) -> str:
    """The protocol that a recipe trains by, as `nextpixel.data.protocols` settles it."""
    if recipe.data.protocol:
        return recipe.data.protocol
    if recipe.data.name not in ("mnist", "fashion-mnist", "cifar10", "photographs"):
        return "levels"
    return "threshold" if recipe.data.levels == 2 else "quantized"


def test_set(measured: Measured, recipe: Recipe) -> str:
    """Whose test images, by which protocol, and the model's condition."""
    condition = "" if measured.conditioned_on == "nothing" else condition_of(recipe)
    return f"{_set(recipe, measured.protocol)}{condition}"


def condition_of(recipe: Recipe) -> str:
    """What a recipe's model is conditioned on, after a comma; empty for nothing."""
    options = recipe.model.options
    if recipe.model.name == "autoencoder":
        return f", given its own code of {options.get('code', 'some')} numbers, not counted"
    conditions = options.get("condition")
    if not conditions:
        return ""
    as_map = isinstance(conditions, list) and conditions[0].get("form") == "map"
    return ", given a map of the class" if as_map else ", given the class"


def _set(recipe: Recipe, protocol: str) -> str:
    detail = {"quantized": f", {recipe.data.levels} levels", "levels": ""}
    return f"{recipe.data.name}{detail.get(protocol, f', {protocol}')}"


def _rows(recipe: Recipe, results: Results) -> list[tuple[str, ...]]:
    others = ", ".join(f"{row['model']}: {_published(row)}" for row in comparable(recipe)) or "-"
    return [
        (*cells, f"{parameters_of(label, results):,}", *_made(recipe, results, label, others))
        for label, cells in _begun(recipe, results).items()
    ]


def _begun(recipe: Recipe, results: Results) -> dict[str, tuple[str, ...]]:
    """How the rows of a recipe and its variants begin: up to what was measured."""
    images = _set(recipe, protocol_of(recipe)) + condition_of(recipe)
    plain = {recipe.name: (f"`{recipe.name}`", recipe.seed, images, "not trained yet", "-")}
    return plain | {
        label: (f"`{label}`", recipe.seed, test_set(found, recipe), *_figures(found))
        for label, found in results.of(recipe.name).items()
    }


def _made(recipe: Recipe, results: Results, label: str, others: str) -> tuple[str, ...]:
    """How a row goes on: what training took, and published figures to compare it with."""
    if label not in results.measured:
        command = f"`nextpixel train {recipe.name}{FOLDER_OPTION.get(recipe.data.name, '')}`"
        return "-", "-", others, command
    found = results.measured[label]
    hardware = f"{found.hardware}; torch {found.torch}"
    return _trained(found), hardware, others, f"`{found.command}`"


def _figures(found: Measured) -> tuple[str, str]:
    nats = f"{found.nats:.2f} ± {found.standard_error:.2f}"
    if found.runs:
        nats += f" (median of {', '.join(f'{run:.2f}' for run in found.runs)})"
    return nats, f"{found.bits_per_dim:.4f}"


def _trained(found: Measured) -> str:
    commit = f", commit {found.commit[:9]}" if found.commit else ""
    return f"{found.images:,} images in {found.minutes} min{commit}"


def _published(row: dict[str, Any]) -> str:
    return f"{row['nats']:.2f} nats" if "nats" in row else f"{row['bits_per_dim']} bits/dim"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
