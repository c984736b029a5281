"""`nextpixel compress`: images to a file of about as many bits as the model says, exactly."""

import math
from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import Parameter
from PIL import Image

import nextpixel as npx
from nextpixel.cli.inputs import check_out
from nextpixel.cli.progress import counting
from nextpixel.codec import archive, files
from nextpixel.codec.chunks import label_classes
from nextpixel.images import to_pixels
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel


def compress(
    model: str,
    source: Path,
    out: Path,
    /,
    *,
    chunk: int | None = None,
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compress images without loss.

    Args:
        model: Folder of a model, or the name of a shipped one. The archive can be read with this
            very model only.
        source: A .npy (levels or 8-bit pixels), a .png, or a folder of PNGs. A model that is told
            labels takes those of NAME-labels.npy beside NAME.npy, or the folders' names.
        out: File to write, which ends in .npx.
        chunk: Images that are coded together, by default 256: fewer make single images quicker to
            get at, and the file larger.
        verbose: Also show what the model says, and what PNG takes.
    """
    check_out(out, (".npx",))
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    loaded = npx.load(model)
    images = files.open_source(source, loaded)
    check_told(loaded, images, source)
    total = math.ceil(images.count / (chunk or archive.PER_CHUNK))
    with counting(total, "chunk") as tell:
        report = archive.write(out, loaded, images, per_chunk=chunk, on_chunk=tell)
    print(
        f"{report.images:,} images in {out}: {report.payload_bytes + report.header_bytes:,} bytes, "
        f"{report.bits_per_dim:.4f} bits/dim"
    )
    if verbose:
        print(*explain(report, loaded, images), sep="\n")


def check_told(
    model: PixelModel, images: files.ArraySource | files.PictureSource, source: Path
) -> None:
    """Refuse a model that must be told what the files do not say.

    Raises:
        ValueError: If labels are missing or too many, or it is told something else.
    """
    classes = label_classes(model)
    if model.conditioner.conditions and not classes:
        raise ValueError(
            f"model is told {model.conditioner.describe()}, which files do not hold; "
            "use npx.compress"
        )
    if classes and images.condition is None:
        raise ValueError(
            f"model is told labels 0..{classes - 1}: put them into {source.stem}-labels.npy beside "
            "the array, or the pictures into a folder for each class"
        )
    if images.condition is not None and not 0 <= int(images.condition.max()) < classes:
        raise ValueError(
            f"labels must be 0..{classes - 1} for this model, got {int(images.condition.max())}"
        )


def explain(
    report: archive.Report, model: PixelModel, images: files.ArraySource | files.PictureSource
) -> list[str]:
    """Where the bytes go: the model's bits twice computed, the coder's, the header, and PNG's."""
    lines = [
        f"model's bits along the scan   {report.ideal_bits:,.1f} "
        f"({report.ideal_bits / 8:,.1f} bytes)",
        f"coded                         {8 * report.payload_bytes:,} "
        f"({report.payload_bytes:,} bytes)",
        f"header and index              {report.header_bytes:,} bytes",
    ]
    if images.sizes == [model.shape[1:]]:
        lines.insert(1, f"model's bits in one pass      {_in_one_pass(model, images):,.1f}")
    png = _png_bytes(model, images)
    return [
        *lines,
        f"PNG, each image by itself     {png:,} bytes, {8 * png / report.values:.4f} bits/dim",
    ]


def _in_one_pass(model: PixelModel, images: files.ArraySource | files.PictureSource) -> float:
    bits = 0.0
    for first in range(0, images.count, 100):
        numbers = range(first, min(first + 100, images.count))
        levels = torch.from_numpy(np.stack([images.image(number) for number in numbers]))
        told = None if images.condition is None else images.condition[first : first + 100]
        bits -= float(log_probs(model, levels, told).sum()) / math.log(2)
    classes = label_classes(model)
    return bits + (images.count * math.log2(classes) if classes else 0.0)


def _png_bytes(model: PixelModel, images: files.ArraySource | files.PictureSource) -> int:
    total = 0
    for number in range(images.count):
        pixels = to_pixels(torch.from_numpy(images.image(number)), model.levels)
        values = pixels.to(torch.uint8).numpy()
        made = BytesIO()
        picture = Image.fromarray(values[0] if len(values) == 1 else np.moveaxis(values, 0, 2))
        (picture.convert("1") if model.levels == 2 else picture).save(made, "png", optimize=True)
        total += made.tell()
    return total
