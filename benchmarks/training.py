"""Seconds a training step, against the same net as public code writes it, in one run.

    python benchmarks/training.py [--threads 1 2] [--batch 16] [--rounds 15] [--nets NAME ...]
        [--cpu-time] [--profile]

A step is forward, backward and the optimiser, on MNIST. "public" is `training_baseline.py`: full
k x k kernels, masks multiplied into the weights, (B, C, H, W). First both are shown to be the same
function with the same gradients, in float64 (what training does otherwise in float32,
tests/test_accelerate.py compares). Then they take turns; figures are medians of
rounds. GFLOP/s are of the multiplications with taps that some output sees, not of those with all of
the full kernels, nor of those that a product of spectra does. Yardsticks of the same run are a
large product of matrices and a large convolution (peaks, best of ten). The profile is of one
thread.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_baseline import public

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.recipes import read
from nextpixel.training.gradient import Gradient
from nextpixel.training.optimizers import make_optimizers
from nextpixel.training.update import channels_last

NETS = {"mnist256-pixelcnn": "000", "mnist2-residual": "001", "mnist4-gated": "002"}
TARGETS = {"mnist256-pixelcnn": 0.50, "mnist2-residual": 0.60, "mnist4-gated": 0.60}
KINDS = {
    "compiled layers": ("_BothStacks", "_Chain"),
    "spectra": ("fft", "aten::bmm"),
    "convolutions": ("convolution", "mkldnn", "addmm", "aten::mm"),
    "gates": ("_Gate", "tanh", "sigmoid"),
    "padding": ("pad", "aten::narrow", "aten::fill_", "aten::zero_"),
    "copies": ("aten::copy_", "aten::clone", "aten::cat", "contiguous"),
    "normalisation": ("batch_norm",),
    "loss": ("softmax", "nll_loss", "binary_cross_entropy", "log_sigmoid"),
    "ReLU": ("relu", "clamp_min", "threshold"),
    "optimiser": ("aten::_fused", "aten::_foreach", "aten::addc", "aten::lerp", "aten::sqrt"),
}

Step = Callable[[], object]


def disturbed(model: PixelModel) -> PixelModel:
    """The model with weights through which every path carries weight."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=rng, dtype=weight.dtype)
            weight.add_(noise, alpha=0.1 / max(1.0, weight[0].numel() ** 0.5))
    return model


def pairs(ours: nn.Module, theirs: nn.Module) -> list[tuple[nn.Parameter, Tensor, str]]:
    """Our parameters, the part of theirs that each one is, and the name of theirs."""
    mine = [weight for weight in ours.parameters() if weight.numel()]
    others = list(theirs.named_parameters())
    assert len(mine) == len(others)
    found = []
    for weight, (name, other) in zip(mine, others, strict=True):
        here = tuple(slice(size) for size in weight.shape)  # the rows and columns that are kept
        found.append((weight, other.data[here], name))
    return found


def twin(model: PixelModel) -> nn.Sequential:
    """The public net with the weights of a model; taps that it must not use are noise."""
    weight = next(model.parameters())
    theirs = public(model).to(weight.dtype).train()
    with torch.no_grad():
        for mine, part, _ in pairs(model, theirs):
            part.copy_(mine)
    return theirs


def loss_of(model: PixelModel, theirs: nn.Sequential, levels: Tensor) -> Tensor:
    """The public loss: nats, the mean over sub-pixels."""
    outputs = theirs(model.encode(levels))
    if model.levels == 2:
        return F.binary_cross_entropy_with_logits(outputs, levels.to(outputs.dtype))
    return F.cross_entropy(outputs, levels[:, 0])


def check_equal(name: str) -> None:
    """Show that both nets have the same loss and the same gradients.

    Raises:
        AssertionError: If they do not.
    """
    model = disturbed(build(name).double()).train()
    theirs = twin(model)
    levels = batch(model, 2)
    nats = Gradient(model).set(levels)
    loss = loss_of(model, theirs, levels)
    loss.backward()
    torch.testing.assert_close(loss.item() * levels[0].numel(), nats)
    masks = {
        f"{at}.weight": part.mask for at, part in theirs.named_modules() if hasattr(part, "mask")
    }
    others = dict(theirs.named_parameters())
    for mine, _, at in pairs(model, theirs):
        gradient = others[at].grad * masks.get(at, 1)
        whole = torch.zeros_like(gradient)
        whole[tuple(slice(size) for size in mine.shape)] = mine.grad
        torch.testing.assert_close(gradient, whole)


def build(name: str) -> PixelModel:
    return npx.build_recipe(name)


def batch(model: PixelModel, count: int) -> Tensor:
    return npx.load_data("mnist", levels=model.levels).train.levels[:count].long()


def our_step(name: str, levels: Tensor, threads: int) -> tuple[PixelModel, Step]:
    """What the training loop does with a batch."""
    torch.set_num_threads(threads)
    model = build(name).train()
    channels_last(model)
    optimizers, gradient = make_optimizers(model, read(name).train), Gradient(model)

    def step() -> None:
        with gradient.threads.alone():
            gradient.set(levels)
            for optimizer in optimizers:
                optimizer.step()

    return model, step


