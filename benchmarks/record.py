"""Record what recipes measured: for `nextpixel recipes`, docs, cards, and shipped models.

    python benchmarks/record.py                             parameters of all recipes; the tables
    python benchmarks/record.py RECIPE=runs/RECIPE ...      the figures of finished runs
    python benchmarks/record.py RECIPE=runs/0,runs/1,runs/2    the median of several seeds
    python benchmarks/record.py --ship RECIPE=runs/RECIPE   and copy the model into the package
    ... --commit $(git rev-parse HEAD)                      of the source that trained the runs
    ... --hardware "AMD EPYC, 2 cores" --torch 2.13.0       where they ran, if not here

A run whose settings differ from the recipe's is recorded with what differs. Each time, the tables
of docs/results.md, docs/seeds.md and README.md are written anew, and the cards of the shipped
models.
"""

import argparse
import csv
import json
import math
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from cards import write_card
from tables import LOSSES, protocol_of, write_tables

import nextpixel as npx
from nextpixel.checkpoint import SHIPPED, read_config, shipped_names
from nextpixel.data.load import OWN
from nextpixel.models import PixelModel
from nextpixel.recipes import model_of, read
from nextpixel.recipes.shipped import FILE, Measured, Results

SHAPES = {"fashion-mnist": (1, 28, 28), "cifar10": (3, 32, 32), "photographs": (3, 24, 24)}
"""Of data sets that are read from files, which need not be here."""
FIGURES = ("nats", "standard_error", "bits_per_dim", "n", "protocol", "data")
"""What is recorded of an evaluation."""
LARGEST = 2 * 2**20
IGNORED = {"threads", "step", "validation_nats", "save_every"}


@dataclass(frozen=True)
class Place:
    """Where runs were trained, as far as the runs do not say it themselves."""

    hardware: str
    torch: str
    commit: str


