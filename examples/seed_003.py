"""Seed 003: train and generate from config files; who sees whom among the colors of a pixel.

    python examples/seed_003.py            21,500 steps of 64 images: long on a CPU
    python examples/seed_003.py --quick    a tiny net, 15 steps: seconds, and noise for digits

A model that was trained before, in runs/RECIPE, or that comes with the package is taken as it is.

The document's repository is used by two commands that read a config file each. So is this one; the
files, commands and pictures are in `runs/seed_003`.

The document also says that mask B connects all colors of the middle pixel to all. The G features of
the first layer hold R, so that R then sees itself. The audit of three small nets shows the graph
of independent colors, of dependent ones, and of that reading.
"""

import shutil
from pathlib import Path

import torch
import yaml
from common import audited, command, keep, options, trained

import nextpixel as npx
from nextpixel import gallery
from nextpixel.nn import MaskedConv2d
from nextpixel.order import Step

RECIPE = "mnist256-pixelcnn"
QUICK = {
    "data": {"limit": 32},
    "model": {"features": 8, "layers": 2},
    "train": {"steps": 15, "batch_size": 16, "previews": 0},
}
NET = {"features": 24, "inner": 12, "blocks": 2, "first_side": 5, "head_features": 24}


def write(path: Path, content: dict[str, object]) -> str:
    """Write a config file, show it, and give its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(content, sort_keys=False)
    path.write_text(text)
    print(f"\n{path}:\n" + text.rstrip())
    return str(path)


def train_and_generate(out: Path, *, quick: bool) -> None:
    """The document's two commands."""
    samples = str(out / "samples.png")
    folder = str(out / RECIPE if quick else trained(RECIPE, out))
    training = write(out / "train.yaml", {"out": folder, **(QUICK if quick else {})})
    if quick or not Path(folder).exists():
        shutil.rmtree(folder, ignore_errors=True)
        command("train", RECIPE, "--config", training)
    drawing = {"out": samples, "count": 4 if quick else 144, "seed": 0}
    command("sample", folder, "--config", write(out / "generate.yaml", drawing))


def small_net(colors: str) -> npx.models.PixelModel:
    return npx.build("residual-pixelcnn", seed=0, shape=(3, 7, 7), levels=4, colors=colors, **NET)


def join_all_colors(model: npx.models.PixelModel) -> npx.models.PixelModel:
    """What the document says of mask B: all colors to all, in every layer after the first."""
    for layer in [part for part in model.modules() if isinstance(part, MaskedConv2d)][1:]:
        layer.mask[:, :, -1, layer.side // 2] = 1
    return model


def graph(model: npx.models.PixelModel, name: str, out: Path) -> None:
    """Which colors of the middle pixel each of its colors sees, and what G sees of the image."""
    found = audited(model)
    row, column = model.shape[1] // 2, model.shape[2] // 2
    fields = torch.stack([found.field(Step(row, column, color)) for color in range(3)])
    print(f"\n{name}: {found.summary().splitlines()[0]}")
    for color, seen in zip("RGB", fields[:, :, row, column].tolist(), strict=True):
        others = [other for other, sees in zip("RGB", seen, strict=True) if sees]
        print(f"  {color} sees {' and '.join(others) or 'no color'} of its pixel")
    step = Step(row, column, 1)
    picture = gallery.receptive_field(found.field(step), step, blind=found.blind(step))
    keep(picture, out / f"green-{name.replace(' ', '-')}.png", "what G of the middle pixel sees")


def main() -> None:
    out, quick = options("003", __doc__ or "")
    train_and_generate(out, quick=quick)
    graph(small_net("independent"), "independent colors", out)
    graph(small_net("dependent"), "dependent colors", out)
    graph(join_all_colors(small_net("dependent")), "mask B joins all colors", out)


if __name__ == "__main__":
    main()
