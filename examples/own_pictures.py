"""Pictures of one's own: a folder of mixed sizes becomes a model that draws and compresses.

    python examples/own_pictures.py --out runs/own [--minutes 30]

The pictures are 64 parts of a shaded map of hills, 43x36 to 58x50 pixels, 8 of them held out. Its
heights are a file that matplotlib carries (jacksboro_fault_dem.npz). Training follows the clock.
The same commands take a folder of yours: docs/own.md explains them. relief.png shows held-out
pictures, samples larger than any of them, and three of the pictures with two completions each.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from common import command, keep
from matplotlib import get_data_path
from matplotlib.colors import LightSource
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import nextpixel as npx

HEIGHTS = Path("sample_data") / "jacksboro_fault_dem.npz"
METRES = 111_200
"""Of a degree of latitude."""
ACROSS = 8
SIDE = 64
"""Of samples: larger than what was trained on."""
GAP = 4
QUICK = ("--train.steps", "3", "--train.batch-size", "4", "--train.previews", "0")


def relief() -> NDArray[np.uint8]:
    """The shaded map, (344, 403)."""
    with np.load(Path(get_data_path()) / HEIGHTS) as file:
        heights = file["elevation"].astype(float)
        narrower = np.cos(np.radians(file["ymin"]))
        steps = METRES * file["dx"] * narrower, METRES * file["dy"]
    shaded = LightSource().hillshade(heights, dx=steps[0], dy=steps[1])
    return np.round(255 * shaded).astype(np.uint8)


def edges(length: int) -> list[int]:
    """Where parts of several lengths end."""
    places = np.linspace(0, length, ACROSS + 1)
    return [int(place) + 7 * (number % 2) for number, place in enumerate(places[:-1])] + [length]


def make(folder: Path) -> None:
    """Write the parts of the map as pictures; every eighth is held out for the test."""
    whole = relief()
    rows, columns = (edges(length) for length in whole.shape)
    for number, (top, bottom) in enumerate(pairwise(rows)):
        for place, (left, right) in enumerate(pairwise(columns)):
            part = folder / ("test" if (3 * number + place) % ACROSS == 0 else "train")
            part.mkdir(parents=True, exist_ok=True)
            pixels = whole[top:bottom, left:right]
            Image.fromarray(pixels).save(part / f"{top:03}-{left:03}.png")


def completed(model: npx.PixelModel, file: Path, rng: torch.Generator) -> list[Tensor]:
    """A picture, its upper half, and two completions of that; (C, H, W) each."""
    with Image.open(file) as picture:
        levels = torch.from_numpy(np.array(picture)).expand(2, 1, -1, -1)
    known = torch.arange(levels.shape[2])[:, None].expand(levels.shape[2:]) < levels.shape[2] // 2
    drawn = npx.complete(model, levels, known, rng=rng)
    return [levels[0], torch.where(known, levels[0], 255), *drawn]


def sheet(rows: list[list[Tensor]]) -> Image.Image:
    """Pictures (C, H, W) of any sizes in rows, twice as large."""
    heights = [max(image.shape[1] for image in row) + GAP for row in rows]
    width = max(sum(image.shape[2] + GAP for image in row) for row in rows)
    page = Image.new("L", (width + GAP, sum(heights) + GAP), 255)
    for row, top in zip(rows, np.cumsum([GAP, *heights[:-1]]), strict=True):
        left = GAP
        for image in row:
            page.paste(Image.fromarray(image[0].byte().numpy()), (left, int(top)))
            left += image.shape[2] + GAP
    return page.resize((2 * page.width, 2 * page.height), Image.Resampling.NEAREST)


def draw(run: Path, pictures: Path, *, side: int) -> Image.Image:
    """Pictures, samples of side x side, and completions."""
    model, rng = npx.load(run), torch.Generator().manual_seed(0)
    held_out = sorted((pictures / "test").iterdir())
    shown = [torch.from_numpy(np.array(Image.open(file)))[None] for file in held_out[:6]]
    samples = npx.sample(model, 4, size=(side, side), rng=rng)
    return sheet([shown, list(samples), *(completed(model, file, rng) for file in held_out[:3])])


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of one's own, from folder to model.")
    parser.add_argument("--out", type=Path, default=Path("runs/own"), help="folder")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training")
    parser.add_argument("--quick", action="store_true", help="a few steps and pixels")
    asked = parser.parse_args()
    pictures, run = asked.out / "pictures", asked.out / "model"
    make(pictures)
    words = QUICK if asked.quick else ("--train.minutes", str(asked.minutes))
    if not (run / "config.json").exists():
        command("train", "own-gray", "--data", str(pictures), "--out", str(run), *words)
    command("evaluate", str(run), "--data", str(pictures / "test"))
    command("compress", str(run), str(pictures / "test"), str(asked.out / "test.npx"))
    page = draw(run, pictures, side=12 if asked.quick else SIDE)
    keep(page, asked.out / "relief.png", "held-out pictures, samples, and completions of the first")


if __name__ == "__main__":
    main()