def hardware() -> str:
    """Processor and number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {len(names)} cores"


def differences(name: str, config: dict[str, Any]) -> list[str]:
    """Options by which a run differs from its recipe, as the command line gives them.

    A folder of data is called DIR: where it lay is nobody's business. Settings that the run's
    version did not have are left out.
    """
    recipe = read(name)
    asked = {
        "data": asdict(recipe.data) | {"protocol": protocol_of(recipe)},
        "model": asdict(build(name).config),
        "train": asdict(recipe.train),
    }
    found = {
        "data": config["data"] | ({"folder": "DIR"} if config["data"].get("folder") else {}),
        "model": config["model"]["options"],
        "train": config["training"],
    }
    return [
        f"--{section}.{key.replace('_', '-')} {found[section][key]}"
        for section, options in asked.items()
        for key, value in options.items()
        if key in found[section]
        and key not in IGNORED
        and json.loads(json.dumps(value)) != found[section][key]
    ]


def build(name: str) -> PixelModel:
    """The net of a recipe, without its data where that is read from files."""
    recipe = read(name)
    if recipe.data.name not in SHAPES:
        return npx.build_recipe(name)
    return model_of(recipe, shape=SHAPES[recipe.data.name], levels=recipe.data.levels or 256)


def measure_all(name: str, folders: Sequence[Path], place: Place) -> tuple[Measured, Path]:
    """The figures of the run with the median, and its folder."""
    if len(folders) % 2 == 0:
        raise SystemExit(f"{name} must have an odd number of runs, got {len(folders)}")
    measured = {folder: measure(name, folder, place) for folder in folders}
    middle = sorted(measured, key=lambda folder: measured[folder].nats)[len(folders) // 2]
    nats = tuple(found.nats for found in measured.values())
    return replace(measured[middle], runs=nats if len(nats) > 1 else ()), middle


def measure(name: str, folder: Path, place: Place) -> Measured:
    """The figures of a finished run."""
    config = read_config(folder)
    figures = dict(config["evaluation"])
    if not figures:
        raise SystemExit(f"{folder} is not evaluated yet")
    with (folder / "metrics.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    threads = config["training"]["threads"]
    options = " ".join([f"nextpixel train {name}", *differences(name, config)])
    return Measured(
        conditioned_on=figures.pop("given"),
        **{name: figures[name] for name in FIGURES},
        command=options + (f" --train.threads {threads}" if threads else ""),
        minutes=round(float(last["seconds"]) / 60, 1),
        images=int(last["images"]),
        hardware=place.hardware + (f", {threads} used" if threads else ""),
        torch=place.torch,
        commit=place.commit,
        parameters=sum(weight.numel() for weight in npx.load(folder).parameters()),
    )


def ship(name: str, folder: Path) -> None:
    """Copy a model into the package."""
    if name not in npx.recipes.names():
        raise SystemExit(f"{name} must be a recipe without a label, since others are not shipped")
    target = SHIPPED / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("model.safetensors", "config.json"):
        if (folder / file).stat().st_size > LARGEST:
            raise SystemExit(f"{folder / file} is larger than {LARGEST} bytes")
        shutil.copy(folder / file, target / file)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    if config["data"].get("folder"):  # where it lay is nobody's business
        config["data"]["folder"] = None
        (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def record(results: Results, run: str, place: Place) -> tuple[str, Path]:
    """Record the runs of a word RECIPE[:LABEL]=FOLDER[,FOLDER...]; the row, and what to ship."""
    names, _, folders = run.partition("=")
    name, _, label = names.partition(":")
    if name not in npx.recipes.names() or not folders:
        raise SystemExit(f"{run} must be RECIPE[:LABEL]=FOLDER[,FOLDER...] of a known recipe")
    measured, folder = measure_all(name, [Path(part) for part in folders.split(",")], place)
    row = f"{name} {label}".strip()
    results.measured[row] = measured
    record_losses(row, folder)
    return row, folder


def record_losses(name: str, folder: Path) -> None:
    """Of a recipe in losses.json: nats a pixel of validation images at its steps."""
    losses = json.loads(LOSSES.read_text(encoding="utf-8"))
    if name not in losses:
        return
    with (folder / "metrics.csv").open() as file:
        nats = {row["step"]: float(row["validation_nats"]) for row in csv.DictReader(file)}
    pixels = math.prod(npx.load(folder).shape)
    losses[name]["ours"] = [round(nats[step] / pixels, 4) for step in losses[name]["steps"]]
    LOSSES.write_text(json.dumps(losses, indent=1) + "\n", encoding="utf-8")


def words() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Record the figures of finished runs.")
    parser.add_argument("runs", nargs="*", metavar="RECIPE[:LABEL]=FOLDER[,FOLDER...]")
    parser.add_argument("--ship", action="store_true", help="copy the models into the package")
    parser.add_argument("--commit", default="", help="of the source that trained the runs")
    parser.add_argument("--hardware", default=hardware(), help="that trained the runs")
    parser.add_argument("--torch", default=torch.__version__.split("+")[0], help="version there")
    arguments = parser.parse_args()
    if arguments.commit and not re.fullmatch("[0-9a-f]{7,40}", arguments.commit):
        parser.error(f"commit must be 7 to 40 hexadecimal digits, got {arguments.commit!r}")
    return arguments


def main() -> None:
    arguments = words()
    place = Place(arguments.hardware, arguments.torch, arguments.commit)
    results = Results.read()
    for name in npx.recipes.names():
        if read(name).data.name in OWN:  # their nets depend on the pictures
            continue
        results.parameters[name] = sum(weight.numel() for weight in build(name).parameters())
    try:
        done = [record(results, run, place) for run in arguments.runs]
    except npx.NextPixelError as error:
        raise SystemExit(str(error)) from error
    if arguments.ship:
        for name, folder in done:
            ship(name, folder)
    FILE.write_text(json.dumps(results.as_dict(), indent=1) + "\n")
    write_tables(results)
    redrawn = {name for name, _ in done} if arguments.ship else set()
    for name in shipped_names():
        write_card(name, draw=name in redrawn)
    for name, _ in done:
        print(f"{name}: {results.measured[name]}")


if __name__ == "__main__":
    main()
