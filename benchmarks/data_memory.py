"""By how much a process grows while it trains on a `.npy` of ever more images. Linux only.

    python benchmarks/data_memory.py [--base 25000] [--times 1 4 16] [--steps 20]

Each job is a fresh process. It trains on a small file first, so that neither code nor model is
counted, then loads the file, trains on it and measures 1,000 test images. "own" is the growth of
memory that belongs to no file, looked at a hundred times a second; "indices" is what it must hold:
8 bytes an image for the splits' order and as many for an epoch's. "whole" is what the same job
takes that first reads all pixels into memory, as a check that the measurement sees it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import nextpixel as npx
from nextpixel.data import Dataset

MIB = 2**20
SIDE = 28
BATCH = 16


def measure(base: int, times: list[int], steps: int) -> list[dict[str, float]]:
    """Growth in MiB for each size; shown as it is found."""
    rows = []
    print(f"{'images':>10}{'file':>9}{'own':>9}{'indices':>9}{'whole':>9}{'seconds':>9}  (MiB)")
    for factor in times:
        count = base * factor
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "small.npy", 2000)
            write(Path(folder) / "images.npy", count)
            found = run(folder, steps, "as needed")
            row = {
                "images": count,
                "file": count * SIDE**2 / MIB,
                "own": found["own"],
                "indices": 2 * 8 * count / MIB,
                "whole": run(folder, steps, "whole")["own"],
                "seconds": found["seconds"],
            }
        rows.append(row)
        numbers = "".join(f"{row[name]:9.1f}" for name in ("file", "own", "indices", "whole"))
        print(f"{count:10,}{numbers}{row['seconds']:9.1f}", flush=True)
    return rows


def write(path: Path, count: int) -> None:
    """Random images, written block by block."""
    shape = (count, SIDE, SIDE)
    file = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    rng = np.random.default_rng(0)
    for first in range(0, count, 10_000):
        block = file[first : first + 10_000]
        block[:] = rng.integers(0, 256, block.shape, np.uint8)


def run(folder: str, steps: int, how: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--job", folder, str(steps), how]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(made.stdout.splitlines()[-1])
    return found


def job(folder: str, steps: int, how: str) -> dict[str, float]:
    """In a process of its own: a small file, then the large one, watched."""
    torch.set_num_threads(1)
    train(npx.load_data(f"{folder}/small.npy", levels=2), steps)
    before, start = own(), time.perf_counter()

    def work() -> None:
        data = npx.load_data(f"{folder}/images.npy", levels=2)
        kept = data.train.pixels[torch.arange(len(data.train))] if how == "whole" else None
        train(data, steps)
        del kept

    return {"own": (highest(work) - before) / MIB, "seconds": time.perf_counter() - start}


def train(data: Dataset, steps: int) -> None:
    model = npx.build("pixelcnn", seed=0, shape=data.shape, levels=2, features=8, layers=2)
    config = npx.TrainConfig(steps=steps, batch_size=BATCH, threads=1, validation_images=100)
    npx.fit(model, data, config)
    npx.evaluate(model, data.test.take(1000))


def highest(work: Callable[[], None]) -> int:
    """The most memory of its own that this process has while it works, in bytes."""
    most, done = [own()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], own())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return most[0]


def own() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of training on large files.")
    parser.add_argument("--base", type=int, default=25_000, help="images in a file of size 1")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        folder, steps, how = asked.job
        print(json.dumps(job(folder, int(steps), how)))
    else:
        print(json.dumps(measure(asked.base, asked.times, asked.steps)))


if __name__ == "__main__":
    main()
