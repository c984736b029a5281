"""Training with two processes of one thread each against one process, interleaved in one run.

    python benchmarks/processes.py [--rounds 5] [--steps 30] [--processes 2] [--recipe demo]

Each round starts both ways anew, on the same global batches. Measured are the updates alone:
from the end of the third to the end of the last, in the first process. Its CPU time says what the
gain would be if no process ever waited, and depends less on what else the machine does.

"apart" are as many runs of one process, each with a batch of its part, that know nothing of each
other: what they gain is what the cores and their memory give at all. "in step" are such runs that
wait for each other at the end of every update, and exchange nothing. What they gain less is the
price of keeping step (all do the same kind of work at the same time, and wait for the last one);
the rest is the price of the exchange.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import nextpixel as npx
from nextpixel.recipes import read
from nextpixel.training import Progress

WARM_UP = 3


@dataclass(frozen=True)
class Way:
    """How many processes there are, and what connects them."""

    count: int
    kind: Literal["together", "apart", "in step"] = "apart"

    def __str__(self) -> str:
        return f"{self.count} {self.kind}" if self.count > 1 else "1"


def work(rank: int, way: Way, arguments: argparse.Namespace, folder: str, meeting: Barrier) -> None:
    """One process: train, and leave seconds an update, by the clock and of its CPU time."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    if way.kind == "together":
        store = f"file://{folder}/store"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=way.count)
    recipe = read(arguments.recipe)
    data = npx.load_data("mnist", levels=2, limit=2000)
    moments: list[tuple[float, float]] = []

    def note(progress: Progress) -> None:
        del progress
        if way.kind == "in step":
            meeting.wait()
        moments.append((time.perf_counter(), time.process_time()))

    settings = replace(
        recipe.train,
        steps=arguments.steps + WARM_UP,
        minutes=None,
        batch_size=arguments.batch if way.kind == "together" else arguments.batch // way.count,
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
    if way.kind == "together":
        dist.destroy_process_group()


def measure(way: Way, arguments: argparse.Namespace) -> list[float]:
    """Seconds an update in one way: by the clock, and CPU time of the first process."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = mp.get_context("spawn").Barrier(way.count)
        mp.spawn(work, args=(way, arguments, folder, meeting), nprocs=way.count)  # type: ignore[no-untyped-call]
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
    ways = [Way(1)]
    ways += [Way(arguments.processes, kind) for kind in ("together", "apart", "in step")]
    seconds: dict[Way, list[list[float]]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, found in seconds.items():
            found.append(measure(way, arguments))
    median = {
        str(way): [statistics.median(column) for column in zip(*found, strict=True)]
        for way, found in seconds.items()
    }
    print("processes   ms an update  CPU ms  images/s   gain  of CPU")
    for way, (wall, cpu) in median.items():
        gains = f"{median['1'][0] / wall:5.2f}x {median['1'][1] / cpu:6.2f}x"
        speed = arguments.batch / wall
        print(f"{way:11} {1e3 * wall:12.1f} {1e3 * cpu:7.1f} {speed:9.0f} {gains}")
    print(json.dumps({**vars(arguments), "cores": os.cpu_count(), "median_seconds": median}))


if __name__ == "__main__":
    main()
