"""Sampling by the torch engine with a CUDA graph, against recompute, in one run.

    python benchmarks/sampling.py --device cuda [--batches 1 16 256] [--rounds 5] [--out FILE]
    python benchmarks/sampling.py --device cuda --rehearse      tiny, on the CPU, without a graph

- scan: the replay of all rows; record: building and recording it, once for a batch size.
- naive: a forward pass of the batch, one of many in a row without waiting between them, times the
  pixels (times the colors that are drawn one after another): what sampling costs where each pixel
  runs the whole network, as all of the seeds do.
- recompute: the library's own (a window of the image for each pixel), run once at batch 1. Its
  convolutions, as those of the forward pass, may use TF32, so it may draw other levels; the engine
  computes in float32.
- bandwidth: bytes that the scan's operations read and write, weights once a pixel, for each second,
  against a measured copy on the device. Weights and maps that stay in a cache count too, so it can
  exceed what the memory gives.

Figures are written to FILE after each line; what stands there already is not measured again.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sampling import GATED, nets
from torch import Tensor

import nextpixel as npx
from nextpixel.engine import torch_engine
from nextpixel.engine.torch_scan import Scan
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import NO_EMBEDDING
from nextpixel.program import PIXEL, ROW, Task
from nextpixel.sampling.draw import draw_uniforms

LONGEST = 60.0
"""Seconds that recompute may take by estimate; else it is left out."""

COLUMNS = {
    "net": "<32",
    "batch": ">5",
    "record_s": ">9.3f",
    "scan_s": ">9.4f",
    "images_per_s": ">12.1f",
    "forward_s": ">10.5f",
    "naive_per_scan": ">14.1f",
    "gb_per_s": ">9.1f",
    "share_of_copy": ">13.3f",
}


def all_nets() -> dict[str, PixelModel]:
    """Those of the CPU benchmark, and one of 32x32 in color."""
    options = {**GATED, "features": 120, "head_features": 120}
    color = npx.build("gated-pixelcnn", seed=0, shape=(3, 32, 32), levels=256, **options)
    return {**nets(), "gated, 32x32 RGB, 10 layers of 120": color}


def tiny_nets() -> dict[str, PixelModel]:
    options = {"features": 6, "layers": 1, "first_side": 3, "head_features": 6}
    return {
        "gated, gray": npx.build("gated-pixelcnn", seed=0, shape=(1, 6, 6), levels=4, **options),
        "gated, RGB": npx.build("gated-pixelcnn", seed=0, shape=(3, 5, 5), levels=4, **options),
    }


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(job: Callable[[], object], device: torch.device) -> float:
    wait(device)
    start = time.perf_counter()
    job()
    wait(device)
    return time.perf_counter() - start


def median(job: Callable[[], object], device: torch.device, rounds: int) -> float:
    return statistics.median(seconds(job, device) for _ in range(rounds))


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read and written in a second by a large copy."""
    source = torch.ones(2**30 if device.type == "cuda" else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * source.nbytes / median(lambda: target.copy_(source), device, 5)


def traffic(scan: Scan) -> int:
    """Bytes that the operations of a whole scan read and write, weights once for each pixel."""
    _, height, width = scan.model.shape
    row_tasks, pixel_tasks, late_tasks = scan.schedule.tasks
    row = sum(_bytes(scan, task, width, when=ROW) for task in row_tasks)
    pixel = sum(_bytes(scan, task, 1, when=PIXEL) for task in (*pixel_tasks, *late_tasks))
    return height * (row + width * pixel)


def _bytes(scan: Scan, task: Task, columns: int, *, when: int) -> int:
    size = scan.rings[0].values.element_size()
    places = len(scan.levels) * columns
    if task.op.name != "conv":
        moved = sum(x.features for x in task.op.inputs) + task.op.output.features
        return size * places * moved
    parts = task.parts(in_runs=when == PIXEL)
    weights = sum(part.weight.numel() for part in parts)
    read = sum(len(part.taps) for part in parts) * task.op.inputs[0].features
    made = task.op.output.features * (1 if when == ROW else 2)
    return size * (weights + places * (read + made))


def new_scan(model: PixelModel, count: int) -> Scan:
    return Scan(model, NO_EMBEDDING, count, Distribution.icdf)


def prepare(model: PixelModel, count: int, *, graph: bool) -> tuple[Scan, Callable[[], None]]:
    scan = new_scan(model, count)
    return scan, torch_engine.record(scan) if graph else scan.row


def forward_seconds(model: PixelModel, levels: Tensor, rounds: int) -> float:
    """Of one forward pass, among ten in a row."""

    def ten() -> None:
        for _ in range(10):
            model(levels)

    ten()
    return median(ten, levels.device, rounds) / 10


@torch.inference_mode()
def measure(
    model: PixelModel, count: int, rounds: int, copy: float, *, graph: bool
) -> dict[str, Any]:
    """Figures of one net and batch size."""
    device = next(model.parameters()).device
    made: list[tuple[Scan, Callable[[], None]]] = []
    record = seconds(lambda: made.append(prepare(model, count, graph=graph)), device)
    scan, advance = made[0]
    nothing = torch.zeros(count, *model.shape, dtype=torch.int64)
    uniforms = draw_uniforms(count, model.shape, torch.Generator().manual_seed(0))

    def draw() -> None:
        scan.start(nothing, nothing.bool(), uniforms)
        for _ in range(model.shape[1]):
            advance()

    draw()
    once = median(draw, device, rounds)
    forward = forward_seconds(model, scan.levels, rounds)
    passes = model.shape[1] * model.shape[2] * scan.program.groups
    rate = traffic(scan) / once
    return {
        "record_s": record,
        "scan_s": once,
        "images_per_s": count / once,
        "forward_s": forward,
        "naive_passes": passes,
        "naive_s": passes * forward,
        "naive_per_scan": passes * forward / once,
        "bytes_per_image": traffic(scan) / count,
        "gb_per_s": rate / 1e9,
        "share_of_copy": rate / copy,
        "state_bytes": scan.nbytes,
        **(against_recompute(model, scan.levels, passes * forward) if count == 1 else {}),
    }


def against_recompute(model: PixelModel, drawn: Tensor, estimate: float) -> dict[str, Any]:
    """The whole call by either method, and whether the images are the same."""
    found: dict[str, Any] = {}
    for method in ("engine", "recompute"):
        if method == "recompute" and estimate > LONGEST:
            continue
        images: list[Tensor] = []

        def run(method: str = method, images: list[Tensor] = images) -> None:
            rng = torch.Generator().manual_seed(0)
            images.append(npx.sample(model, len(drawn), rng=rng, method=method))

        found[f"sample_by_{method}_s"] = seconds(run, drawn.device)
        found[f"sub_pixels_unlike_{method}"] = int((images[0] != drawn.cpu()).sum())
    return found


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU (rehearsal)"
    tf32 = torch.backends.cudnn.allow_tf32
    return {"device": name, "torch": torch.__version__, "forward_tf32_convolutions": tf32}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time sampling by the torch engine.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rehearse", action="store_true", help="tiny nets on the CPU")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="file that is written to and taken up again")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    device = torch.device("cpu" if asked.rehearse else asked.device)
    copy = copy_bandwidth(device)
    found = {"machine": machine(device), "copy_gb_per_s": copy / 1e9, "results": []}
    if asked.out is not None and asked.out.exists():
        found["results"] = json.loads(asked.out.read_text())["results"]
    done = {(row["net"], row["batch"]) for row in found["results"]}
    print(*(f"{name:{form.split('.')[0]}}" for name, form in COLUMNS.items()))
    for name, model in (tiny_nets() if asked.rehearse else all_nets()).items():
        torch.nn.init.normal_(model.last.weight, std=0.1)
        model.eval().to(device)
        for count in asked.batches:
            if (name, count) in done:
                continue
            row = measure(model, count, asked.rounds, copy, graph=device.type == "cuda")
            found["results"].append({"net": name, "batch": count, **row})
            line = found["results"][-1]
            print(*(f"{line[key]:{form}}" for key, form in COLUMNS.items()), flush=True)
            if asked.out is not None:
                asked.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
