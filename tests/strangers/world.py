"""The folder in which the calls of `docs/wrong-calls.md` are made: models, sets, and damaged files.

Models are saved as they are built: nothing here is trained.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

import nextpixel as npx

DIGITS = {"name": "digits", "levels": 17, "protocol": "levels"}


def build(folder: Path) -> None:
    """Fill a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        models()
        arrays()
        pictures()
        folders()
        archives()
        texts()
    finally:
        os.chdir(before)


def models() -> None:
    """Small models of 8 x 8 images, and some that are damaged."""
    gray = npx.build("pixelcnn", shape=(1, 8, 8), levels=17, features=4, layers=1)
    classes = npx.build(
        "pixelcnn",
        shape=(1, 8, 8),
        levels=17,
        features=4,
        layers=1,
        condition=npx.ClassCondition(10),
    )
    rgb = npx.build("pixelcnn", shape=(3, 8, 8), levels=256, features=6, layers=1)
    vectors = npx.build(
        "pixelcnn",
        shape=(1, 8, 8),
        levels=17,
        features=4,
        layers=1,
        condition=npx.VectorCondition(2),
    )
    for name in ("digits", "cut", "newer", "lost"):
        npx.save(gray, f"runs/{name}", data=DIGITS)
    npx.save(classes, "runs/classes", data=DIGITS)
    npx.save(rgb, "runs/rgb", data={"name": "rgb"})
    npx.save(vectors, "runs/vectors", data=DIGITS)
    npx.save(gray, "runs/nameless")
    os.truncate("runs/cut/model.safetensors", 100)
    Path("runs/lost/model.safetensors").unlink()
    config = Path("runs/newer/config.json")
    config.write_text(config.read_text().replace('"format": ', '"format": 9'))


def arrays() -> None:
    """Arrays that are no images, or others than they should be."""
    small = np.arange(20 * 64).reshape(20, 8, 8) % 17
    made = {
        "images": small,
        "two": small[:2],
        "flat": small[0, 0],
        "none": small[:0],
        "large": np.zeros((4, 9, 9), int),
        "colored": np.zeros((4, 8, 8, 3), np.uint8),
        "five": np.zeros((4, 8, 8, 5), np.uint8),
        "floats": small / 16,
        "nan": np.full((20, 8, 8), np.nan),
        "negative": small - 5,
        "high": small + 70_000,
        "pixels": small + 200,
        "short": small,
        "short-labels": np.zeros(3, int),
        "half": small,
        "half-labels": np.full(20, 0.5),
        "eleven": small,
        "eleven-labels": np.arange(20) % 11,
    }
    for name, values in made.items():
        np.save(f"{name}.npy", values)
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.save("stub.npy", small)
    os.truncate("stub.npy", 500)
    np.savez("unnamed.npz", small)
    Path("words.npy").write_text("no array")


def picture(name: str, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    """A picture, black."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(name)


def pictures() -> None:
    """Single pictures."""
    picture("gray.png")
    picture("wide.png", (9, 8))
    picture("alpha.png", mode="RGBA")
    picture("palette.png", mode="P")
    picture("photo.jpg", mode="RGB")
    Image.new("RGB", (8, 8), "red").save("red.png")
    Image.new("L", (8, 8), "white").save("white.png")
    Image.effect_noise((64, 64), 90).save("torn.png")
    os.truncate("torn.png", 500)
    Path("words.png").write_text("no picture")


def folders() -> None:
    """Folders of pictures, and of nothing."""
    for number in range(4):
        picture(f"pictures/{number}.png")
        picture(f"sizes/{number}.png", (8, 8 + number))
    picture("loose/a.png")
    picture("loose/cats/b.png")
    picture("half/train/a.png")
    picture("strange/train/cats/a.png")
    picture("strange/train/cats/b.png")
    picture("strange/test/dogs/a.png")
    Path("empty").mkdir()
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("no picture")
    picture("broken/a.png")
    Path("broken/b.png").write_text("no picture")
    Path("sealed").mkdir()
    Path("sealed").chmod(0o555)


def archives() -> None:
    """An archive of ours, one of another model, and damaged ones."""
    levels = np.load("images.npy")[:, None]
    import torch

    data = npx.compress(npx.load("runs/digits"), torch.from_numpy(levels))
    Path("images.npx").write_bytes(data)
    Path("stub.npx").write_bytes(data[:30])
    Path("torn.npx").write_bytes(data[:-40])
    Path("flipped.npx").write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    Path("words.npx").write_text("no archive")


def texts() -> None:
    """Recipes and settings."""
    Path("own.yaml").write_text(
        "data: {name: images.npy, levels: 17}\n"
        "model: {name: pixelcnn, features: 4, layers: 1, side: 3}\n"
        "train: {steps: 2, batch_size: 4, previews: 0}\n"
    )
    Path("typo.yaml").write_text(
        "data: {name: digits}\nmodel: {name: pixelcnn}\ntrian: {steps: 2}\n"
    )
    Path("tab.yaml").write_text("data:\n\tname: digits\n")
    Path("count.yaml").write_text("count: many\n")
    Path("broken_module.py").write_text("import absent_library\n")
    Path("mask.txt").write_text("0 1\n")