def public_step(name: str, levels: Tensor) -> Step:
    model = build(name)
    theirs = twin(copy.deepcopy(model))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss_of(model, theirs, levels).backward()
        optimizer.step()

    return step


def seconds(step: Step, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    step()
    return clock() - start


def peak(threads: int) -> float:
    """GFLOP/s of a large product of matrices; the best of ten."""
    torch.set_num_threads(threads)
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(10)) / 1e9


def convolution_peak(threads: int) -> float:
    """GFLOP/s of a large convolution without padding, features innermost; the best of ten."""
    torch.set_num_threads(threads)
    x = torch.randn(16, 64, 30, 30).to(memory_format=torch.channels_last)
    kernel = torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last)
    operations = 2.0 * 16 * 28 * 28 * kernel.numel()
    return operations / min(seconds(lambda: F.conv2d(x, kernel)) for _ in range(10)) / 1e9


def work(model: PixelModel, count: int) -> float:
    """Operations of a step: two a multiplication; forward, and back to kernels and to features."""
    pixels = count * model.shape[1] * model.shape[2]
    total = 0.0
    for layer in model.modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4:
            outputs, inputs, rows, columns = weight.shape
            taps = len(getattr(layer, "taps", range(rows * columns)))
            ways = 2 if inputs == model.inputs else 3  # no gradient goes back to the image
            total += 2.0 * pixels * ways * outputs * inputs * taps
    return total


def measure(
    name: str, count: int, threads: int, rounds: int, clock: Callable[[], float]
) -> dict[str, object]:
    """Both nets in turns."""
    levels = batch(build(name), count)
    model, ours = our_step(name, levels, threads)
    public = public_step(name, levels)
    times: list[tuple[float, float]] = []
    for _ in range(rounds + 2):
        times.append((seconds(ours, clock), seconds(public, clock)))
    mine, theirs = (statistics.median(values) for values in zip(*times[2:], strict=True))
    ratios = sorted(a / b for a, b in times[2:])
    return {
        "net": name,
        "threads": threads,
        "ours_s": mine,
        "public_s": theirs,
        "ratio": statistics.median(ratios),
        "ratio_of_fastest": min(a for a, _ in times) / min(b for _, b in times),
        "ratio_range": [ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]],
        "target": TARGETS[name],
        "gflop_per_s": work(model, count) / mine / 1e9,
    }


def profile(name: str, count: int) -> dict[str, float]:
    """Share of the time of a step by kind of operation, one thread."""
    levels = batch(build(name), count)
    _, step = our_step(name, levels, 1)
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(3):
            step()
    spent = dict.fromkeys([*KINDS, "rest"], 0.0)
    for event in found.key_averages():
        kind = next((k for k, words in KINDS.items() if any(w in event.key for w in words)), "rest")
        spent[kind] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: value / total for kind, value in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time training steps against public code.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--cpu-time", action="store_true", help="for busy machines, one thread")
    parser.add_argument("--profile", action="store_true", help="shares of kinds of operation")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    torch.set_num_threads(1)
    for name in arguments.nets:
        check_equal(name)
        print(f"{name}: same loss and same gradients as the public net, float64", flush=True)
    found = []
    print(
        f"{'net':20} {'threads':>7} {'ours ms':>9} {'public ms':>9} {'ratio':>6} "
        f"{'fastest':>8} {'GFLOP/s':>8}"
    )
    for threads in arguments.threads:
        for name in arguments.nets:
            row = measure(name, arguments.batch, threads, arguments.rounds, clock)
            found.append(row)
            print(
                f"{name:20} {threads:7} {1e3 * row['ours_s']:9.1f} {1e3 * row['public_s']:9.1f} "
                f"{row['ratio']:6.3f} {row['ratio_of_fastest']:8.3f} {row['gflop_per_s']:8.1f}",
                flush=True,
            )
    yardsticks = {"product of matrices": peak, "convolution": convolution_peak}
    peaks = {
        kind: {str(threads): measured(threads) for threads in arguments.threads}
        for kind, measured in yardsticks.items()
    }
    for kind, values in peaks.items():
        figures = ", ".join(f"{value:.0f} GFLOP/s, {key} threads" for key, value in values.items())
        print(f"peak of a {kind}: {figures}")
    torch.set_num_threads(1)
    nets = arguments.nets if arguments.profile else []
    shares = {name: profile(name, arguments.batch) for name in nets}
    for name, kinds in shares.items():
        print(f"{name}: " + ", ".join(f"{kind} {share:.0%}" for kind, share in kinds.items()))
    summary = {"batch": arguments.batch, "rounds": arguments.rounds, "peak_gflop_per_s": peaks}
    print(json.dumps({**summary, "results": found, "profile": shares}))


if __name__ == "__main__":
    main()
