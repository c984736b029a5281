"""Cards and pictures of the shipped models, from what is on record.

    python benchmarks/cards.py                  all cards anew; pictures where there are none
    python benchmarks/cards.py NAME ...         cards and pictures of these anew

A card says nothing that config.json, results.json or the recipe does not say; running this twice
writes the same files.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tables import test_set
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.data import describe
from nextpixel.models import PixelModel
from nextpixel.recipes import Recipe, read
from nextpixel.recipes.shipped import (
    CARD,
    PICTURE,
    SHIPPED,
    Measured,
    Results,
    Shipped,
    describe_shipped,
    parts_of,
    shipped_names,
)

SEED = 0
COLUMNS, LINES = 10, 4
USE = (
    "To learn, to teach and to try the library: exact likelihoods, samples, completions, lossless "
    "compression of images like those it was trained on, without training anything."
)
LIMITS = {
    "-": "",
    "class": "Its figure, given the class, is no figure of a model without a condition.",
    "own": "Its figure counts the image given its code, not the code: no likelihood of the image.",
}
CODEC = (
    "It is made for coding: it sees the twelve pixels before one. What is drawn from it begins in "
    "gray, goes on in textures, and sooner or later in noise."
)
NOTES = {
    **dict.fromkeys(("photo", "photo-small"), CODEC),
    "shapes-fast": "A perfect model needs 7.12 nats of an image whose class is known "
    "(`nextpixel.data.sources.shapes.entropy`, less log 4).",
}


ATTRIBUTION = Path(__file__).with_name("photographs.md")
"""What `benchmarks/photographs.py` writes of the pictures."""
SOURCES = (
    "Debian packages, averaged down by `benchmarks/photographs.py`, which lists the package, the "
    "author and the licence of each as the package states them. None is part of this project."
)
MIXED = "A mixture of two shipped nets, nothing trained anew: see docs/likelihood.md"
LABELS = (
    "- Labels were used to train the conditional part, and only there: the figure has none given.",
    "- It costs what its parts cost: a pass of the conditional net for each class that is likely.",
)


def card(name: str) -> str:
    """The text of a model's card.

    Args:
        name: Of a shipped model whose figures are recorded.
    """
    if parts_of(name):
        return mixture_card(name)
    config = json.loads((SHIPPED / name / "config.json").read_text(encoding="utf-8"))
    shipped, recipe, measured = describe_shipped(name), read(name), Results.read().measured[name]
    facts = _facts(shipped, recipe, measured, config)
    lines = [f"# {name}", "", f"{recipe.title}.", "", f"![{_alt(shipped)}]({PICTURE})", ""]
    lines += ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in facts.items())]
    lines += ["", "## Trained by", "", "```", measured.command, "```", ""]
    lines += ["## Use", "", USE, "", "```", f"nextpixel {_try(shipped)}", "```", ""]
    lines += ["## Limits", "", *_limits(shipped, measured), ""]
    if shipped.data == "photographs":
        lines += ["## Photographs", "", SOURCES, "", *ATTRIBUTION.read_text().splitlines(), ""]
    return "\n".join(lines)


def mixture_card(name: str) -> str:
    """The text of the card of a mixture of shipped models."""
    shipped, parts = describe_shipped(name), parts_of(name)
    config = json.loads((SHIPPED / name / "config.json").read_text(encoding="utf-8"))
    made = [f"`{part}`{_summed(describe_shipped(part))}" for part in parts]
    facts = {
        "model": f"`mixture` of {' and '.join(made)}, condition: none",
        "parameters": f"{shipped.parameters:,}, those of its parts: it has no weights of its own",
        "data": f"`{shipped.data}`: {describe(shipped.data)}",
        "protocol": f"`{shipped.protocol}`, {shipped.levels} levels",
        "test set": f"{config['evaluation']['n']:,} images of {shipped.data}, {shipped.protocol}",
        "nats per image": f"{shipped.nats:.2f} ± {shipped.standard_error:.2f} (standard error)",
        "bits/dim": f"{shipped.bits_per_dim:.4f}",
    }
    lines = [f"# {name}", "", f"{MIXED}.", "", f"![{_alt(shipped)}]({PICTURE})", ""]
    lines += ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in facts.items())]
    lines += ["", "## Made by", "", "```"]
    lines += [f"nextpixel mix {' '.join(parts)} --refer --out {name}", "```", "", "## Use", ""]
    lines += [USE, "", "```", f"nextpixel {_try(shipped)}", "```", "", "## Limits", "", *LABELS, ""]
    return "\n".join(lines)


def _summed(part: Shipped) -> str:
    return " (its class summed out)" if part.condition.startswith("class") else ""


def _facts(
    shipped: Shipped, recipe: Recipe, measured: Measured, config: dict[str, Any]
) -> dict[str, str]:
    training = config["training"]
    facts = {
        "model": f"`{shipped.architecture}`, condition: {_condition(shipped)}",
        "parameters": f"{shipped.parameters:,}",
        "data": f"`{shipped.data}`: {describe(shipped.data)}",
        "protocol": f"`{shipped.protocol}`, {shipped.levels} levels",
        "recipe": f"`{shipped.name}` (`nextpixel recipes {shipped.name}`), after {recipe.paper}",
        "test set": f"{measured.n:,} images of {test_set(measured, recipe)}",
        "nats per image": f"{measured.nats:.2f} ± {measured.standard_error:.2f} (standard error)",
        "bits/dim": f"{measured.bits_per_dim:.4f}",
        "trained": f"{training['steps']:,} steps of {training['batch_size']} images "
        f"({measured.images:,} images), the weights of step {training['step']:,} kept",
        "time": f"{measured.minutes} minutes",
        "hardware": measured.hardware,
        "torch": measured.torch,
        "commit": measured.commit or "not recorded",
    }
    if measured.runs:
        several = ", ".join(f"{run:.2f}" for run in measured.runs)
        facts["seeds"] = f"the median of {len(measured.runs)} runs: {several} nats"
    return facts


def _condition(shipped: Shipped) -> str:
    return "none" if shipped.condition == "-" else shipped.condition


def _alt(shipped: Shipped) -> str:
    if shipped.condition.startswith("own"):
        return "test images, and what the model draws from the code of each"
    by_class = "" if shipped.condition.startswith("-") else ", a class a column"
    return f"images drawn from the model{by_class}"


def _try(shipped: Shipped) -> str:
    if shipped.data == "photographs":
        return f"compress {shipped.name} PICTURES photographs.npx"
    if shipped.condition.startswith("own"):
        return f"reconstruct {shipped.name} --images {shipped.data} --out decoded.png"
    return f"sample {shipped.name} --count 20 --columns 10 --out samples.png"


def _limits(shipped: Shipped, measured: Measured) -> list[str]:
    lines = [
        f"It knows images like those of `{shipped.data}` only. The figure holds for the protocol "
        f"`{shipped.protocol}` and is comparable to no other.",
        f"{measured.minutes} minutes of training are far from the best that such a net can do.",
        LIMITS[shipped.condition.split(" ")[0]],
        NOTES.get(shipped.name, ""),
    ]
    return [f"- {line}" for line in lines if line]


def picture(name: str) -> Image.Image:
    """Images drawn by a shipped model, always the same: for an auto-encoder, from codes."""
    model, rng = npx.load(name), torch.Generator().manual_seed(SEED)
    shipped = describe_shipped(name)
    if shipped.condition.startswith("own"):
        originals = npx.load_data(shipped.data, levels=shipped.levels).test.levels[:6]
        return _decodings(model, originals, rng)
    columns = 4 if shipped.data == "photographs" else _columns(model)  # in color they are large
    labels = torch.arange(columns * LINES) % _classes(model) if _classes(model) else None
    levels = npx.sample(model, columns * LINES, condition=labels, rng=rng)
    return gallery.grid(levels, model.levels, columns=columns, scale=max(1, 56 // model.shape[1]))


def _classes(model: PixelModel) -> int:
    """Classes of the model's condition; 0 without one."""
    config: Any = model.config
    return sum(condition.classes for condition in config.condition)


def _columns(model: PixelModel) -> int:
    """As many that each holds images of one class."""
    return COLUMNS - COLUMNS % (_classes(model) or 1)


def _decodings(model: PixelModel, originals: Tensor, rng: torch.Generator) -> Image.Image:
    many = originals.repeat_interleave(LINES, 0)
    with torch.inference_mode():
        made = npx.sample(model, len(many), condition=model.own_condition(many), rng=rng)
    return gallery.reconstructions(
        originals, made.view(len(originals), LINES, *model.shape), model.levels
    )


def write_card(name: str, *, draw: bool) -> None:
    """Write a model's card, and its picture if asked to or if there is none."""
    if draw or not (SHIPPED / name / PICTURE).is_file():
        gallery.save(picture(name), SHIPPED / name / PICTURE)
    (SHIPPED / name / CARD).write_text(card(name), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the cards of the shipped models.")
    parser.add_argument("names", nargs="*", choices=[*shipped_names(), []], metavar="NAME")
    arguments = parser.parse_args()
    for name in arguments.names or shipped_names():
        write_card(name, draw=bool(arguments.names))
        print(SHIPPED / name / CARD)


if __name__ == "__main__":
    main()
