"""Our sharing of gradients against torch's DistributedDataParallel, interleaved in one run.

    OMP_NUM_THREADS=1 python benchmarks/ddp.py [--rounds 5] [--steps 8] [--batch 16] [--processes 2]

All processes hold the same net and find the gradient of the same batches, each from its own images:
by `Gradient`, by DDP as it comes, and by DDP that looks for parameters without a gradient. Rounds
take the ways in turns. Measured are forward, backward and exchange, without the optimiser, in the
first process: by the clock, and its CPU time. Also asked is whether the gradient is to the bit that
of one process that takes as many passes, and whether the second gradient of a batch is to the bit
the first: a resumed run begins anew with what is the second update of the run that never stopped.
"""

import argparse
import json
import math
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
from nextpixel.accelerate import accelerated
from nextpixel.models import PixelModel
from nextpixel.recipes import model_of, read
from nextpixel.runtime.distributed import Processes
from nextpixel.training.gradient import Gradient
from nextpixel.training.update import channels_last

Step = Callable[[Tensor], object]
TINY = {"features": 16, "layers": 2, "side": 3}


def nets() -> dict[str, Callable[[], PixelModel]]:
    """A tiny net, and that of seed 002."""
    return {
        "tiny": lambda: npx.build("pixelcnn", shape=(1, 28, 28), levels=2, seed=0, **TINY),
        "mnist4-gated": lambda: model_of(read("mnist4-gated"), shape=(1, 28, 28), levels=4),
    }


def prepared(build: Callable[[], PixelModel]) -> PixelModel:
    """A net as training has it; its last layer is not zero, so that all gradients are there."""
    model = build().train()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.last.weight += 0.1 * torch.randn(model.last.weight.shape, generator=rng)
    channels_last(model)
    return model


class Loss(nn.Module):
    """This process's share in a batch's loss: DDP finds no parameters through a `Distribution`.

    Args:
        model: The model.
        scale: Factor of the sum over this process's images.
    """

    def __init__(self, model: PixelModel, scale: float) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, levels: Tensor) -> Tensor:
        """Of levels (B, C, H, W)."""
        loss: Tensor = -self.model(levels).log_prob(levels).sum() * self.scale
        return loss


def ours(model: PixelModel, processes: Processes, passes: int = 1) -> Step:
    """`Gradient`, as `fit` uses it."""
    gradient = Gradient(model, processes, passes)
    return gradient.set


def by_ddp(model: PixelModel, size: int, *, unused: bool) -> Step:
    """DDP, with the gradients in its buckets, which is its fastest way.

    Args:
        model: The model.
        size: Of the whole batch.
        unused: Whether it looks for parameters that have no gradient.
    """
    rank, world_size = dist.get_rank(), dist.get_world_size()
    scale = world_size / (size * math.prod(model.shape))
    wrapped = DistributedDataParallel(
        Loss(model, scale),
        find_unused_parameters=unused,
        gradient_as_bucket_view=True,
        broadcast_buffers=False,
    )

    def step(levels: Tensor) -> None:
        model.zero_grad(set_to_none=False)
        with accelerated(model):
            loss = wrapped(levels[rank::world_size])
        loss.backward()
        whole = loss.detach().clone()
        dist.all_reduce(whole)

    return step


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
    """Of each way: medians, whether its gradient is that of passes, and whether it repeats."""
    models = {way: prepared(build) for way in ("ours", "ddp", "ddp, unused")}
    steps = {
        "ours": ours(models["ours"], Processes.current()),
        "ddp": by_ddp(models["ddp"], arguments.batch, unused=False),
        "ddp, unused": by_ddp(models["ddp, unused"], arguments.batch, unused=True),
    }
    single, levels = prepared(build), batch(models["ours"], arguments.batch)
    ours(single, Processes(), arguments.processes)(levels)
    passes, found = gradient_of(single), {}
    for way, step in steps.items():
        step(levels)
        first = gradient_of(models[way])
        step(levels)
        second = gradient_of(models[way])
        found[way] = {"passes": torch.equal(passes, second), "repeats": torch.equal(first, second)}
    for way, seconds in medians(steps, levels, arguments).items():
        found[way] |= {"wall": seconds[0], "cpu": seconds[1]}
    return found


def gradient_of(model: PixelModel) -> Tensor:
    """All of it, flat."""
    return torch.cat(
        [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    )


def medians(
    steps: dict[str, Step], levels: Tensor, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds an update of each way, by the clock and of CPU time, in turns."""
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in steps}
    for _ in range(arguments.rounds):
        for way, step in steps.items():
            times[way].append(timed(step, levels, arguments.steps))
    return {
        way: [statistics.median(column) for column in zip(*rows, strict=True)]
        for way, rows in times.items()
    }


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
    print(f"{'net':14} {'way':12} {'ms':>8} {'CPU ms':>8}  passes  repeats")
    for net, ways in found.items():
        for way, of in ways.items():
            times = f"{1e3 * of['wall']:8.1f} {1e3 * of['cpu']:8.1f}"
            print(f"{net:14} {way:12} {times}  {of['passes']!s:6}  {of['repeats']}")


if __name__ == "__main__":
    main()
