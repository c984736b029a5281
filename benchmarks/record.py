"""Record what recipes measured: for `nextpixel recipes`, docs/results.md, and shipped models.

    python benchmarks/record.py                             parameters of all recipes; the table
    python benchmarks/record.py RECIPE=runs/RECIPE ...      the figures of finished runs
    python benchmarks/record.py --ship RECIPE=runs/RECIPE   and copy the model into the package

A run whose settings differ from the recipe's is recorded with what differs.
"""

import argparse
import csv
import json
import platform
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import nextpixel as npx
from nextpixel.checkpoint import SHIPPED, read_config
from nextpixel.recipes import read
from nextpixel.recipes.results import FILE, Measured, Results

ROOT = Path(__file__).parents[1]
LARGEST = 2 * 2**20
IGNORED = {"threads", "step", "validation_nats"}


def hardware() -> str:
    """Processor and number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {len(names)} cores"


def differences(name: str, config: dict[str, Any]) -> list[str]:
    """Options by which a run differs from its recipe, as the command line gives them."""
    recipe = read(name)
    model = npx.build_recipe(name)
    asked = {f"model.{key}": value for key, value in asdict(model.config).items()}
    asked |= {f"train.{key}": value for key, value in asdict(recipe.train).items()}
    found = {f"model.{key}": value for key, value in config["model"]["options"].items()}
    found |= {f"train.{key}": value for key, value in config["training"].items()}
    return [
        f"--{key.replace('_', '-')} {found[key]}"
        for key, value in asked.items()
        if key.split(".")[1] not in IGNORED and json.loads(json.dumps(value)) != found.get(key)
    ]


def measure(name: str, folder: Path) -> Measured:
    """The figures of a finished run."""
    config = read_config(folder)
    if not config["evaluation"]:
        raise SystemExit(f"{folder} is not evaluated yet")
    with (folder / "metrics.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    threads = config["training"]["threads"]
    options = " ".join([f"nextpixel train {name}", *differences(name, config)])
    return Measured(
        **config["evaluation"],
        command=options + (f" --train.threads {threads}" if threads else ""),
        minutes=round(float(last["seconds"]) / 60, 1),
        images=int(last["images"]),
        hardware=hardware() + (f", {threads} used" if threads else ""),
        torch=torch.__version__.split("+")[0],
        parameters=sum(weight.numel() for weight in npx.load(folder).parameters()),
    )


def ship(name: str, folder: Path) -> None:
    """Copy a model into the package."""
    target = SHIPPED / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("model.safetensors", "config.json"):
        if (folder / file).stat().st_size > LARGEST:
            raise SystemExit(f"{folder / file} is larger than {LARGEST} bytes")
        shutil.copy(folder / file, target / file)


def table(results: Results) -> str:
    """The table of docs/results.md."""
    lines = [
        "| recipe | seed | parameters | nats per image | bits/dim | protocol, given | trained |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in npx.recipes.names():
        for label, measured in results.of(name).items():
            size = measured.parameters or results.parameters[name]
            told = "" if measured.given == "nothing" else f", given {measured.given}"
            lines.append(
                f"| `{label}` | {read(name).seed} | {size:,} | "
                f"{measured.nats:.2f} ± {measured.standard_error:.2f} | "
                f"{measured.bits_per_dim:.4f} | {measured.protocol}{told} | "
                f"{measured.images:,} images in {measured.minutes} min |"
            )
    commands = sorted({measured.command for measured in results.measured.values()})
    machines = sorted({(m.hardware, m.torch) for m in results.measured.values()})
    lines += ["", "Commands:", "", "```", *commands, "```", ""]
    lines += [f"Hardware: {machine}; torch {version}." for machine, version in machines]
    return "\n".join(lines)


def write(results: Results) -> None:
    """Write the package's file, and the table between its marks in docs/results.md."""
    FILE.write_text(json.dumps(results.as_dict(), indent=1) + "\n")
    page = ROOT / "docs" / "results.md"
    head, _, rest = page.read_text().partition("<!-- table -->")
    _, _, tail = rest.partition("<!-- end of table -->")
    middle = f"<!-- table -->\n{table(results)}\n<!-- end of table -->"
    page.write_text(head + middle + tail)


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the figures of finished runs.")
    parser.add_argument("runs", nargs="*", metavar="RECIPE[:LABEL]=FOLDER")
    parser.add_argument("--ship", action="store_true", help="copy the models into the package")
    arguments = parser.parse_args()
    results = Results.read()
    for name in npx.recipes.names():
        model = npx.build_recipe(name)
        results.parameters[name] = sum(weight.numel() for weight in model.parameters())
    for run in arguments.runs:
        names, _, folder = run.partition("=")
        name, _, label = names.partition(":")
        results.measured[f"{name} {label}".strip()] = measure(name, Path(folder))
        if arguments.ship:
            ship(name, Path(folder))
    write(results)
    print(table(results))


if __name__ == "__main__":
    main()
