"""What sampling by the step engine costs beside one forward pass, for PixelCNN++.

    python benchmarks/plusplus.py [--features 32 96] [--images 16] [--rounds 5]
    python benchmarks/plusplus.py --reach 32 5     size, blocks: which pixels see which; a minute

One forward pass predicts every sub-pixel of the images at once; drawing them one after another can
cost no less arithmetic. Both are timed in turn, on one thread, and medians are compared. Besides:
how long compiling takes for the first image ever, and for the first one of a process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import torch

import nextpixel as npx

START = """
import time, torch
import nextpixel as npx
torch.set_num_threads(1)
model = npx.build("pixelcnn-plusplus", shape=(3, 8, 8), levels=256, features=8, blocks=1, seed=0)
begin = time.perf_counter()
model.sample(1, rng=torch.Generator().manual_seed(0))
print(time.perf_counter() - begin)
"""


def seconds(job: Callable[[], object]) -> float:
    """Of one run."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


@torch.inference_mode()
def compare(features: int, images: int, rounds: int) -> str:
    """A line of the table, for a net with one block a resolution; jobs run in turn."""
    model = npx.build("pixelcnn-plusplus", shape=(3, 32, 32), levels=256, features=features,
                      blocks=2, seed=0)  # fmt: skip
    levels = npx.sample(model, images, rng=torch.Generator().manual_seed(0))
    jobs = {
        "sample": lambda: npx.sample(model, images, rng=torch.Generator().manual_seed(1)),
        "forward": lambda: model.log_prob(levels),
    }
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            found[name].append(seconds(job))
    sample, forward = (statistics.median(found[name]) for name in jobs)
    count = sum(weight.numel() for weight in model.parameters())
    return f"| {features} | {count:,} | {forward:.3f} | {sample:.3f} | {sample / forward:.2f} |"


def start(cache: str) -> float:
    """Seconds to the first image of a new process, with compiled code kept in a folder."""
    env = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", START], env=env, capture_output=True, check=True)
    return float(done.stdout)


def reach(size: int, blocks: int) -> str:
    """Pairs of pixels of which the later does not see the earlier, and those that leak."""
    model = npx.build("pixelcnn-plusplus", shape=(1, size, size), levels=2, features=2,
                      blocks=blocks, seed=0)  # fmt: skip
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():  # of a size at which nothing dies on the way through so many layers
        for weight in model.double().parameters():
            weight.copy_(0.2 * torch.randn(weight.shape, generator=rng, dtype=weight.dtype))
    found = npx.audit(model).sees
    past = torch.ones_like(found).tril(-1)
    unseen, leaks = int((past & ~found).sum()), int((found & ~past).sum())
    pairs = f"{unseen:,} of {int(past.sum()):,} pairs unseen, {leaks} leaks"
    return f"{size} x {size}, {blocks} blocks: {pairs}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reach", type=int, nargs=2, metavar=("SIZE", "BLOCKS"))
    asked = parser.parse_args()
    if asked.reach:
        print(reach(*asked.reach))
        return
    torch.set_num_threads(1)
    print(f"{asked.images} images of 3 x 32 x 32, 256 levels, 2 blocks, 10 components, one thread")
    print("| features | parameters | forward, s | sampling, s | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for features in asked.features:
        print(compare(features, asked.images, asked.rounds), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = start(cache), start(cache)
    print(f"first image ever (compiling): {cold:.1f} s; first of a process: {warm:.2f} s")


if __name__ == "__main__":
    main()
