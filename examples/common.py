"""What the scripts of the seeds share: two options, a recipe trained, pictures kept. No script."""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.app import main as nextpixel
from nextpixel.recipes.shipped import SHIPPED

TINY = (
    "--data.limit",
    "32",
    "--train.steps",
    "15",
    "--train.batch_size",
    "16",
    "--train.validate_every",
    "5",
)
"""A run of seconds; it learns next to nothing."""


def options(number: str, text: str) -> tuple[Path, bool]:
    """Read --out, where all goes, and --quick, whether small nets and few steps will do."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small nets, a few steps and images")
    parser.add_argument("--out", type=Path, default=Path("runs") / f"seed_{number}", help="folder")
    found = parser.parse_args()
    return found.out, found.quick


def command(*words: str) -> None:
    """Say a command and run it; a failure ends the script."""
    print("\n$ nextpixel " + " ".join(words), flush=True)
    if status := nextpixel(words):
        sys.exit(status)


def train(recipe: str, out: Path, *settings: str) -> npx.models.PixelModel:
    """The model of a recipe: one that was trained before, or trained now if there is none.

    With settings laid over it the recipe is always trained, into a folder of its name, emptied
    first.
    """
    folder = out / recipe if settings else trained(recipe, out)
    if settings or not folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        command("train", recipe, "--out", str(folder), *settings)
    else:
        print(f"\n{recipe}: trained before, {folder}; delete it or move it to train anew")
    return npx.load(folder)


def trained(recipe: str, out: Path) -> Path:
    """Where the model of a finished run lies: in `out`, in runs/, or in the package; else `out`."""
    places = (out / recipe, Path("runs") / recipe, SHIPPED / recipe)
    return next((folder for folder in places if is_finished(folder)), out / recipe)


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a model that was measured, as training does at its end."""
    config = folder / "config.json"
    return config.exists() and bool(npx.checkpoint.read_config(folder)["evaluation"])


def draw(model: npx.models.PixelModel, count: int, condition: Tensor | None = None) -> Tensor:
    """Images (count, C, H, W) from the model, the same ones every time."""
    return npx.sample(model, count, rng=torch.Generator().manual_seed(0), condition=condition)


def by_class(model: npx.models.PixelModel, classes: int, rows: int) -> Image.Image:
    """A sheet of samples with a column for each class."""
    levels = draw(model, rows * classes, torch.arange(classes).repeat(rows))
    return gallery.grid(levels, model.levels, columns=classes)


def audited(model: npx.models.PixelModel) -> "npx.audit.Audit":
    """Audit an untrained model.

    Training starts from the uniform distribution, that is, from a last layer of zeros, which sees
    nothing; here it gets random weights, so that all that could be seen is.
    """
    torch.nn.init.normal_(model.last.weight, generator=torch.Generator().manual_seed(0))
    return npx.audit(model)


def keep(picture: Image.Image, path: Path, meaning: str) -> None:
    """Write a picture, and say where and what it is."""
    gallery.save(picture, path)
    print(f"{path}: {meaning}")


def scores(out: Path, *recipes: str) -> None:
    """Print the likelihoods of the test images that the runs have measured."""
    print(f"\n{'recipe':30} {'nats/image':>10} {'+-':>6} {'bits/dim':>9} {'images':>7}")
    for recipe in recipes:
        found = npx.checkpoint.read_config(trained(recipe, out))["evaluation"]
        print(
            f"{recipe:30} {found['nats']:10.2f} {found['standard_error']:6.2f} "
            f"{found['bits_per_dim']:9.4f} {found['n']:7,}"
        )
