"""`nextpixel complete`: draw the missing part of images."""

from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.inject import codes_its_images, codes_of, labels_for, own_labels, refuse_labels
from nextpixel.cli.inputs import check_out, read_images, read_known, warn_of_cost, write_array
from nextpixel.cli.options import Device
from nextpixel.cli.processes import team
from nextpixel.cli.progress import counting
from nextpixel.models import PixelModel
from nextpixel.nn import Value


def complete(
    model: str,
    /,
    *,
    images: str,
    known: str,
    out: Path,
    count: int = 3,
    label: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=1, negative="")] = None,
    images_count: int = 10,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    method: str = "engine",
    device: Device = "auto",
) -> None:
    """Draw the missing part of images.

    Started by torchrun, its processes share the completions: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        images: Picture, folder of pictures, .npy, or a data set (its test images).
        known: What is given: top, bottom, left, right, or a mask picture that is white where known.
        out: File to write: .png (original | occluded | completions) or .npy (images, completions,
            colors, height, width).
        count: Completions of each image.
        label: Class of each image, in turn, for a class-conditional model; by default the images'
            own labels where a data set has them, else all classes in turn. An auto-encoder is told
            the codes of the whole images.
        images_count: Take only the first so many images.
        temperature: Above 0; below 1 prefers likely levels, 1 samples the model itself.
        top_k: Draw one of so many likeliest levels; by default any.
        top_p: Draw one of the likeliest levels that together have this probability, above 0 up
            to 1; by default any.
        seed: The same seed draws the same completions.
        method: How a pixel is predicted: engine, step by step, or recompute, by a forward pass
            each (slow). Both draw the same completions.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    with team(device) as all_of_us:
        processes = all_of_us.processes
        processes.first(lambda: check_out(out, (".png", ".npy")))
        loaded = all_of_us.load(model)
        warn_of_cost(method, loaded)
        mask = processes.each(lambda: read_known(known, loaded))
        originals, labels = processes.each(lambda: read_images(images, model, loaded, images_count))
        many = originals.repeat_interleave(count, 0)
        told = processes.each(lambda: _told(loaded, many, label, labels, count))
        with counting(loaded.shape[1], "row", shown=processes.is_first) as tell:
            made = npx.complete(
                loaded,
                many,
                mask,
                rng=torch.Generator().manual_seed(seed),
                condition=told,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                method=method,
                batch_size=len(many),
                on_row=lambda row, _: tell(row),
            )
        completions = made.view(len(originals), count, *loaded.shape)
        processes.first(lambda: _write(originals, mask, completions, loaded, out))
    if processes.is_first:
        print(f"{count} completions of each of {len(originals)} images in {out}")


def _told(
    model: PixelModel,
    many: Tensor,
    label: tuple[int, ...] | None,
    own: list[int] | None,
    count: int,
) -> Value | None:
    """The condition of each completion, `count` for each image."""
    if codes_its_images(model):
        refuse_labels(label)
        return codes_of(model, many, len(many))
    each = labels_for(model, len(many) // count, label or own_labels(model, own))
    return each.repeat_interleave(count, 0) if isinstance(each, Tensor) else None


def _write(
    originals: Tensor, mask: Tensor, completions: Tensor, model: PixelModel, out: Path
) -> None:
    if out.suffix.lower() == ".npy":
        write_array(completions, out)
    else:
        gallery.save(gallery.sheet(originals, mask, completions, model.levels), out)
