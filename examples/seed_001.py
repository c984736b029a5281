"""Seed 001: fifteen residual blocks on MNIST at 2 and at 256 levels.

    python examples/seed_001.py            2 x 43,000 steps of 128 images: very long on a CPU
    python examples/seed_001.py --quick    tiny nets, 15 steps: seconds, and noise for digits

A model that was trained before, in runs/RECIPE, or that comes with the package is taken as it is.

What the document shows, in `runs/seed_001`, for each number of levels: the negative log-likelihood
of the test images, a sheet of 10x10 samples, and ten test images of which the lower half, from row
14 on, is drawn anew. The document's nats are those of a pixel, these are those of an image.
"""

from pathlib import Path

import torch
from common import TINY, draw, keep, options, scores, train

import nextpixel as npx
from nextpixel import gallery

RECIPES = {2: "mnist2-residual", 256: "mnist256-residual"}
QUICK = (
    *TINY,
    "--train.previews",
    "0",
    "--model.blocks",
    "1",
    "--model.features",
    "16",
    "--model.inner",
    "8",
)
FIRST_OCCLUDED = 14


def completions(model: npx.models.PixelModel, images: int, each: int, out: Path) -> None:
    """Test images, what is left of them, and what the model makes of that."""
    originals = npx.load_data("mnist", levels=model.levels, limit=images).test.levels
    rows = torch.arange(model.shape[1]).unsqueeze(1)
    known = (rows < FIRST_OCCLUDED).expand(model.shape[1:])
    rng = torch.Generator().manual_seed(0)
    made = npx.complete(model, originals.repeat_interleave(each, 0), known, rng=rng)
    sheet = gallery.sheet(originals, known, made.unflatten(0, (images, each)), model.levels)
    keep(sheet, out, "original | occluded | completions")


def main() -> None:
    out, quick = options("001", __doc__ or "")
    for levels, recipe in RECIPES.items():
        model = train(recipe, out, *(QUICK if quick else ()))
        samples = gallery.grid(draw(model, 4 if quick else 100), model.levels)
        keep(samples, out / f"samples-{levels}.png", f"drawn from the model of {levels} levels")
        images, each = (2, 2) if quick else (10, 3)
        completions(model, images, each, out / f"completions-{levels}.png")
    scores(out, *RECIPES.values())
    print("figures at 2 and at 256 levels are of different data: they cannot be compared")


if __name__ == "__main__":
    main()
