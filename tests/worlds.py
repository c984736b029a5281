"""Training runs of several processes, connected by gloo on the loopback network."""

import os
from dataclasses import replace

import torch
import torch.distributed as dist

import nextpixel as npx
from nextpixel.data import Dataset
from nextpixel.runtime.distributed import Processes, alone
from tests import runs

GATED = {"features": 4, "layers": 1, "first_side": 3, "side": 3, "head_features": 4, "dropout": 0.3}


def start(folder, world, call, *args):
    """Run a function in so many processes; a list of (process, pipe), by rank.

    Each process gets a pipe after the arguments; what the function gives is sent through it last.
    """
    store = folder.parent / f"{folder.name}-store-{len(list(folder.parent.iterdir()))}"
    members = []
    for rank in range(world):
        here, there = runs.FORKS.Pipe()
        process = runs.FORKS.Process(
            target=_member, args=(store, rank, world, call, folder, *args, there)
        )
        process.start()
        there.close()
        members.append((process, here))
    return members


def _member(store, rank, world, call, *args):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    *_, pipe = args
    try:
        pipe.send(call(*args))
    except Exception as error:
        pipe.send(error)
    finally:
        dist.destroy_process_group()


def ends(members):
    """What each process sent last; its exit status where it sent nothing."""
    return [_last(process, pipe) for process, pipe in members]


def _last(process, pipe):
    said = None
    try:
        while True:
            said = pipe.recv()
    except EOFError:
        status = runs.status(process)
        return said if status == 0 else status


def run(folder, world, call, *args):
    """Run a function in so many processes, and give what each gives."""
    return ends(start(folder, world, call, *args))


def train(folder, changes, pipe):
    """Begin or resume the tiny run, and send each step; wait for an answer after step `hold`."""
    hold = changes.pop("hold", None)

    def report(progress):
        pipe.send(progress.step)
        if progress.step == hold:
            pipe.recv()

    begun = (folder / "resume" / "state.pt").exists()
    options = {"batch_norm": changes.pop("batch_norm", False)}
    model = runs.make_model(seed=dist.get_rank(), **options)  # those of the first count
    result = runs.run(folder, model=model, resume=begun, on_progress=report, **changes)
    return result.best_nats, [weight.sum().item() for weight in model.state_dict().values()]


def train_gated(folder, changes, pipe=None):
    """Begin, or go on with, a run with dropout and hidden labels, and report each step."""
    labels = {name: make_labels(split) for name, split in vars(runs.make_data()).items() if split}
    data = Dataset("tiny", labels["train"], labels["validation"], labels["test"], ("even", "odd"))
    condition = [{"classes": 2, "form": "gate", "dropout": 0.3}]
    model = npx.build(
        "gated-pixelcnn", seed=0, shape=(1, 6, 6), levels=2, condition=condition, **GATED
    )
    begun = (folder / "resume" / "state.pt").exists()
    report = None if pipe is None else lambda progress: pipe.send(progress.step)
    runs.run(folder, model=model, data=data, resume=begun, on_progress=report, **changes)


def train_risky(folder, pipe=None):
    """All that a resume could get wrong at once: also updates that are left out by the norms."""
    train_gated(folder, {"steps": 120, "spike": 1.2, "save_every": 3, "validate_every": 8}, pipe)


def make_labels(split):
    """The split with a label for each image."""
    if isinstance(split, npx.data.Split):
        return replace(split, labels=split.pixels[:, 0, 0, 0].long() % 2)
    return split


def train_with_previews(folder, pipe):
    """Train the tiny run; the first process draws previews, which the others do not wait for."""
    drawn = []

    def draw(model, step):
        found = npx.sample(model, 2, rng=torch.Generator().manual_seed(step), method="recompute")
        drawn.append(found.tolist())

    def report(progress):
        drawn.append(npx.evaluate(runs.make_model(), runs.make_split("test", 3)).nats)

    model = runs.make_model(batch_norm=False)
    runs.run(folder, model=model, steps=2, previews=2, on_preview=draw, on_progress=report)
    return drawn


def train_otherwise(folder, pipe):
    """What each process trains differs by a setting."""
    runs.run(folder, model=runs.make_model(batch_norm=False), seed=3 + dist.get_rank())


def score_own(folder, what, pipe):
    """An evaluation, or samples, by arguments that differ between processes."""
    rank = dist.get_rank()
    model = runs.make_model(batch_norm=False)
    if what == "model":
        model.last.bias.data += rank
    if what == "rng":
        rng = torch.Generator().manual_seed(rank)
        return npx.sample(model, 4, rng=rng, method="recompute")
    seed = rank if what == "images" else 0
    return npx.evaluate(model, runs.make_split("test", 8, seed=seed))


def score_alone(folder, pipe):
    """An evaluation of other images in each process."""
    with alone():
        split = runs.make_split("test", 8 + dist.get_rank(), seed=dist.get_rank())
        return npx.evaluate(runs.make_model(), split).nats


def score(folder, count, pipe):
    """Nats of some images, shared out over the processes."""
    return npx.evaluate(runs.make_model(), runs.make_split("validation", count)).nats


def fail(folder, pipe):
    """An error that only the first process meets."""
    processes = Processes.current()

    def call():
        raise npx.NextPixelError("the first one fails")

    processes.first(call if processes.is_first else lambda: None)


def share(folder, pipe):
    """All that processes share out, and how much of it this one does."""
    work = dict.fromkeys(("scored", "drawn"), 0)
    split = make_labels(runs.make_split("validation", 70))
    condition = [{"classes": 2, "form": "gate", "dropout": 0.3}]
    model = npx.build(
        "gated-pixelcnn", seed=0, shape=(1, 6, 6), levels=2, condition=condition, **GATED
    )
    rng = torch.Generator().manual_seed(0)
    for weights in model.parameters():  # so that the label matters, as it does not at the start
        weights.data += 0.3 * torch.randn(weights.shape, generator=rng)
    forward, counted = model.forward, {"batch_size": 20}

    def count(levels, condition):
        work["scored"] += len(levels)
        return forward(levels, condition)

    def draw(row, levels):
        work["drawn"] += len(levels)

    model.forward = count
    drawing = {"condition": torch.arange(11) % 2, "on_row": draw, "batch_size": 2}
    drawing["method"] = "recompute"  # the engine would take seconds to start in each process
    known = torch.arange(6).view(6, 1).expand(6, 6) < 2
    first = split.levels[:11]
    return {
        "evaluation": npx.evaluate(model, split, **counted),
        "classes": npx.classify(model, split.levels, **counted).tolist(),
        "health": npx.health(model, split, **counted),
        "samples": npx.sample(model, 11, rng=torch.Generator(), **drawing).tolist(),
        "completions": npx.complete(model, first, known, rng=torch.Generator(), **drawing).tolist(),
        "work": work,
    }


def fail_second(folder, pipe):
    """An error that only the second process meets."""
    processes = Processes.current()

    def call():
        if processes.rank == 1:
            raise npx.NextPixelError("the second one fails")

    processes.each(call)


class Strange(Exception):
    """One that cannot be made again from its text alone."""

    def __init__(self, number, *, kind):
        super().__init__(f"as {kind} as {number}")


def fail_strangely(folder, pipe):
    """An error that pickle cannot copy."""
    processes = Processes.current()

    def call():
        raise Strange(7, kind="strange")

    processes.first(call)
