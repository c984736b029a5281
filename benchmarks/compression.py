"""Archives of the MNIST test images: size, against other formats; speed, against sampling.

    python benchmarks/compression.py --models mnist2-gated mnist2-gated-class     all 10,000 images
    python benchmarks/compression.py --models mnist2-gated --memory               and its memory
    python benchmarks/compression.py --limit 300 --timed 64 --rounds 1            a rehearsal

Models are shipped ones or folders, of grey 28x28 images; levels are the model's. Sizes are of
whole files. A model conditioned on labels stores them, and they count; the other formats hold no
labels. "ideal" is what the model says: along the scan, as the engine sums it up while coding, and
in one pass of the network. Every archive is decoded and compared.

Speed: sampling by the engine, encoding and decoding the same number of images in memory, in turns,
after one call of each; medians. Each thread has 256 images at a time in all three.

Other formats: `compression_others.py`. Memory: `compression_memory.py`.
"""

import argparse
import io
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compression_memory
import compression_others
import torch
from record import hardware

import nextpixel as npx
from nextpixel.codec.archive import PER_CHUNK, write
from nextpixel.codec.chunks import label_classes
from nextpixel.codec.tensors import TensorSource, compress, decompress
from nextpixel.data import Split
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel

Row = dict[str, Any]
SIZES = {
    "bytes": ",",
    "bits/dim": ".4f",
    "ideal, scan": ",.1f",
    "ideal, pass": ",.1f",
    "over scan %": ".3f",
    "over pass %": ".3f",
}
"""Columns and how they are written; the ideal in bytes."""

SPEEDS = ("seconds", "/ sampling", "images/s", "KB/s")


def test_images(model: PixelModel, limit: int) -> Split:
    if model.shape != (1, 28, 28):
        raise SystemExit(f"a model of MNIST is needed, this one has shape {model.shape}")
    return npx.load_data("mnist", levels=model.levels).test.take(limit)


def labels_of(model: PixelModel, images: Split) -> torch.Tensor | None:
    """Labels, for a model conditioned on labels."""
    return images.labels if label_classes(model) else None


def size(model: PixelModel, images: Split) -> Row:
    """Bytes of an archive of all images, against the model's bits; checked by decoding."""
    stream, labels = io.BytesIO(), labels_of(model, images)
    report = write(stream, model, TensorSource(images.levels, labels))
    if not torch.equal(decompress(model, stream.getvalue()), images.levels):
        raise SystemExit("an archive did not decode to the images it was made from")
    one_pass = -float(log_probs(model, images).sum()) / math.log(2)
    if labels is not None:
        one_pass += len(images) * math.log2(label_classes(model))
    total = len(stream.getvalue())
    return {
        "bytes": total,
        "header bytes": report.header_bytes,
        "bits/dim": report.bits_per_dim,
        "ideal, scan": report.ideal_bits / 8,
        "ideal, pass": one_pass / 8,
        "over scan %": 100 * (8 * total / report.ideal_bits - 1),
        "over pass %": 100 * (8 * total / one_pass - 1),
        "labels": labels is not None,
    }


def seconds(job: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def speed(model: PixelModel, images: Split, rounds: int, threads: list[int]) -> list[Row]:
    """Median seconds of sampling, encoding and decoding, a row for each and number of threads."""
    labels, count = labels_of(model, images), len(images)
    blob = compress(model, images.levels, labels)

    def sample() -> object:
        rng, batch = torch.Generator().manual_seed(0), PER_CHUNK * torch.get_num_threads()
        return npx.sample(model, count, rng=rng, condition=labels, batch_size=batch)

    jobs: dict[str, Callable[[], object]] = {
        "sample": sample,
        "encode": lambda: compress(model, images.levels, labels),
        "decode": lambda: decompress(model, blob),
    }
    ways = [(name, number) for number in threads for name in jobs]
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for round_ in range(rounds + 1):
        for name, number in ways:
            taken = seconds(jobs[name], number)
            if round_:  # the first warms up
                times[name, number].append(taken)
    medians = {way: statistics.median(values) for way, values in times.items()}
    return [
        {
            "task": name,
            "threads": number,
            "seconds": medians[name, number],
            "/ sampling": medians[name, number] / medians["sample", number],
            "images/s": count / medians[name, number],
            "KB/s": images.pixels.numel() / 1000 / medians[name, number],
        }
        for name, number in ways
    ]


def show_sizes(images: Split, archives: dict[str, Row], others: dict[str, int | None]) -> None:
    dims = images.pixels.numel()
    print(f"\n{len(images):,} images of {images.level_count} levels, whole files")
    print(f"{'':34}" + "".join(f"{name:>13}" for name in SIZES))
    for name, row in archives.items():
        cells = "".join(f"{format(row[key], how):>13}" for key, how in SIZES.items())
        print(f"{name + (', labels too' if row['labels'] else ''):34}{cells}")
    for name, total in others.items():
        found = "  not there" if total is None else f"{total:13,}{8 * total / dims:13.4f}"
        print(f"{name:34}{found}", flush=True)


def show_speeds(name: str, count: int, rows: list[Row]) -> None:
    print(f"\n{name}: {count} images")
    print(f"{'':10}{'threads':>8}" + "".join(f"{column:>12}" for column in SPEEDS))
    for row in rows:
        cells = "".join(f"{row[column]:12.4g}" for column in SPEEDS)
        print(f"{row['task']:10}{row['threads']:8}{cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure archives of the MNIST test images.")
    parser.add_argument("--models", nargs="+", default=["mnist2-gated", "mnist2-gated-class"])
    parser.add_argument("--limit", type=int, default=10_000, help="only so many images")
    parser.add_argument("--timed", type=int, default=512, help="images that are timed; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of what is timed")
    parser.add_argument("--memory", action="store_true", help="measure the first model's memory")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 60_000], help="for that")
    asked = parser.parse_args()
    torch.set_num_threads(max(asked.threads))
    models = {Path(name).name: npx.load(name) for name in asked.models}
    found: Row = {"hardware": hardware(), "torch": torch.__version__, "images": asked.limit}
    found["sizes"] = sizes(models, asked.limit)
    found["speeds"] = {}
    for name, model in models.items() if asked.timed else ():
        images = test_images(model, asked.timed)
        found["speeds"][name] = speed(model, images, asked.rounds, asked.threads)
        show_speeds(name, len(images), found["speeds"][name])
    if asked.memory:
        found["memory"] = compression_memory.measure(
            asked.models[0], asked.counts, max(asked.threads)
        )
    print(json.dumps(found))


def sizes(models: dict[str, PixelModel], limit: int) -> Row:
    """Sizes by number of levels; shown as they are found."""
    found: Row = {}
    for levels in sorted({model.levels for model in models.values()}):
        ours = {name: model for name, model in models.items() if model.levels == levels}
        images = test_images(next(iter(ours.values())), limit)
        archives = {name: size(model, images) for name, model in ours.items()}
        others = compression_others.sizes(images.levels, levels)
        show_sizes(images, archives, others)
        found[str(levels)] = {"archives": archives, "others": others}
    return found


if __name__ == "__main__":
    main()
