"""The step engine's start and its memory, each measured in fresh processes.

    python benchmarks/engine_start.py

Cold: nothing compiled is kept. Warm: it is, by the run before. Both are the seconds of the first
call of `npx.sample` for one image, imports done. Memory: by how much the process grows while 64
images of seed 000's net are drawn, seen after each row, against the layout's own figure.
"""

import json
import os
import subprocess
import sys
import tempfile

FIRST_CALL = """
import time, torch, nextpixel as npx
torch.set_num_threads(1)
model = npx.build_recipe("mnist4-gated")
rng = torch.Generator().manual_seed(0)
start = time.perf_counter()
npx.sample(model, 1, rng=rng)
print(time.perf_counter() - start)
"""
MEMORY = """
import gc, torch, nextpixel as npx
from nextpixel.engine.cpu import executor as engine

def resident():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 2**20

torch.set_num_threads(1)
model = npx.build_recipe("mnist256-pixelcnn")
rng = torch.Generator().manual_seed(0)
npx.sample(model, 1, rng=rng)
gc.collect()
before, seen = resident(), []
npx.sample(model, 64, rng=rng, batch_size=64, on_row=lambda row, levels: seen.append(resident()))
print(max(seen) - before)
print(engine.prepared(model).memory(64) / 2**20)
"""


def run(script: str, folder: str) -> list[float]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return [float(line) for line in made.stdout.split()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cold, *_ = run(FIRST_CALL, folder)
        warm = sorted(run(FIRST_CALL, folder)[0] for _ in range(3))[1]
        grown, estimated = run(MEMORY, folder)
    print(f"first call: cold {cold:.1f} s, warm {warm:.2f} s")
    print(f"64 images of mnist256-pixelcnn: {grown:.0f} MiB, by the formula {estimated:.0f} MiB")
    print(json.dumps({"cold": cold, "warm": warm, "MiB": grown, "estimated MiB": estimated}))


if __name__ == "__main__":
    main()
