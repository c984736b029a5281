"""Three ways to use two cores for a training step of the demo's net, interleaved in one run.

    python benchmarks/threads.py [--rounds 20]

one: a single thread. torch: torch's own two threads. ours: two threads, half of the images each.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

import nextpixel as npx
from nextpixel.training.gradient import Gradient

BATCH = 16


def steps(model: npx.models.PixelModel) -> dict[str, Callable[[torch.Tensor], float]]:
    """A function for each way."""
    torch.set_num_threads(2)
    threads = Gradient(model)
    torch.set_num_threads(1)
    whole = Gradient(model)

    def with_threads(count: int) -> Callable[[torch.Tensor], float]:
        def step(levels: torch.Tensor) -> float:
            torch.set_num_threads(count)
            return whole.set(levels)

        return step

    return {"one": with_threads(1), "torch": with_threads(2), "ours": threads.set}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare ways to use two cores.")
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    model = npx.build_recipe("demo").to(memory_format=torch.channels_last).train()
    levels = npx.load_data("mnist", levels=2).train.levels[:BATCH].long()
    ways = steps(model)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 3):
        for name, step in ways.items():
            start = time.perf_counter()
            step(levels)
            if round_ >= 3:  # the first rounds warm up
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{'way':6} {'ms a step':>10} {'images/s':>9} {'against one':>12}")
    for name, value in median.items():
        speed = median["one"] / value
        print(f"{name:6} {1e3 * value:10.1f} {BATCH / value:9.0f} {speed:11.2f}x")
    print(json.dumps({"batch": BATCH, "rounds": rounds, "median_seconds": median}))


if __name__ == "__main__":
    main()
