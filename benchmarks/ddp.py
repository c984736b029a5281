"""Our sharing of gradients against torch's DistributedDataParallel, interleaved in one run.

    OMP_NUM_THREADS=1 python benchmarks/ddp.py [--rounds 5] [--steps 8] [--batch 16] [--processes 2]

All processes hold the same net and find the gradient of the same batches, each from its own images:
by `Gradient`, by DDP as it comes, and by DDP that looks for parameters without a gradient. Rounds
take the ways in turns. Measured are forward, backward and exchange, without the optimiser, in the
first process: by the clock, and its CPU time.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.recipes import model_of, read
from nextpixel.runtime.distributed import Processes
from nextpixel.training.gradient import Gradient
from nextpixel.training.update import channels_last

Step = Callable[[Tensor], None]
TINY = {"features": 16, "layers": 2, "side": 3}


def nets() -> dict[str, Callable[[], PixelModel]]:
    """A tiny net, and that of seed 002."""
    return {
        "tiny": lambda: npx.build("pixelcnn", shape=(1, 28, 28), levels=2, **TINY),
        "mnist4-gated": lambda: model_of(read("mnist4-gated"), shape=(1, 28, 28), levels=4),
    }


def prepared(build: Callable[[], PixelModel]) -> PixelModel:
    """A net as training has it; its last layer is not zero, so that all gradients are there."""
    model = build().train()
    rng = torch.Generator().manual_seed(0)
    model.last.weight.data += 0.1 * torch.randn(model.last.weight.shape, generator=rng)
    channels_last(model)
    return model


class Loss(nn.Module):
    """The loss of a model, nats a sub-pixel: DDP finds no parameters through a `Distribution`."""

    def __init__(self, model: PixelModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, levels: Tensor) -> Tensor:
        """Mean over sub-pixels of (B, C, H, W)."""
        loss: Tensor = -self.model(levels).log_prob(levels).sum() / levels.numel()
        return loss


def ours(model: PixelModel) -> Step:
    """`Gradient`, as `fit` uses it."""
    gradient = Gradient(model, Processes.current())
    return lambda levels: void(gradient.set(levels))


def by_ddp(model: PixelModel, *, unused: bool) -> Step:
    """DDP, with the gradients in its buckets, which is its fastest way."""
    wrapped = DistributedDataParallel(
        Loss(model),
        find_unused_parameters=unused,
        gradient_as_bucket_view=True,
        broadcast_buffers=False,
    )
    rank, size = dist.get_rank(), dist.get_world_size()

    def step(levels: Tensor) -> None:
        own = levels[rank::size]
        model.zero_grad(set_to_none=False)
        loss = wrapped(own)
        loss.backward()
        whole = loss.detach().clone()
        dist.all_reduce(whole)

    return step


def void(_: object) -> None:
    """Nothing."""


def work(rank: int, arguments: argparse.Namespace, folder: str) -> None:
    """One process: every way in turns, and its seconds an update, by net and way."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=arguments.processes)
    found = {name: compare(build, arguments) for name, build in nets().items()}
    if rank == 0:
        (Path(folder) / "seconds").write_text(json.dumps(found))
    dist.destroy_process_group()


def compare(build: Callable[[], PixelModel], arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians of each way, and how far gradients are from ours."""
    models = [prepared(build) for _ in range(3)]
    steps = {
        "ours": ours(models[0]),
        "ddp": by_ddp(models[1], unused=False),
        "ddp, unused": by_ddp(models[2], unused=True),
    }
    levels = batch(models[0], arguments.batch)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in steps}
    for turn in range(arguments.rounds + 1):
        for way, step in steps.items():
            seconds = timed(step, levels, arguments.steps)
            if turn:  # the first warms up
                times[way].append(seconds)
    medians = {
        way: [statistics.median(column) for column in zip(*rows, strict=True)]
        for way, rows in times.items()
    }
    one, *others = ([weight.grad for weight in model.parameters()] for model in models)
    equal = [all(torch.equal(a, b) for a, b in zip(one, other, strict=True)) for other in others]
    return {"median_seconds": medians, "same_bits": equal}


def batch(model: PixelModel, size: int) -> Tensor:
    """Random levels, the same in every process."""
    rng = torch.Generator().manual_seed(1)
    return torch.randint(model.levels, (size, *model.shape), generator=rng)


def timed(step: Step, levels: Tensor, count: int) -> tuple[float, float]:
    """Seconds an update, by the clock and of CPU time."""
    dist.barrier()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        step(levels)
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare our gradient sharing with torch's DDP.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, args=(arguments, folder), nprocs=arguments.processes)  # type: ignore[no-untyped-call]
        found = json.loads((Path(folder) / "seconds").read_text())
    report(found)
    print(json.dumps({**vars(arguments), "cores": os.cpu_count(), "found": found}))


def report(found: dict[str, Any]) -> None:
    """Print a table."""
    print(f"{'net':14} {'way':12} {'ms':>8} {'CPU ms':>8}  ours/way  same bits as ours")
    for net, figures in found.items():
        medians, bits = figures["median_seconds"], iter([True, *figures["same_bits"]])
        for way, (wall, cpu) in medians.items():
            ratio = f"{medians['ours'][0] / wall:9.2f}  {next(bits)}"
            print(f"{net:14} {way:12} {1e3 * wall:8.1f} {1e3 * cpu:8.1f} {ratio}")


if __name__ == "__main__":
    main()
