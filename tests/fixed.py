"""Tiny models and images that are the same everywhere: their numbers follow from counting.

`python -m tests.fixed` writes the archives that `tests/golden` lacks; those that are there must
keep every byte until the format gets a new version.
"""

import itertools
from pathlib import Path

import torch
from torch import Tensor

from nextpixel import build
from nextpixel.codec.tensors import compress
from nextpixel.models import PixelModel

GOLDEN = Path(__file__).parent / "golden"
SMALL = {"features": 6, "first_side": 3, "head_features": 6}
CLASSES = [{"classes": 3, "form": "gate"}]
MODELS = {
    "levels": ("pixelcnn", (1, 6, 5), 2, {"features": 4, "layers": 2, "side": 3}),
    "labels": ("gated-pixelcnn", (3, 5, 4), 7, {**SMALL, "layers": 1, "condition": CLASSES}),
    "tiles": (
        "residual-pixelcnn",
        (1, 4, 4),
        256,
        {**SMALL, "inner": 3, "blocks": 1, "position": True},
    ),
}
IMAGES = {"levels": (7, 1, 6, 5), "labels": (5, 3, 5, 4), "tiles": (2, 1, 7, 5)}
PER_CHUNK = {"levels": 3, "labels": 2, "tiles": 256}
MIXTURE = {"head": "logistic", "components": 3}
COLORS = {1: "independent", 3: "coupled", 5: "dependent"}
for bits, colors in itertools.product((10, 12, 16), COLORS):
    name = f"mixture-{bits}-bits-{colors}"
    options = {
        "features": 15,
        "layers": 1,
        "side": 3,
        "pointwise": 0,
        "colors": COLORS[colors],
        **MIXTURE,
    }
    MODELS[name] = ("pixelcnn", (colors, 4, 5), 1 << bits, options)
    IMAGES[name], PER_CHUNK[name] = (3, colors, 4, 5), 2
MODELS["codes"] = ("pixelcnn", (1, 3, 3), 4096, {"features": 4, "layers": 1, "head": "categorical"})
IMAGES["codes"], PER_CHUNK["codes"] = (3, 1, 3, 3), 2
WINDOW = {"features": 5, "layers": 1, "side": 3}
for name, components in (("bands", 2), ("learned", 3)):
    own = {**WINDOW, "components": components}
    MODELS[name] = ("windowed-pixelcnn", (3, 4, 4), 256, own)
IMAGES |= {"bands": (3, 3, 5, 3), "learned": (2, 3, 19, 2)}
PER_CHUNK |= {"bands": 2, "learned": 1}


def model(name: str) -> PixelModel:
    """One of the models, with weights in -0.7..0.7."""
    kind, shape, levels, options = MODELS[name]
    made = build(kind, seed=0, shape=shape, levels=levels, **options)
    start = 0
    with torch.no_grad():
        for parameter in made.parameters():
            numbers = torch.arange(start, start + parameter.numel())
            parameter.copy_(((numbers * 37 % 101 - 50) / 71).view(parameter.shape))
            start += parameter.numel()
    return made


def images(name: str) -> Tensor:
    """Levels for it."""
    shape, levels = IMAGES[name], MODELS[name][2]
    numbers = torch.arange(torch.Size(shape).numel())
    if levels > 256:
        numbers = numbers * 997  # through all of them
    return (numbers * 7 + numbers // 5 * 3 + numbers**2 // 11).view(shape) % levels


def labels(name: str) -> Tensor | None:
    """Labels of them, where the model is conditioned on labels."""
    return torch.arange(IMAGES[name][0]) * 2 % 3 if name == "labels" else None


def archive(name: str) -> bytes:
    """What comes of them."""
    adapt = name == "learned"
    return compress(model(name), images(name), labels(name), per_chunk=PER_CHUNK[name], adapt=adapt)


def golden(name: str) -> bytes:
    """What came of them when the format was made."""
    return (GOLDEN / f"{name}.npx").read_bytes()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in MODELS:
        path = GOLDEN / f"{name}.npx"
        if not path.exists():
            path.write_bytes(archive(name))
