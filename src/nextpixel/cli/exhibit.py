"""`nextpixel exhibit`: a model as plain files for the browser, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from nextpixel.models import PixelModel

MODEL = "mnist2-gated-class"
"""Of the shipped models that a page can carry out, the one that draws the best looking digits."""
IMAGES = 20
"""To complete and to look into."""


def exhibit(*, out: Path, model: str = MODEL) -> None:
    """Write a page.

    Args:
        out: Folder to write; it must be empty, or hold an exhibit, which is replaced.
        model: Folder of a model, or name of a shipped one, of images of one color.
    """
    import nextpixel as npx
    from nextpixel import recipes
    from nextpixel.exhibit.build import Shown, build, check_place
    from nextpixel.exhibit.tables import check

    check_place(out)
    loaded = npx.load(model)
    check(loaded)
    name = Path(model).resolve().name
    own = Path(model).exists() or name not in recipes.names()
    title = loaded.name if own else recipes.read(name).title
    size = build(out, loaded, Shown(name, title, *images_of(model, loaded)))
    print(f"{out / 'index.html'}: {name}, {size / 1e6:.1f} MB in all; open it in a browser")


def images_of(folder: str, model: "PixelModel") -> "tuple[Tensor, Tensor | None]":
    """Images to begin with, (N, C, H, W), and their labels, (N,).

    Test images of a shipped model, whose data the package holds; of any other, images that it
    draws, so that nobody's data are made public unasked.
    """
    from nextpixel.checkpoint import shipped_names
    from nextpixel.cli.images import data_of

    if folder not in shipped_names() or Path(folder).exists():
        return drawn_by(model)
    test = data_of(folder, model, None).test
    chosen = mixed(test.labels, len(test.levels))
    return test.levels[chosen], None if test.labels is None else test.labels[chosen]


def drawn_by(model: "PixelModel") -> "tuple[Tensor, Tensor | None]":
    """Images that a model draws, and their labels."""
    import torch

    import nextpixel as npx
    from nextpixel.cli.inputs import labels_for

    labels = labels_for(model, IMAGES, None)
    rng = torch.Generator().manual_seed(0)
    return npx.sample(model, IMAGES, rng=rng, condition=labels), labels  # type: ignore[return-value]


def mixed(labels: "Tensor | None", count: int) -> list[int]:
    """Numbers of the first images of each class, the classes in turn."""
    if labels is None:
        return list(range(min(IMAGES, count)))
    classes = sorted(set(labels.tolist()))
    each = -(-IMAGES // len(classes))
    some = [(labels == label).nonzero().flatten()[:each].tolist() for label in classes]
    return [number for row in zip(*some, strict=False) for number in row][:IMAGES]
