"""Tiny training runs for the tests: in this process, or in a real one that can be killed.

The images each have one brightness, so that a model can learn much from the past; the run has all
that a resume could get wrong: an average, batch norm, momentum of two optimisers, a short last
batch, levels drawn anew at each step.
"""

import csv
import multiprocessing
import resource
import signal
from dataclasses import replace

import pytest
import torch

import nextpixel as npx
from nextpixel.data import Dataset, Split

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.runs", "torch._dynamo"])  # the latter by every optimiser
CONFIG = npx.TrainConfig(
    steps=60,
    batch_size=10,
    optimizer="muon",
    learning_rate=0.01,
    warmup=5,
    schedule="cosine",
    clip_norm=1.0,
    ema=0.9,
    seed=3,
    threads=1,
    validate_every=7,
    validation_images=12,
    test_images=5,
    save_every=4,
)


def make_split(part, count, *, protocol="dynamic", size=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    brightness = torch.randint(256, (count, 1, 1, 1), generator=rng)
    pixels = brightness.expand(count, 1, size, size).to(torch.uint8)
    return Split(f"tiny/{part}", pixels, None, 2, protocol, 0)


def make_data(*, protocol="dynamic", count=48):
    """48 images in batches of 10: the last batch of an epoch is short."""
    train = make_split("train", count, protocol=protocol)
    validation = make_split("validation", 16, protocol=protocol, seed=1)
    test = make_split("test", 8, protocol=protocol, seed=2)
    return Dataset("tiny", train, validation, test, ())


def make_model(*, seed=0, **options):
    options = {"features": 8, "layers": 2, "side": 3, "batch_norm": True, "bias": False, **options}
    return npx.build("pixelcnn", shape=(1, 6, 6), levels=2, seed=seed, **options)


def run(out, *, model=None, data=None, resume=False, **changes):
    """Train the tiny model in this process."""
    model = make_model() if model is None else model
    data = make_data() if data is None else data
    options = ("on_progress", "on_preview", "allow_resize", "warm_restart")
    how = {name: changes.pop(name) for name in options if name in changes}
    config = replace(CONFIG, **changes)
    return npx.fit(model, data, config, out=out, resume=resume, **how)


def stopped_at(step, out, **how):
    """Train the tiny model until a step, and die there."""

    def die(progress):
        if progress.step == step:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(out, on_progress=die, **how)


def rows(folder):
    """Rows of metrics.csv, but for what the clock says."""
    with (folder / "metrics.csv").open() as file:
        found = list(csv.DictReader(file))
    clock = {"seconds", "images_per_second", "seconds_left"}
    return [{name: row[name] for name in row if name not in clock} for row in found]


def outcome(folder):
    """All bits that a run leaves, but for its seconds: weights, settings, figures."""
    names = ("model.safetensors", "config.json", "last/model.safetensors", "last/config.json")
    return {name: (folder / name).read_bytes() for name in names} | {"metrics": rows(folder)}


def is_finite(model):
    return all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values())


def start(call, folder):
    """Run a function of this module in a process of its own; it has a pipe to report what it does.

    The processes are forked off one that has imported torch, which is most of the work of a start.
    """
    here, there = FORKS.Pipe()
    process = FORKS.Process(target=call, args=(folder, there))
    process.start()
    there.close()
    return process, here


def wait_for(pipe, count):
    """Wait until a process has sent so many things; the last of them."""
    return [pipe.recv() for _ in range(count)][-1]


def status(process):
    """Exit status as a shell counts it: 128 + signal where a signal ended the process."""
    process.join(60)
    return process.exitcode if process.exitcode >= 0 else 128 - process.exitcode


def train(folder, pipe=None):
    """Begin, or go on, and report each step."""
    begun = (folder / "resume" / "state.pt").exists()
    report = print if pipe is None else pipe.send
    run(folder, resume=begun, on_progress=lambda progress: report(progress.step))


def train_until_disk_is_full(folder, pipe):
    """From step 10 on no file can grow past 3000 bytes; report the error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(progress):
        if progress.step == 10:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    try:
        run(folder, on_progress=fill)
    except npx.NextPixelError as error:
        pipe.send(str(error))


def resume_step(folder):
    """Updates done at the resume point."""
    return torch.load(folder / "resume" / "state.pt", weights_only=True)["state"]["step"]
