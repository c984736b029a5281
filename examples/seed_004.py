"""Seed 004: binary digits and shapes, colors independent or dependent, and class-conditional nets.

    python examples/seed_004.py            4 x 8,600 steps of 128 images, 4 x 3,000 or more of 16
    python examples/seed_004.py --quick    the sets of shapes alone, tiny nets, 15 steps: seconds

A model that was trained before, in runs/RECIPE, or that comes with the package is taken as it is.

What the document shows, in `runs/seed_004`: for every set samples and images of it, and for each
run its training and test loss, `RECIPE/curves.png`. What it does not: the bits per dimension
that dependent colors save, and the right class against a wrong one.
"""

from pathlib import Path

from common import TINY, by_class, draw, keep, options, scores, train, trained

import nextpixel as npx
from nextpixel import gallery

PLAIN = ("mnist2-pixelcnn", "shapes2-pixelcnn")
COLORED = tuple(
    f"color-{kind}-{colors}"
    for kind in ("mnist", "shapes")
    for colors in ("independent", "dependent")
)
CONDITIONAL = {"mnist2-pixelcnn-class": 10, "shapes2-pixelcnn-class": 4}
SMALL = (*TINY, "--train.previews", "0", "--model.features", "12")
QUICK_PLAIN = (*SMALL, "--model.layers", "2")
QUICK_COLORED = (*SMALL, "--model.blocks", "1", "--model.inner", "6", "--model.head_features", "12")


def images_of(recipe: str, count: int) -> npx.data.Split:
    """Test images of a recipe's data set."""
    data = npx.recipes.read(recipe).data
    return npx.load_data(data.name, levels=data.levels, limit=count).test


def unconditional(recipe: str, count: int, out: Path, *settings: str) -> None:
    """Train, and show samples with images of the set."""
    model = train(recipe, out, *settings)
    images = images_of(recipe, count).levels
    keep(gallery.grid(images, model.levels), out / f"{recipe}-data.png", "images of the set")
    keep(gallery.grid(draw(model, count), model.levels), out / f"{recipe}.png", "samples")


def conditional(recipe: str, classes: int, rows: int, out: Path, *settings: str) -> None:
    """Train, show samples class by class, and see whether the class matters."""
    model = train(recipe, out, *settings)
    keep(by_class(model, classes, rows), out / f"{recipe}.png", "samples, a column a class")
    print(f"does the net listen to the class? {npx.health(model, images_of(recipe, 1000))}")


def main() -> None:
    out, quick = options("004", __doc__ or "")
    names = [name for name in (*PLAIN, *COLORED, *CONDITIONAL) if not quick or "mnist" not in name]
    for name in names:
        plain = name not in COLORED
        settings = () if not quick else QUICK_PLAIN if plain else QUICK_COLORED
        if name in CONDITIONAL:
            conditional(name, CONDITIONAL[name], 1 if quick else 10, out, *settings)
        else:
            unconditional(name, 4 if quick else 100, out, *settings)
        if (curves := trained(name, out) / "curves.png").exists():
            print(f"{curves}: training and test loss")
    scores(out, *names)


if __name__ == "__main__":
    main()
