"""The whole way once: train on binary digits, score, sample, complete and audit.

    python examples/demo.py            about 3 minutes on two cores; what `make demo` runs
    python examples/demo.py --quick    a few seconds, to see that everything works

It runs the commands that you would type, and says which. All it makes lies in `runs/demo`, which is
emptied first.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from nextpixel.cli.app import main as nextpixel

QUICK = ["--train.steps", "30", "--train.previews", "2", "--data.limit", "64"]


def commands(out: Path, *, quick: bool) -> list[list[str]]:
    model = str(out)
    drawn, completed, field = (
        str(out / name) for name in ("samples.png", "completions.png", "receptive-field.png")
    )
    count = "4" if quick else "100"
    return [
        ["train", "demo", "--out", model, *(QUICK if quick else [])],
        ["sample", model, "--count", count, "--out", drawn],
        [
            "complete",
            model,
            "--images",
            "mnist",
            "--known",
            "top",
            "--count",
            "4",
            "--out",
            completed,
        ],
        ["audit", model, "--out", field],
    ]


def summary(out: Path, seconds: float) -> str:
    found = json.loads((out / "config.json").read_text())["evaluation"]
    files = {
        "samples.png": "images drawn from the model",
        "completions.png": "test digits: original | occluded | completions",
        "training.gif": "the same noise, sampled as training goes on",
        "curves.png": "training and test loss",
        "receptive-field.png": "what the middle pixel sees, with its blind spot",
        "model.safetensors": "the model; the folder is what commands take as MODEL",
    }
    lines = [
        f"\n{found['n']:,} test images of {found['data']}, protocol {found['protocol']}:",
        f"  {found['nats']:.2f} +- {found['standard_error']:.2f} nats per image, "
        f"{found['bits_per_dim']:.4f} bits/dim",
        f"all of it took {seconds / 60:.1f} minutes and is in {out}:",
    ]
    lines += [f"  {out / name}: {meaning}" for name, meaning in files.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train, score, sample, complete and audit.")
    parser.add_argument("--quick", action="store_true", help="a few steps on a few images")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder, emptied first")
    arguments = parser.parse_args()
    start = time.monotonic()
    shutil.rmtree(arguments.out, ignore_errors=True)
    for words in commands(arguments.out, quick=arguments.quick):
        print("\n$ nextpixel " + " ".join(words), flush=True)
        if status := nextpixel(words):
            return status
    print(summary(arguments.out, time.monotonic() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())
