"""Sixteen bits by two softmaxes, a high and a low byte, beside a mixture of logistics.

    python benchmarks/bit_split.py RUN [--steps 2000]      half an hour on one core

Each color of the photons becomes two colors of 256 levels that depend on each other, and the net of
the recipe `photons-mixture` is trained on them with a softmax, all in the folder RUN. Bits are of a
16-bit sub-pixel, as those of the recipe are.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import nextpixel as npx
from nextpixel.recipes import read

SPLIT = {"head": "categorical", "colors": "dependent"}


def write_bytes(path: Path) -> None:
    """All images of `photons` as (N, 4, 24, 40): high and low byte of each color."""
    data = npx.load_data("photons")
    parts = [part.levels for part in (data.train, data.validation, data.test)]
    levels = torch.cat(parts).numpy()
    halves = np.stack([levels >> 8, levels & 255], 2)
    np.save(path, halves.reshape(len(levels), 4, 24, 40).astype(np.uint8))


def main() -> None:
    """Train, and print the bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    asked = parser.parse_args()
    asked.run.mkdir(parents=True)
    write_bytes(asked.run / "bytes.npy")
    data = npx.load_data(asked.run / "bytes.npy", levels=256)
    recipe = read("photons-mixture")
    options = {**recipe.model.options, **SPLIT}
    model = npx.build(recipe.model.name, shape=data.shape, levels=256, seed=0, **options)
    train = {"steps": asked.steps, "batch_size": 16, "optimizer": "muon", "learning_rate": 0.02,
             "adam_learning_rate": 0.01, "betas": (0.9, 0.99), "schedule": "cosine", "warmup": 50,
             "clip_norm": 1.0, "validate_every": 500, "threads": 1}  # fmt: skip
    npx.fit(model, data, npx.TrainConfig(**train), out=asked.run / "model")
    found = npx.evaluate(model, data.test)
    print(f"{2 * found.bits_per_dim:.4f} +- {2 * found.bits_error:.4f} bits a 16-bit sub-pixel")


if __name__ == "__main__":
    main()
