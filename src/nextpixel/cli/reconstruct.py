"""`nextpixel reconstruct`: images through an auto-encoder and back, several times each."""

from pathlib import Path

import torch

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.inject import codes_its_images, codes_of
from nextpixel.cli.inputs import check_out, read_images, warn_of_cost, write_array
from nextpixel.cli.progress import counting


def reconstruct(
    model: str,
    /,
    *,
    images: str,
    out: Path,
    count: int = 4,
    images_count: int = 10,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    method: str = "engine",
) -> None:
    """Draw images again from the codes that an auto-encoder gives them.

    Args:
        model: Folder of an auto-encoder, or the name of a shipped one.
        images: Picture, folder of pictures, .npy, or a data set (its test images).
        out: File to write: .png (input | decodings) or .npy (images, decodings, colors, height,
            width).
        count: Decodings of each code; they vary.
        images_count: Take only the first so many images.
        temperature: Above 0; below 1 prefers likely levels, 1 samples the model itself.
        top_k: Draw one of so many likeliest levels; by default any.
        top_p: Draw one of the likeliest levels that together have this probability, above 0 up
            to 1; by default any.
        seed: The same seed draws the same images.
        method: How a pixel is predicted: engine, step by step, or recompute, by a forward pass
            each (slow). Both draw the same images.
    """
    check_out(out, (".png", ".npy"))
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    loaded = npx.load(model)
    warn_of_cost(method, loaded)
    if not codes_its_images(loaded):
        raise ValueError(f"model must be an auto-encoder, got {loaded.name}")
    originals, _ = read_images(images, model, loaded, images_count)
    many = originals.repeat_interleave(count, 0)
    with counting(loaded.shape[1], "row") as tell:
        made = npx.sample(
            loaded,
            len(many),
            rng=torch.Generator().manual_seed(seed),
            condition=codes_of(loaded, many, len(many)),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            method=method,
            batch_size=len(many),
            on_row=lambda row, _: tell(row),
        )
    decodings = made.view(len(originals), count, *loaded.shape)
    if out.suffix.lower() == ".npy":
        write_array(decodings, out)
    else:
        gallery.save(gallery.reconstructions(originals, decodings, loaded.levels), out)
    print(f"{count} decodings of each of {len(originals)} images in {out}")
