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
from nextpixel.cli.inputs import check_out, write_array
from nextpixel.cli.progress import counting
from nextpixel.cli.told import told_for
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
) -> None:
    """Draw images from a model.

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
        method: How a pixel is predicted: by the step engine, or by a forward pass each (slow).
            Both draw the same images.
        columns: Images a row of the grid; by default about as many as rows.
        batch_size: Images drawn at a time.
    """
    check_out(out, (".png", ".npy", ".gif"))
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    loaded = npx.load(model)
    animated = out.suffix.lower() == ".gif"
    size = max(1, count) if animated else batch_size  # a frame shows all images at once
    frames: list[Tensor] = []
    rows = itertools.count(1)
    with counting(loaded.shape[1] * math.ceil(count / max(1, size)), "row") as tell:

        def on_row(row: int, levels: Tensor) -> None:
            del row  # of a batch; there may be several
            tell(next(rows))
            if animated:
                frames.append(levels.to(torch.uint8))

        levels = npx.sample(
            loaded,
            count,
            rng=torch.Generator().manual_seed(seed),
            condition=told_for(model, loaded, count, label),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            method=method,
            batch_size=size,
            on_row=on_row,
        )
    _write(levels, frames, loaded, out, columns)
    print(f"{count} images of {loaded.name} in {out}")


def _write(
    levels: Tensor, frames: list[Tensor], model: PixelModel, out: Path, columns: int | None
) -> None:
    if out.suffix.lower() == ".npy":
        write_array(levels, out)
    elif out.suffix.lower() == ".png":
        gallery.save(gallery.grid(levels, model.levels, columns=columns), out)
    else:
        _write_scan(frames, model, out, columns)


def _write_scan(frames: list[Tensor], model: PixelModel, out: Path, columns: int | None) -> None:
    rows = torch.arange(model.shape[1]).unsqueeze(1)
    pictures = [
        gallery.grid(levels, model.levels, columns=columns, known=rows <= row)
        for row, levels in enumerate(frames)
    ]
    captions = [f"row {row + 1}" for row in range(len(frames))]
    gallery.animation(pictures, out, captions=captions, milliseconds=120)
