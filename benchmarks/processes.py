"""Training with two processes of one thread each against one process, interleaved in one run.

    python benchmarks/processes.py [--rounds 5] [--steps 30] [--processes 2] [--recipe demo]

Each round starts both ways anew, on the same global batches. Measured are the updates alone:
from the end of the third to the end of the last, in the first process. Its CPU time says what the
gain would be if no process ever waited, and depends less on what else the machine does.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import nextpixel as npx
from nextpixel.recipes import read
from nextpixel.training import Progress

WARM_UP = 3


def work(rank: int, world: int, arguments: argparse.Namespace, folder: str) -> None:
    """One process: train, and leave seconds an update, by the clock and of its CPU time."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    if world > 1:
        store = f"file://{folder}/store"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    recipe = read(arguments.recipe)
    data = npx.load_data("mnist", levels=2, limit=2000)
    moments: list[tuple[float, float]] = []

    def note(progress: Progress) -> None:
        del progress
        moments.append((time.perf_counter(), time.process_time()))

    settings = replace(
        recipe.train,
        steps=arguments.steps + WARM_UP,
        minutes=None,
        batch_size=arguments.batch,
        threads=1,
        validate_every=10**6,
        validation_images=1,
        test_images=0,
        previews=0,
        preview_every=0,
    )
    npx.fit(npx.build_recipe(arguments.recipe), data, settings, on_progress=note)
    if rank == 0:
        pairs = zip(moments[-1], moments[WARM_UP - 1], strict=True)
        found = [(last - first) / arguments.steps for last, first in pairs]
        (Path(folder) / "seconds").write_text(json.dumps(found))
    if world > 1:
        dist.destroy_process_group()


def measure(world: int, arguments: argparse.Namespace) -> list[float]:
    """Seconds an update with so many processes: by the clock, and CPU time of the first."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, args=(world, arguments, folder), nprocs=world)  # type: ignore[no-untyped-call]
        found: list[float] = json.loads((Path(folder) / "seconds").read_text())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare one process with several.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--recipe", default="demo", help="of two levels and 28 x 28 pixels")
    arguments = parser.parse_args()
    seconds: dict[int, list[list[float]]] = {1: [], arguments.processes: []}
    for _ in range(arguments.rounds):
        for world, found in seconds.items():
            found.append(measure(world, arguments))
    median = {
        world: [statistics.median(column) for column in zip(*found, strict=True)]
        for world, found in seconds.items()
    }
    print("processes  ms an update  CPU ms  images/s   gain  of CPU")
    for world, (wall, cpu) in median.items():
        gains = f"{median[1][0] / wall:5.2f}x {median[1][1] / cpu:6.2f}x"
        speed = arguments.batch / wall
        print(f"{world:9} {1e3 * wall:13.1f} {1e3 * cpu:7.1f} {speed:9.0f} {gains}")
    print(json.dumps({**vars(arguments), "cores": os.cpu_count(), "median_seconds": median}))


if __name__ == "__main__":
    main()
