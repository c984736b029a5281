"""`nextpixel sample`: draw images into a picture, an array, or an animation of the scan."""

import itertools
import math
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.inject import told_for
from nextpixel.cli.inputs import check_out, warn_of_cost, write_array
from nextpixel.cli.options import Device
from nextpixel.cli.processes import team
from nextpixel.cli.progress import counting
from nextpixel.models import PixelModel


def sample(
    model: str,
    /,
    *,
    out: Path,
    count: int = 16,
    label: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=1, negative="")] = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    method: str = "engine",
    columns: int | None = None,
    batch_size: int = 100,
    device: Device = "auto",
) -> None:
    """Draw images from a model.

    Started by torchrun, its processes share the images: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        out: File to write: .png (a grid), .npy (levels, one array) or .gif (the scan, row by row).
        count: How many images.
        label: Classes to draw, in turn, for a class-conditional model; by default all of them. An
            auto-encoder draws from the codes of test images of its own data set.
        temperature: Above 0; below 1 prefers likely levels, 1 samples the model itself.
        top_k: Draw one of so many likeliest levels; by default any.
        top_p: Draw one of the likeliest levels that together have this probability, above 0 up
            to 1; by default any.
        seed: The same seed draws the same images.
        method: How a pixel is predicted: engine, step by step, or recompute, by a forward pass
            each (slow). Both draw the same images.
        columns: Images a row of the grid; by default about as many as rows.
        batch_size: Images drawn at a time.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
    """
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    with team(device) as all_of_us:
        processes = all_of_us.processes
        processes.first(lambda: check_out(out, (".png", ".npy", ".gif")))
        loaded = all_of_us.load(model)
        warn_of_cost(method, loaded)
        told = processes.each(lambda: told_for(model, loaded, count, label))
        rows = itertools.count(1)  # of all batches of this process
        own = len(range(count)[processes.share(count)])
        total = loaded.shape[1] * math.ceil(own / max(1, batch_size))
        with counting(total, "row", shown=processes.is_first) as tell:
            levels = npx.sample(
                loaded,
                count,
                rng=torch.Generator().manual_seed(seed),
                condition=told,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                method=method,
                batch_size=batch_size,
                on_row=lambda row, levels: tell(next(rows)),
            )
        processes.first(lambda: _write(levels, loaded, out, columns))
    if processes.is_first:
        print(f"{count} images of {loaded.name} in {out}")


def _write(levels: Tensor, model: PixelModel, out: Path, columns: int | None) -> None:
    if out.suffix.lower() == ".npy":
        write_array(levels, out)
    elif out.suffix.lower() == ".png":
        gallery.save(gallery.grid(levels, model.levels, columns=columns), out)
    else:
        _write_scan(levels, model, out, columns)


def _write_scan(levels: Tensor, model: PixelModel, out: Path, columns: int | None) -> None:
    rows = torch.arange(model.shape[1]).unsqueeze(1)
    pictures = [
        gallery.grid(levels, model.levels, columns=columns, known=rows <= row)
        for row in range(len(rows))
    ]
    captions = [f"row {row + 1}" for row in range(len(rows))]
    gallery.animation(pictures, out, captions=captions, milliseconds=120)
