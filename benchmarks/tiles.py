"""GFLOP/s of the kernels of training and of products by torch, for the sizes of a residual block.

    python benchmarks/tiles.py [--rounds 15]

"convolve" and "correlate" are the package's own on one image of 28 x 28: a convolution, and the
gradient of its weights. "image" is torch's product of as many places with a matrix, "batch" the
same for 16 images at once. One thread, in turns, medians. With NUMBA_CPU_NAME=haswell and
NUMBA_CPU_FEATURES=+avx2,+fma in the environment, the package's own are as on such processors.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from nextpixel.accelerate.convs import convs, padded_input
from nextpixel.accelerate.grids import TILE, convolve, correlate, image_of
from nextpixel.runtime.compiling import compiled

SIDE, TIMES = 28, 8
BELOW = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
SIZES = {"128 to 64": (128, 64, ((0, 0),)), "64 to 64, 3x3": (64, 64, BELOW)}


@compiled
def convolve_often(source, spans, weights, target):
    for _ in range(TIMES):
        convolve(source, spans, weights, target)


@compiled
def correlate_often(source, spans, back, sums):
    for _ in range(TIMES):
        correlate(source, spans, back, sums, 0)


def ways(inputs: int, outputs: int, taps: tuple[tuple[int, int], ...]) -> dict[str, Callable]:
    """What is timed: each does the multiplications of `TIMES` images."""
    (conv,) = convs([taps], [(outputs, inputs)], SIDE)
    source = padded_input(conv, SIDE, SIDE)
    source.data[:] = np.random.default_rng(0).standard_normal(source.data.size)
    weights = np.full(len(taps) * inputs * outputs, 0.01, np.float32)
    sums = np.zeros_like(weights)
    target = image_of(np.zeros(SIDE**2 * outputs, np.float32), 0, SIDE, SIDE, outputs)
    x = torch.randn(16 * SIDE**2, len(taps) * inputs)
    w, y = torch.randn(len(taps) * inputs, outputs), torch.empty(len(x), outputs)

    def image() -> None:
        for _ in range(TIMES):
            torch.mm(x[: SIDE**2], w, out=y[: SIDE**2])

    return {
        "convolve": lambda: convolve_often(source, conv.window.seen, weights, target),
        "correlate": lambda: correlate_often(source, conv.window.seen, target, sums),
        "image": image,
        "batch": lambda: torch.mm(x, w, out=y),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the kernels of training.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    found: dict[str, dict[str, float]] = {}
    for name, (inputs, outputs, taps) in SIZES.items():
        timed = ways(inputs, outputs, taps)
        seconds: dict[str, list[float]] = {way: [] for way in timed}
        for _ in range(rounds + 2):
            for way, call in timed.items():
                start = time.perf_counter()
                call()
                seconds[way].append(time.perf_counter() - start)
        work = 2.0 * SIDE**2 * inputs * outputs * len(taps)
        images = {way: 16 if way == "batch" else TIMES for way in timed}
        found[name] = {
            way: images[way] * work / statistics.median(values[2:]) / 1e9
            for way, values in seconds.items()
        }
        print(name, ", ".join(f"{way} {speed:.0f}" for way, speed in found[name].items()))
    print(json.dumps({"tile": TILE, "rounds": rounds, "gflop_per_s": found}))


if __name__ == "__main__":
    main()
