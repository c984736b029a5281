"""Compress and decompress one large gray picture, and compare the pixels. Linux only.

    python benchmarks/large_picture.py [--side 16000] [--model photo-small] [--threads 2]

The picture is matplotlib's sample photograph in gray, laid side by side. Each job is a process of
its own, which runs the command line. "MiB" is the highest mark of its resident memory.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None  # the pictures here are our own


def draw(side: int, path: Path) -> None:
    """Write a gray picture of side x side."""
    with Image.open(Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")) as file:
        tile = np.asarray(file.convert("L"))
    times = [-(-side // length) for length in tile.shape]
    Image.fromarray(np.tile(tile, times)[:side, :side]).save(path)


def run(words: list[str], threads: int) -> None:
    """Run a command of nextpixel, and say how long it took and how much memory."""
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", "nextpixel", *words], check=True, env=environment)
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{words[0]}: {seconds:.1f} s; at most {most:,.0f} MiB so far", flush=True)


def main() -> None:
    """Both ways, then compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=16000)
    parser.add_argument("--model", default="photo-small")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        before, archive, after = (Path(name, file) for file in ("a.png", "a.npx", "b.png"))
        draw(chosen.side, before)
        run(["compress", chosen.model, str(before), str(archive)], chosen.threads)
        run(["decompress", chosen.model, str(archive), str(after)], chosen.threads)
        with Image.open(before) as one, Image.open(after) as other:
            equal = np.array_equal(np.asarray(one), np.asarray(other))
    print("the very pixels" if equal else "other pixels")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
