"""Bits per dimension color by color: what it is worth that G sees R, and B both.

    python benchmarks/colors.py DEPENDENT INDEPENDENT [--images 10000]

Two models of one data set, folders or names of shipped models.
"""

import argparse
import json
import math

import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.cli.images import data_of
from nextpixel.data import Split
from nextpixel.likelihood import evaluation_mode


@torch.inference_mode()
def bits_by_color(model: npx.models.PixelModel, images: Split) -> Tensor:
    """Bits per dimension of each color of each image, (N, C)."""
    parts = []
    with evaluation_mode(model):
        for levels in torch.split(images.levels, 100):
            surprise = -model(levels).log_prob(levels)
            parts.append(surprise.double().mean((2, 3)) / math.log(2))
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare two models color by color.")
    parser.add_argument("models", nargs=2, metavar="MODEL")
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    found = []
    for folder in arguments.models:
        model = npx.load(folder)
        images = data_of(folder, model, None).test.take(arguments.images)
        bits = bits_by_color(model, images)
        found.append(bits)
        row = "  ".join(f"{value:.4f}" for value in [*bits.mean(0).tolist(), bits.mean().item()])
        weights = sum(weight.numel() for weight in model.parameters())
        print(f"{folder}: R, G, B, all = {row} bits/dim; {weights:,} parameters")
    gain = found[1] - found[0]
    mean, error = gain.mean(0), gain.std(0) / math.sqrt(len(gain))
    for color, value, spread in zip("RGB", mean.tolist(), error.tolist(), strict=False):
        print(f"{color}: the first is lower by {value:.4f} +- {spread:.4f} bits/dim")
    print(
        json.dumps({"images": len(gain), "gain": mean.tolist(), "standard_error": error.tolist()})
    )


if __name__ == "__main__":
    main()
