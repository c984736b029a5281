"""A file several times larger than the memory there is: trained on and measured all the same."""

import subprocess
import sys

import numpy as np
import pytest

ALLOWED = 128 * 2**20
"""Bytes of address space beyond what the process has once it has trained on a small file.

The limit is on address space, the strictest there is, since it counts what is mapped as well: a
library that mapped the file would pass under a limit on data alone.
"""

TIMES = 4

JOB = """
import resource, sys
from pathlib import Path

import nextpixel as npx

small, large, allowed, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

def work(path):
    data = npx.load_data(path, levels=2)
    if how == "whole" and path == large:
        data.train.pixels.load()
    model = npx.build("pixelcnn", seed=0, shape=data.shape, levels=2, features=4, layers=1, side=3)
    npx.fit(model, data, npx.TrainConfig(steps=5, batch_size=16, threads=1, validation_images=100))
    return npx.evaluate(model, data.test.take(500)).n

def size(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])

work(small)
before = size("VmSize:")
resource.setrlimit(resource.RLIMIT_AS, (before + allowed, before + allowed))
print(work(large), "images measured, grown by", (size("VmPeak:") - before) // 2**20, "MiB")
"""


def write(path, count):
    """All zeros but for a few: the file takes hardly any room on the disk."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 28, 28))
    array[:: count // 50] = 255
    array.flush()
    return str(path)


def train(tmp_path, how):
    small = write(tmp_path / "small.npy", 5_000)
    large = write(tmp_path / "large.npy", TIMES * ALLOWED // 28**2 + 1)
    command = [sys.executable, "-c", JOB, small, large, str(ALLOWED), how]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads what only Linux has")
def test_a_file_four_times_the_allowed_memory_is_trained_on(tmp_path):
    done = train(tmp_path, "as needed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 images measured")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads what only Linux has")
def test_the_limit_holds_for_who_reads_the_whole_file(tmp_path):
    done = train(tmp_path, "whole")
    assert done.returncode != 0
    assert "emory" in done.stderr
