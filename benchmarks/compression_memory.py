"""By how much a process grows while it compresses and decompresses many images. Linux only.

    python benchmarks/compression_memory.py [--model mnist2-gated] [--counts 10000 60000]

The images are those of MNIST's training part, repeated as often as needed, in a `.npy`. Each job is
a fresh process that runs the command line: on one image first, so that neither code nor model is
counted, then on all. "own" is the growth of memory that belongs to no file, looked at a hundred
times a second. "all" is the growth of the highest mark of resident memory: it also holds pages of
the `.npy`, which is mapped, and which the system takes back when it needs room.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nextpixel as npx
from nextpixel.cli.app import main as nextpixel
from nextpixel.codec.chunks import label_classes

MIB = 1024
"""KiB in a MiB: the system counts in KiB."""


def measure(model: str, counts: list[int], threads: int) -> list[dict[str, Any]]:
    """Growth of both jobs, in MiB, for each number of images; shown as it is found."""
    rows = []
    print(f"\n{model}, {threads} threads, growth in MiB")
    print(f"{'':12}{'images':>9}{'own':>9}{'all':>9}{'seconds':>9}")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_images(Path(folder), model, count)
            for task in ("compress", "decompress"):
                row = {"task": task, "images": count, **run(task, model, folder, threads)}
                rows.append(row)
                print(
                    f"{task:12}{count:9,}{row['own']:9.1f}{row['all']:9.1f}{row['seconds']:9.1f}",
                    flush=True,
                )
            compare(Path(folder))
    return rows


def write_images(folder: Path, model: str, count: int) -> None:
    """All images, and one, each with labels for a model conditioned on labels."""
    loaded = npx.load(model)
    train = npx.load_data("mnist", levels=loaded.levels).train
    assert train.labels is not None
    for name, number in (("one", 1), ("all", count)):
        which = np.arange(number) % len(train)
        np.save(folder / f"{name}.npy", train.levels[:, 0].numpy()[which])
        if label_classes(loaded):
            np.save(folder / f"{name}-labels.npy", train.labels.numpy()[which])


def run(task: str, model: str, folder: str, threads: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--job", task, model, folder, str(threads)]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(made.stdout.splitlines()[-1])
    return found


def compare(folder: Path) -> None:
    for end in (".npy", "-labels.npy"):
        before, after = folder / f"all{end}", folder / f"all-back{end}"
        if before.exists() and not np.array_equal(np.load(before), np.load(after)):
            raise SystemExit(f"{after.name} is not what was compressed")


def job(task: str, model: str, folder: str, threads: int) -> dict[str, float]:
    """In a process of its own: one image, then all, watched."""
    torch.set_num_threads(threads)
    command(task, model, folder, "one")
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
    own, resident = kib("RssAnon"), kib("VmRSS")
    highest, done = [own], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], kib("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    command(task, model, folder, "all")
    taken = time.perf_counter() - start
    done.set()
    watcher.join()
    return {
        "own": (highest[0] - own) / MIB,
        "all": (kib("VmHWM") - resident) / MIB,
        "seconds": taken,
    }


def command(task: str, model: str, folder: str, name: str) -> None:
    files = (f"{folder}/{name}.npy", f"{folder}/{name}.npx", f"{folder}/{name}-back.npy")
    paths = files[:2] if task == "compress" else files[1:]
    if status := nextpixel([task, model, *paths]):
        sys.exit(status)


def kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of compression.")
    parser.add_argument("--model", default="mnist2-gated")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 60_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--job", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        *words, threads = asked.job
        print(json.dumps(job(*words, int(threads))))
    else:
        print(json.dumps(measure(asked.model, asked.counts, asked.threads)))


if __name__ == "__main__":
    main()
