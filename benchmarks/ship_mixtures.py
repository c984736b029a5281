"""Make the shipped mixtures, and measure them on their whole test sets.

    python benchmarks/ship_mixtures.py                 all of them, about an hour on one core
    python benchmarks/ship_mixtures.py --processes 2   sooner, on two
    python benchmarks/ship_mixtures.py NAME ...        these
    python benchmarks/ship_mixtures.py --parts A B     measure a mixture, and write nothing

Nothing is trained. A shipped mixture has no weights of its own: it names shipped models. Cards are
written by `benchmarks/cards.py`.

Images are scored along the scan of the engine, which leaves out unlikely classes and so takes half
the time of `nextpixel evaluate`, to the same figures within 1e-4 nats (a law of tests/laws).
"""

import argparse
import dataclasses
import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray

import nextpixel as npx
from nextpixel.checkpoint import SHIPPED, read_config
from nextpixel.config import build
from nextpixel.data import Split, load_config
from nextpixel.data.config import DataConfig
from nextpixel.engine.cpu import mixture
from nextpixel.heads.truncation import PLAIN
from nextpixel.likelihood import Evaluation, mean_and_error
from nextpixel.models import Mixture
from nextpixel.nn import NO_EMBEDDING

MIXTURES = {
    "mnist-mixture": ("mnist-fast-class", "mnist-laptop-class"),
    "mnist256-mixture": ("mnist256-fast", "mnist256-fast-class"),
}
"""Each with the shipped models that it is made of."""


BATCH = 100


def ship(name: str, processes: int) -> None:
    """Write the folder of a mixture, with its figure."""
    parts = MIXTURES[name]
    model, data, found = measured(parts, processes)
    npx.save(model, SHIPPED / name, data=data, evaluation=found.as_dict(), shipped=parts)
    print(f"{name}: {found}", flush=True)


def made_of(parts: Sequence[str]) -> Mixture:
    """The mixture of shipped models."""
    return npx.mixture([npx.load(part) for part in parts])


def measured(
    parts: Sequence[str], processes: int = 1
) -> tuple[Mixture, dict[str, object], Evaluation]:
    """A mixture of shipped models, the data of the first, and the figure on all its test images."""
    model = made_of(parts)
    data = read_config(SHIPPED / parts[0])["data"]
    images = test_set(data)
    some = images.levels.split(BATCH)
    with ProcessPoolExecutor(processes, initializer=begin, initargs=(parts,)) as pool:
        nats = -torch.from_numpy(np.concatenate(list(pool.map(score, map(np.array, some)))))
    mean, error = mean_and_error(nats)
    unit = 1 / (math.log(2) * math.prod(model.shape))
    found = npx.evaluate(model, images.take(2))  # for the words of it
    figures = {"nats": mean, "standard_error": error, "n": len(nats), "by_color": ()}
    bits = {"bits_per_dim": mean * unit, "bits_error": error * unit}
    return model, data, dataclasses.replace(found, **figures, **bits)


_own: list[Mixture] = []
"""The mixture that a process scores by."""


def begin(parts: Sequence[str]) -> None:
    """Load the mixture in a process of its own."""
    torch.set_num_threads(1)
    _own[:] = [made_of(parts)]


@torch.inference_mode()
def score(levels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probabilities of images along the engine's scan, nats, (B,)."""
    images = torch.from_numpy(levels)
    known, uniforms = torch.ones_like(images).bool(), torch.zeros(images.shape).double()
    _, log_p = mixture.fill(
        _own[0], images, known, uniforms, NO_EMBEDDING, truncation=PLAIN, on_row=None
    )
    return log_p.double().numpy()


def test_set(trained: dict[str, object]) -> Split:
    """The test images of the data that a part was trained on."""
    kept = {key: value for key, value in trained.items() if key in DataConfig.__dataclass_fields__}
    return load_config(build(DataConfig, kept)).test


def main() -> None:
    parser = argparse.ArgumentParser(description="Make and measure the shipped mixtures.")
    parser.add_argument("names", nargs="*", choices=[*MIXTURES, []], metavar="NAME")
    parser.add_argument("--parts", nargs="+", help="shipped models to mix and measure")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.parts:
        print(" ".join(arguments.parts), measured(arguments.parts, arguments.processes)[2])
        return
    for name in arguments.names or MIXTURES:
        ship(name, arguments.processes)


if __name__ == "__main__":
    main()
