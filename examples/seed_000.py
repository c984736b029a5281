"""Seed 000: PixelCNN and class-conditional PixelCNN of MNIST at all 256 levels.

    python examples/seed_000.py            2 x 21,500 steps of 64 images: long on a CPU
    python examples/seed_000.py --quick    tiny nets, 15 steps: seconds, and noise for digits

A model that was trained before, in runs/RECIPE, or that comes with the package is taken as it is.

What the document shows, in `runs/seed_000`: the context of a pixel (with the blind spot that the
document does not mention), samples, and samples class by class, by x + W h before each
convolution. It also warns that batch norm breaks causality in training mode, so that figures of
evaluation mode can be worse: the table says by how much, and `batch_norm_leak.py` counts why.
"""

import csv
from pathlib import Path

from common import TINY, audited, by_class, draw, keep, options, scores, train, trained

import nextpixel as npx
from nextpixel import gallery

PLAIN, CONDITIONAL = "mnist256-pixelcnn", "mnist256-pixelcnn-class"
QUICK = (*TINY, "--train.previews", "0", "--model.features", "8", "--model.layers", "2")


def context(out: Path) -> None:
    """What the pixel in the middle sees: that depends on the kernels, so few features will do."""
    net = {**npx.recipes.read(PLAIN).model.options, "features": 8}
    found = audited(npx.build("pixelcnn", seed=0, shape=(1, 21, 21), levels=2, **net))
    print(found.summary())
    step = found.centre()
    picture = gallery.receptive_field(found.field(step), step, blind=found.blind(step))
    keep(picture, out / "context.png", "what the middle pixel sees, with its blind spot")


def modes(folder: Path) -> None:
    """The losses of both modes at the end of training."""
    if not (folder / "metrics.csv").exists():
        print(f"\n{folder.name}: no run, so no losses of training")
        return
    with (folder / "metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    print(
        f"\n{folder.name} after step {last['step']}: "
        f"{float(last['train_nats']):.1f} nats in training mode, where batch norm leaks; "
        f"{float(last['test_nats']):.1f} on test images in evaluation mode"
    )


def main() -> None:
    out, quick = options("000", __doc__ or "")
    context(out)
    settings = QUICK if quick else ()
    plain = train(PLAIN, out, *settings)
    conditional = train(CONDITIONAL, out, *settings)
    samples = gallery.grid(draw(plain, 4 if quick else 100), plain.levels)
    keep(samples, out / "samples.png", "drawn from the model")
    sheet = by_class(conditional, 10, 1 if quick else 10)
    keep(sheet, out / "by-class.png", "drawn from the conditional model, a column for each digit")
    for recipe in (PLAIN, CONDITIONAL):
        modes(trained(recipe, out))
    scores(out, PLAIN, CONDITIONAL)


if __name__ == "__main__":
    main()
