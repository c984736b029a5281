"""Six nets of the family side by side: a pass, a step of training, and sampling, on one thread.

    python benchmarks/family.py [--images 16] [--rounds 5] [--only mnist-snail ...]

The nets are those of the recipes mnist-row-lstm, mnist-diagonal-bilstm, mnist-snail,
mnist-transformer, mnist-residual and mnist-gated, of 56 to 63 thousand weights. A step is a pass
and the gradients of a batch, by torch's own operations ("plain") and as `fit` does it, with fused
layers. Jobs run in turn, and medians are compared.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import torch

import nextpixel as npx
from nextpixel import recipes
from nextpixel.accelerate import accelerated
from nextpixel.models import PixelModel

NETS = ("row-lstm", "diagonal-bilstm", "snail", "transformer", "residual", "gated")
HEAD = ("net", "weights", "pass, s", "plain step, s", "step, s", "sampling, s", "sampling / pass")


def seconds(job: Callable[[], object]) -> float:
    """Of one run."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def take_pass(model: PixelModel, levels: torch.Tensor) -> None:
    """Score images."""
    with torch.inference_mode():
        model.eval().log_prob(levels)


def take_step(model: PixelModel, levels: torch.Tensor) -> None:
    """A pass and its gradients."""
    model.train().zero_grad()
    (-model(levels).log_prob(levels).sum()).backward()


def take_fused_step(model: PixelModel, levels: torch.Tensor) -> None:
    """The same with fused layers."""
    with accelerated(model):
        take_step(model, levels)


def compare(name: str, images: int, rounds: int) -> str:
    """A line of the table; jobs run in turn, once before they are timed."""
    model = recipes.build_recipe(name)
    levels = npx.sample(model.eval(), images, rng=torch.Generator().manual_seed(0))
    jobs: dict[str, Callable[[], object]] = {
        "pass": lambda: take_pass(model, levels),
        "plain": lambda: take_step(model, levels),
        "fused": lambda: take_fused_step(model, levels),
        "sample": lambda: npx.sample(model.eval(), images),
    }
    found: dict[str, list[float]] = {job: [] for job in jobs}
    for round_ in range(rounds + 1):
        for job, run in jobs.items():
            spent = seconds(run)
            if round_:
                found[job].append(spent)
    once, plain, fused, sample = (statistics.median(found[job]) for job in jobs)
    weights = sum(weight.numel() for weight in model.parameters())
    figures = (f"{once:.3f}", f"{plain:.3f}", f"{fused:.3f}", f"{sample:.3f}")
    return f"| {name} | {weights:,} | {' | '.join(figures)} | {sample / once:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[f"mnist-{net}" for net in NETS])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{asked.images} images of 28x28, two levels, one thread, medians of {asked.rounds}")
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for name in asked.only:
        print(compare(name, asked.images, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
