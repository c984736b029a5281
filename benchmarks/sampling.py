"""Sampling by the step engine, against forward passes and against recompute, in one run.

    python benchmarks/sampling.py [--batches 1 16 64] [--rounds 5] [--threads 2] [--recompute]
    python benchmarks/sampling.py --device cuda     see sampling_cuda.py

"naive" is 784 times the measured forward pass of the same batch by one thread: what sampling costs
where each pixel runs the whole network, as all of the seeds do. "recompute" is the package's own
oracle, which runs a window of the network; it is measured once, at batch 1. Engine, forward pass
and, where asked for, the engine with more threads are measured in turns, after one call of each.
Figures are medians.
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
from nextpixel.engine.cpu import executor as engine

GATED = {"features": 128, "layers": 9, "first_side": 7, "side": 3, "head_features": 128}
COLUMNS = (
    "engine s", "forward s", "engine/forward", "naive/engine", "GFLOP/s", "speed-up",
)  # fmt: skip


def nets() -> dict[str, npx.models.PixelModel]:
    """Seed 002's net, seed 000's net, and a large gated one."""
    return {
        "mnist4-gated (seed 002)": npx.build_recipe("mnist4-gated"),
        "mnist256-pixelcnn (seed 000)": npx.build_recipe("mnist256-pixelcnn"),
        "gated, 10 layers of 128": npx.build(
            "gated-pixelcnn", seed=0, shape=(1, 28, 28), levels=256, **GATED
        ),
    }


def seconds(job: Callable[[], object], threads: int = 1) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def drawing(
    model: npx.models.PixelModel, count: int, method: str = "engine"
) -> Callable[[], object]:
    def draw() -> object:
        rng = torch.Generator().manual_seed(0)
        return npx.sample(model, count, rng=rng, batch_size=count, method=method)

    return draw


def measure(
    model: npx.models.PixelModel, count: int, rounds: int, threads: int
) -> dict[str, float | None]:
    """Median seconds of the engine and of a forward pass, and their ratios."""
    levels = torch.zeros(count, *model.shape, dtype=torch.int64)
    draw = drawing(model, count)

    def forward() -> object:
        with torch.inference_mode():
            return model(levels)

    jobs = [(draw, 1), (forward, 1), *([(draw, threads)] if threads > 1 else [])]
    for job, number in jobs:
        seconds(job, number)
    times = [[seconds(job, number) for job, number in jobs] for _ in range(rounds)]
    ours, once, *more = (statistics.median(values) for values in zip(*times, strict=True))
    steps = model.shape[1] * model.shape[2]
    work = 2 * engine.prepared(model).layout.work * model.shape[1] * count
    return {
        "engine s": ours,
        "forward s": once,
        "engine/forward": ours / once,
        "naive/engine": steps * once / ours,
        "GFLOP/s": work / ours / 1e9,
        "speed-up": ours / more[0] if more else None,
    }


def peak() -> float:
    """GFLOP/s of a large product of matrices by torch, one thread; the best of ten."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(10)) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Time sampling by the step engine.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="also time the engine with so many")
    parser.add_argument("--recompute", action="store_true", help="time the oracle at batch 1")
    arguments = parser.parse_args()
    found: list[dict[str, object]] = []
    print(f"{'net':30} {'batch':>5} " + " ".join(f"{name:>14}" for name in COLUMNS))
    for name, model in nets().items():
        torch.nn.init.normal_(model.last.weight, std=0.1)
        for count in arguments.batches:
            row = measure(model, count, arguments.rounds, arguments.threads)
            found.append({"net": name, "batch": count, **row})
            cells = [f"{row[key]:14.4g}" if row[key] else f"{'':14}" for key in COLUMNS]
            print(f"{name:30} {count:5} " + " ".join(cells), flush=True)
        if arguments.recompute:
            once = seconds(drawing(model, 1, "recompute"))
            found.append({"net": name, "batch": 1, "recompute s": once})
            print(f"{name:30} {1:5} {once:14.4g} by recompute", flush=True)
    print(f"peak of torch's product of matrices, one thread: {peak():.0f} GFLOP/s")
    summary = {"threads": arguments.threads, "results": found, "peak GFLOP/s": peak()}
    print(json.dumps(summary))


if __name__ == "__main__":
    importlib.import_module("sampling_cuda").main() if "--device" in sys.argv else main()
