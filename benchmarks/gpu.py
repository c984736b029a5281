"""All that a GPU is wanted for, in order of value, each stage within its time.

    python benchmarks/gpu.py DIR [--stages tests sampling training seeds any-order]
        [--seeds-minutes 4] [--order-minutes 4]
    python benchmarks/gpu.py DIR --rehearse       tiny, on the CPU

- tests: `pytest -m gpu`: sampling, scoring and training agree with the CPU.
- sampling, training: `sampling.py --device cuda` and `training_cuda.py`.
- seeds: the recipes that follow a seed to the letter, all at once on one card.
- any-order: a larger `mnist-any-order`, and the color recipes at once.

The commands of a stage run side by side, each with one thread on the CPU (by torch's default each
would take all cores, and wait for the others); what is not done in time is asked to stop, then
killed. DIR/stages.json is written after each stage, and a stage that stands there is not run again.
What the stages print and the runs without their resume points are packed into DIR/*.tar, none of
them larger than 15 MiB; all of it stays in DIR/work.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 15 * 2**20
STAGES = ("tests", "sampling", "training", "seeds", "any-order")
PATIENCE = 10.0
"""Seconds that a command has to stop in."""

SEEDS = [
    "mnist256-pixelcnn",
    "mnist256-pixelcnn-class",
    "mnist2-residual",
    "mnist256-residual",
    "mnist2-pixelcnn",
    "mnist2-pixelcnn-class",
    "shapes2-pixelcnn",
    "shapes2-pixelcnn-class",
]
COLORS = [
    "color-mnist-independent",
    "color-mnist-dependent",
    "color-shapes-independent",
    "color-shapes-dependent",
]
ANY_ORDER = """
    --model.features 64 --model.blocks 8 --model.dilations [1,2,4,1,2,4,1,2]
    --train.batch-size 64 --train.steps 100000 --train.validate-every 2000
""".split()
TRAIN = ["--train.precision", "bfloat16", "--train.previews", "0", "--train.save-every", "5000"]
TINY = """
    --model.features 6 --train.steps 2 --train.batch-size 2 --train.validation-images 2
    --train.test-images 0
""".split()


@dataclass(frozen=True)
class Stage:
    """Commands that run side by side, and the seconds that they have."""

    name: str
    seconds: float
    commands: dict[str, list[str]]


@dataclass
class Outcome:
    """What became of a stage: statuses by command (None: not done in time), and its time."""

    name: str
    seconds: float
    statuses: dict[str, int | None]


def stages(asked: argparse.Namespace) -> Iterator[Stage]:
    """All stages, in order."""
    work, python = asked.folder / "work", [sys.executable]
    device = "cpu" if asked.rehearse else "cuda"
    tiny = ["--rehearse", "--rounds", "1"] if asked.rehearse else []

    def training(names: list[str], minutes: float, more: list[str]) -> dict[str, list[str]]:
        options = [*TRAIN, "--train.minutes", str(minutes), "--device", device, *more]
        start = [*python, "-m", "nextpixel", "train"]
        return {name: [*start, name, "--out", str(work / name), *options] for name in names}

    which = "gpu and not slow" if not asked.rehearse else "gpu and slow and no_such_thing"
    tests = [*python, "-m", "pytest", "-q", "-m", which, "-p", "no:cacheprovider", "tests"]
    yield Stage("tests", 60, {"tests": tests})
    names = [*python, "benchmarks/sampling.py", "--device", "cuda", "--rounds", "3", *tiny]
    out = ["--out", str(asked.folder / "sampling.json"), "--batches"]
    sizes = ["1"] if asked.rehearse else ["1", "16", "256", "1024"]
    yield Stage("sampling", 90, {"sampling": [*names, *out, *sizes]})
    names = [*python, "benchmarks/training_cuda.py", *tiny]
    yield Stage(
        "training", 75, {"training": [*names, "--out", str(asked.folder / "training.json")]}
    )
    seeds, colors, order = SEEDS, COLORS, ANY_ORDER
    if asked.rehearse:
        seeds, colors, order = ["shapes2-pixelcnn"], [], TINY
    more = TINY if asked.rehearse else []
    yield Stage("seeds", 60 * asked.seeds_minutes + 60, training(seeds, asked.seeds_minutes, more))
    others = training(colors, asked.order_minutes, [])
    alone = training(["mnist-any-order"], asked.order_minutes, order)
    yield Stage("any-order", 60 * asked.order_minutes + 45, alone | others)


def run(stage: Stage, logs: Path) -> Outcome:
    """Run the commands of a stage until all are done or its time is over."""
    logs.mkdir(parents=True, exist_ok=True)
    start, running = time.monotonic(), {}
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    for name, command in stage.commands.items():
        with (logs / f"{stage.name}-{name}.txt").open("w") as log:
            running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    statuses = {name: ended(job, start + stage.seconds) for name, job in running.items()}
    return Outcome(stage.name, time.monotonic() - start, statuses)


def ended(job: subprocess.Popen[bytes], deadline: float) -> int | None:
    """Its status, or None if it had to be stopped."""
    for limit, number in ((deadline, signal.SIGTERM), (deadline + PATIENCE, signal.SIGKILL)):
        try:
            status = job.wait(max(0.1, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            job.send_signal(number)
        else:
            return status if number == signal.SIGTERM else None
    job.wait()
    return None


def kept(work: Path) -> list[Path]:
    """Files of the runs and logs, but for resume points and last weights."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    return [file for file in files if not {"resume", "last"} & set(file.relative_to(work).parts)]


def pack(folder: Path) -> None:
    """Pack the runs into as few archives as their size allows."""
    work, size, number = folder / "work", LARGEST + 1, 0
    archive: tarfile.TarFile | None = None
    for file in kept(work):
        if size + file.stat().st_size > LARGEST or archive is None:
            if archive is not None:
                archive.close()
            number, size = number + 1, 0
            archive = tarfile.open(folder / f"runs-{number}.tar", "w")
        archive.add(file, str(file.relative_to(work)))
        size += file.stat().st_size
    if archive is not None:
        archive.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Run all that a GPU is wanted for.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="those alone")
    parser.add_argument("--seeds-minutes", type=float, default=4)
    parser.add_argument("--order-minutes", type=float, default=4)
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU")
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / "stages.json"
    outcomes = json.loads(file.read_text()) if file.exists() else []
    done = {outcome["name"] for outcome in outcomes}
    for stage in stages(asked):
        if stage.name in done or (asked.stages and stage.name not in asked.stages):
            continue
        outcome = asdict(run(stage, asked.folder / "work" / "logs"))
        outcomes.append(outcome)
        file.write_text(json.dumps(outcomes, indent=1) + "\n")
        print(json.dumps(outcome), flush=True)
        pack(asked.folder)


if __name__ == "__main__":
    main()
