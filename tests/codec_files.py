"""Models and files for the tests of `nextpixel compress` and `decompress`."""

from pathlib import Path

import numpy as np
from PIL import Image

import nextpixel as npx
from nextpixel.images import to_pixels
from tests import fixed

SMALL = {"features": 6, "layers": 1, "side": 3}


def make_models(folder):
    """Models in a folder: those of `fixed`, one for colors, one for two, one that takes vectors."""
    for name in fixed.MODELS:
        npx.save(fixed.model(name), folder / name)
    for name, shape, options in (
        ("color", (3, 4, 4), {}),
        ("pair", (2, 4, 4), {}),
        ("vector", (1, 4, 4), {"condition": [{"size": 2}]}),
    ):
        npx.save(
            npx.build("pixelcnn", seed=0, shape=shape, levels=256, **SMALL, **options),
            folder / name,
        )
    return folder


def counted(shape, levels):
    numbers = np.arange(np.prod(shape))
    return ((numbers * 7 + numbers // 5 * 3) % levels).reshape(shape)


def draw(path, size, mode="L"):
    height, width = size
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(counted(shape, 251).astype(np.uint8)).save(path)


def class_folders():
    """Five pictures of the levels of the model conditioned on labels, in three folders."""
    images = to_pixels(fixed.images("labels"), 7).numpy()
    for number, (image, name) in enumerate(zip(images, "acabb", strict=True)):
        Path("in", name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(image, 0, 2)).save(Path("in", name, f"{number}.png"))
    return sorted(Path("in").rglob("*.png"))


def five(run):
    np.save("a.npy", counted((5, 6, 5), 2).astype(bool))
    assert run("compress", "levels", "a.npy", "a.npx", "--chunk", "2")[0] == 0
    return np.load("a.npy")


def damage(place):
    data = bytearray(Path("a.npx").read_bytes())
    data[place] ^= 1
    Path("a.npx").write_bytes(bytes(data))
