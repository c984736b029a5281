"""What a mixture costs: drawing, coding and scoring by it against the sum of its parts.

    python benchmarks/mixture.py [--images 100] [--rounds 5]

The mixture is the shipped one, of two nets whose ten classes are summed out. The sum of its parts
is ten times what both take, for the same images on the same thread. Rounds of all are interleaved;
medians are shown, on one thread.

What the engine saves of that are classes that have become unlikely.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import torch

import nextpixel as npx
from nextpixel.recipes.shipped import parts_of

NAME = "mnist-mixture"
CLASSES = 10


def seconds(job: Callable[[], object]) -> float:
    """Wall-clock time."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def jobs(images: int) -> dict[str, dict[str, Callable[[], object]]]:
    """What is timed: for each kind of work, by each model."""
    models = [npx.load(name) for name in (NAME, *parts_of(NAME))]
    levels = npx.load_data("mnist", levels=2, protocol="dynamic").test.levels[:images]
    found: dict[str, dict[str, Callable[[], object]]] = {"sample": {}, "compress": {}, "score": {}}
    for word, model in zip(("mixture", "by class", "other"), models, strict=True):
        labels = torch.arange(images) % CLASSES if model.conditioner.conditions else None
        found["sample"][word] = lambda m=model, c=labels: npx.sample(
            m, images, condition=c, rng=torch.Generator().manual_seed(0)
        )
        found["compress"][word] = lambda m=model, c=labels: npx.compress(m, levels, c)
        found["score"][word] = lambda m=model, c=labels: npx.evaluate(m, levels, c)
    return found


def measure(images: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each, and of the sum of the parts."""
    found = {}
    for work, by_model in jobs(images).items():
        for job in by_model.values():
            job()  # compiles, and lays out weights
        times = [{word: seconds(job) for word, job in by_model.items()} for _ in range(rounds)]
        median = {word: statistics.median(one[word] for one in times) for word in by_model}
        total = CLASSES * (median["by class"] + median["other"])
        found[work] = {**median, "sum of the parts": total, "share": median["mixture"] / total}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a mixture against the sum of its parts.")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(arguments.images, arguments.rounds)
    print(f"{NAME}, {arguments.images} images, 1 thread, medians of {arguments.rounds} rounds, s")
    for work, row in found.items():
        print(f"{work:9}", *(f"{word} {value:.3f}" for word, value in row.items()), sep="   ")
    print(json.dumps({"images": arguments.images, "rounds": arguments.rounds, **found}))


if __name__ == "__main__":
    main()
