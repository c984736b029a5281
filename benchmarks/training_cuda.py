"""Images a second in training on a GPU: precision, layout and compilation, in one run.

    python benchmarks/training_cuda.py [--batches 128 1024] [--rounds 10] [--out FILE]
    python benchmarks/training_cuda.py --rehearse      tiny, on the CPU

A step is forward, backward and Adam, as `nextpixel train` makes it: kernels lie with the features
innermost, images are copied to the device. "float32" convolves in TF32, torch's default. The share
of the peak is of multiplications with the weights that the net has, forward and twice back, by
those of a large product of bfloat16 matrices in the same run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.recipes import read
from nextpixel.training.gradient import Gradient
from nextpixel.training.optimizers import make_optimizers
from nextpixel.training.update import channels_last

WAYS = {
    "float32": {},
    "bfloat16": {"bfloat16": True},
    "bfloat16, compiled": {"bfloat16": True, "compiled": True},
}


def seconds(job: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    job()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak(device: torch.device) -> float:
    """FLOP/s of a large product of bfloat16 matrices; the best of ten."""
    size = 8192 if device.type == "cuda" else 256
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    return 2 * size**3 / min(seconds(lambda: a @ a, device) for _ in range(10))


def work(model: PixelModel) -> int:
    """Floating point operations of a step, for each image."""
    kernels = sum(weight.numel() for weight in model.parameters() if weight.dim() == 4)
    return 3 * 2 * kernels * model.shape[1] * model.shape[2]


def step_of(name: str, batch: int, device: torch.device, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """The model, and a function that makes one step of its recipe."""
    model, config = npx.build_recipe(name).to(device).train(), read(name).train
    channels_last(model)
    gradient, optimizers = Gradient(model, **options), make_optimizers(model, config)
    levels = torch.randint(model.levels, (batch, *model.shape))

    def step() -> None:
        gradient.set(levels)
        for optimizer in optimizers:
            optimizer.step()

    return model, step


def measure(
    name: str, batch: int, way: str, rounds: int, device: torch.device
) -> dict[str, float | str]:
    """Figures of one net, size of batch and way; the first step, which may compile, by itself."""
    model, step = step_of(name, batch, device, WAYS[way])
    first = seconds(step, device)
    for _ in range(2):
        step()
    once = statistics.median(seconds(step, device) for _ in range(rounds))
    return {
        "net": name,
        "batch": batch,
        "way": way,
        "first_step_s": first,
        "step_s": once,
        "images_per_s": batch / once,
        "tflops": work(model) * batch / once / 1e12,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time training on a GPU.")
    parser.add_argument("--nets", nargs="+", default=["mnist2-residual", "mnist256-pixelcnn"])
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="file that is written to after each line")
    parser.add_argument("--rehearse", action="store_true", help="one small net, on the CPU")
    asked = parser.parse_args()
    device = torch.device("cpu" if asked.rehearse else "cuda")
    nets, ways = (["demo"], ["float32"]) if asked.rehearse else (asked.nets, list(WAYS))
    batches = [2] if asked.rehearse else asked.batches
    gpu = "CPU (rehearsal)" if asked.rehearse else torch.cuda.get_device_name(device)
    found: dict[str, Any] = {"device": gpu, "torch": torch.__version__, "results": []}
    found["peak_tflops"] = peak(device) / 1e12
    for name, batch, way in [(n, b, w) for n in nets for b in batches for w in ways]:
        row = measure(name, batch, way, asked.rounds, device)
        row["share_of_peak"] = row["tflops"] / found["peak_tflops"]
        found["results"].append(row)
        print(json.dumps(row), flush=True)
        if asked.out is not None:
            asked.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
