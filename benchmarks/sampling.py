"""Sampling by the step engine, against recompute and against one forward pass, in one run.

    python benchmarks/sampling.py [--batches 1 16 64] [--rounds 3] [--threads 1]
    python benchmarks/sampling.py --device cuda     see sampling_cuda.py

"naive" is 784 times the measured forward pass: what sampling costs where each pixel runs the whole
network, as all of the seeds do. The engine and the forward pass are measured in turns.
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

import nextpixel as npx

GATED = {"features": 128, "layers": 9, "first_side": 7, "side": 3, "head_features": 128}


def nets() -> dict[str, npx.models.PixelModel]:
    """Seed 002's net, seed 000's net, and a large gated one."""
    return {
        "mnist4-gated (seed 002)": npx.build_recipe("mnist4-gated"),
        "mnist256-pixelcnn (seed 000)": npx.build_recipe("mnist256-pixelcnn"),
        "gated, 10 layers of 128": npx.build(
            "gated-pixelcnn", shape=(1, 28, 28), levels=256, **GATED
        ),
    }


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure(model: npx.models.PixelModel, count: int, rounds: int) -> dict[str, float]:
    """Median seconds of the engine and of a forward pass, and their ratios."""
    levels = torch.zeros(count, *model.shape, dtype=torch.int64)

    def draw() -> object:
        rng = torch.Generator().manual_seed(0)
        return npx.sample(model, count, rng=rng, batch_size=count)

    def forward() -> object:
        with torch.inference_mode():
            return model(levels)

    draw(), forward()
    pairs = [(seconds(draw), seconds(forward)) for _ in range(rounds)]
    engine, once = (statistics.median(values) for values in zip(*pairs, strict=True))
    steps = model.shape[1] * model.shape[2]
    return {
        "engine": engine,
        "forward": once,
        "engine_per_forward": engine / once,
        "naive_per_engine": steps * once / engine,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time sampling by the step engine.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = []
    head = ("net", "batch", "engine s", "forward s", "engine/forward", "naive/engine")
    print(f"{head[0]:30} {head[1]:>5} {head[2]:>9} {head[3]:>9} {head[4]:>14} {head[5]:>12}")
    for name, model in nets().items():
        torch.nn.init.normal_(model.last.weight, std=0.1)
        for count in arguments.batches:
            row = measure(model, count, arguments.rounds)
            found.append({"net": name, "batch": count, **row})
            print(
                f"{name:30} {count:5} {row['engine']:9.3f} {row['forward']:9.4f} "
                f"{row['engine_per_forward']:14.1f} {row['naive_per_engine']:12.0f}",
                flush=True,
            )
    print(json.dumps({"threads": arguments.threads, "results": found}))


if __name__ == "__main__":
    importlib.import_module("sampling_cuda").main() if "--device" in sys.argv else main()
