"""Four ways to complete digits of which a part is known: nats of what is missing, and pictures.

    python benchmarks/completion.py [--images 500] [--particles 64] [--by-particles 50]
        [--raster mnist-fast] [--mirror mnist-orders] [--any mnist-any-order] [--out DIR]
    python benchmarks/completion.py --curves [--images 200]

The nats are those of the true missing pixels given the known ones, of test images of MNIST
(dynamic protocol), an image: under the raster scan that ignores what is known later (the product of
p(x_i | past) over missing pixels), under the mirror order in which most known pixels come first,
under a locally masked net that visits all known pixels first, and under the raster net by
particles, whose estimate is log p(image) - log p(known). Differences are taken image by image. With
--out, a picture of each mask, with the same digits under each way. With --curves, the nats under
each of the eight S-curves that a locally masked net may follow after what is known, and under
their mixture.
"""

import argparse
import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.models import PixelModel
from nextpixel.order import MIRRORS, indices_of, known_first

WAYS = ("raster", "mirror", "any order", "particles")


def masks(height: int, width: int) -> dict[str, Tensor]:
    """What is known, (H, W) each."""
    known = {}
    for side in ("top", "bottom", "left", "right"):
        mask = torch.zeros(height, width, dtype=torch.bool)
        rows = {"top": slice(height // 2), "bottom": slice(height // 2, None)}
        columns = {"left": slice(width // 2), "right": slice(width // 2, None)}
        mask[rows.get(side, slice(None)), columns.get(side, slice(None))] = True
        known[side] = mask
    frame = torch.ones(height, width, dtype=torch.bool)
    frame[height // 4 : -(height // 4), width // 4 : -(width // 4)] = False
    return known | {"frame": frame}


@torch.inference_mode()
def ignoring(model: PixelModel, levels: Tensor, known: Tensor) -> Tensor:
    """Nats of missing pixels given their past in the raster scan, (N,)."""
    parts = []
    for some in levels.split(100):
        log_p = model(some).log_prob(some)
        parts.append(-log_p.where(~known, log_p.new_zeros(())).flatten(1).sum(1).double())
    return torch.cat(parts)


def exactly(model: PixelModel, levels: Tensor, known: Tensor, particles: int) -> Tensor:
    """Nats of missing pixels given the known ones, (N,)."""
    rng = torch.Generator().manual_seed(0)
    parts = [
        -npx.log_prob_of(model, some, ~known, given=known, particles=particles, rng=rng).nats
        for some in levels.split(100)
    ]
    return torch.cat(parts)


@torch.inference_mode()
def along(model: PixelModel, levels: Tensor, known: Tensor, curve: str) -> Tensor:
    """Nats of missing pixels given the known ones, the others along a curve after them, (N,)."""
    order = known_first(known, indices_of(curve, *known.shape))
    parts = []
    for some in levels.split(100):
        turned, condition = model.in_order(some, None, order.expand(len(some), *order.shape))
        log_p = model(turned, condition).log_prob(turned)
        parts.append(-log_p.where(~known, log_p.new_zeros(())).flatten(1).sum(1).double())
    return torch.cat(parts)


def print_curves(raster: PixelModel, model: PixelModel, levels: Tensor) -> None:
    """Differences from the raster scan under each S-curve, and under the mean of all."""
    for name, known in masks(*levels.shape[2:]).items():
        plain, found = ignoring(raster, levels, known), []
        for mirror in MIRRORS:
            found.append(along(model, levels, known, f"s-curve/{mirror}"))
            print(f"{name:8} {mirror:28} {cell(found[-1], plain)}", flush=True)
        each = torch.stack(found)
        mixed = math.log(len(each)) - (-each).logsumexp(0)
        print(f"{name:8} {'all eight, averaged':28} {cell(mixed, plain)}", flush=True)


def cell(nats: Tensor, than: Tensor) -> str:
    """Mean, and the mean difference from another way on the same images."""
    less = nats - than[: len(nats)]
    error = less.std() / len(less) ** 0.5
    return f"{nats.mean():.2f} ({less.mean():+.2f} +- {error:.2f})"


def picture(models: list[PixelModel], levels: Tensor, known: Tensor, particles: int) -> Image.Image:
    """Digits, what is known of them, and a completion of each in each way."""
    rng = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    raster, mirror, any_order = models
    made = [
        npx.complete(raster, levels, known, rng=rng()),
        npx.complete(mirror, levels, known, rng=rng()),
        npx.complete(any_order, levels, known, rng=rng()),
        npx.complete(raster, levels, known, rng=rng(), method="particles", particles=particles),
    ]
    return gallery.sheet(levels, known, torch.stack(made, 1), raster.levels)


def main() -> None:
    """Print the table, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--by-particles", type=int, default=50)
    parser.add_argument("--raster", default="mnist-fast")
    parser.add_argument("--mirror", default="mnist-orders")
    parser.add_argument("--any", default="mnist-any-order")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--curves", action="store_true", help="of the net of any order")
    chosen = parser.parse_args()
    models = [npx.load(name).eval() for name in (chosen.raster, chosen.mirror, chosen.any)]
    test = npx.load_data("mnist", levels=2, protocol="dynamic").test
    levels = test.levels[: chosen.images].long()
    if chosen.curves:
        print_curves(models[0], models[2], levels)
        return
    print(
        f"nats of what is missing, an image; (difference from raster); {len(levels)} test images,"
    )
    print(f"particles: {chosen.particles}, the first {chosen.by_particles} images")
    print("| known | " + " | ".join(WAYS) + " |\n" + "| --- " * (len(WAYS) + 1) + "|")
    for name, known in masks(*levels.shape[2:]).items():
        plain = ignoring(models[0], levels, known)
        found = [exactly(model, levels, known, chosen.particles) for model in models[1:]]
        found.append(exactly(models[0], levels[: chosen.by_particles], known, chosen.particles))
        cells = [f"{plain.mean():.2f}", *(cell(nats, plain) for nats in found)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        if chosen.out is not None:
            chosen.out.mkdir(parents=True, exist_ok=True)
            shown = picture(models, levels[:8], known, chosen.particles)
            gallery.save(shown, chosen.out / f"completion-{name}.png")


if __name__ == "__main__":
    main()
