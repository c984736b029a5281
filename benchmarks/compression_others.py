"""Bytes that other lossless formats take for grey images: xz, PNG, WebP, JPEG XL.

    python benchmarks/compression_others.py [--levels 2 256] [--limit 10000]

A mosaic is one picture of 100 images a row; places left over in the last row are black. Two levels
are packed to a bit where the format has that. JPEG XL is measured by the first that is there of:
the program `cjxl`, the packages `imagecodecs` and `pillow-jxl-plugin`. None of them is required.
"""

import argparse
import io
import json
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import nextpixel as npx
from nextpixel.images import to_pixels

COLUMNS = 100
EFFORT = 9
Pixels = NDArray[np.uint8]


def sizes(levels: torch.Tensor, level_count: int) -> dict[str, int | None]:
    """Bytes of levels (N, 1, H, W) by name of the format; None for a format that is not there."""
    plain = levels[:, 0].numpy().astype(np.uint8)
    pixels = to_pixels(levels[:, 0], level_count).numpy()
    picture = mosaic(pixels)
    return {
        "xz -9e": xz(plain, level_count),
        "PNG, mosaic": png(picture, level_count),
        "WebP lossless, mosaic": webp(picture),
        **jpeg_xl(picture, level_count),
        "PNG, each image by itself": sum(png(image, level_count) for image in pixels),
    }


def mosaic(pixels: Pixels) -> Pixels:
    """(N, H, W) -> one picture, 100 images a row."""
    count, height, width = pixels.shape
    rows = -(-count // COLUMNS)
    cells = np.zeros((rows * COLUMNS, height, width), np.uint8)
    cells[:count] = pixels
    cells = cells.reshape(rows, COLUMNS, height, width).swapaxes(1, 2)
    return cells.reshape(rows * height, COLUMNS * width)


def xz(levels: Pixels, level_count: int) -> int:
    """A bit a level where there are two, else a byte."""
    data = np.packbits(levels) if level_count == 2 else levels
    return len(lzma.compress(data.tobytes(), preset=9 | lzma.PRESET_EXTREME))


def png(pixels: Pixels, level_count: int) -> int:
    picture = Image.fromarray(pixels)
    return saved(picture.convert("1") if level_count == 2 else picture, "png", optimize=True)


def webp(pixels: Pixels) -> int:
    picture = Image.fromarray(pixels).convert("RGB")
    return saved(picture, "webp", lossless=True, quality=100, method=6)


def saved(picture: Image.Image, form: str, **options: Any) -> int:  # noqa: ANN401
    """Bytes of a picture as a file, which is read again and compared."""
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    back = Image.open(stream).convert(picture.mode)
    if not np.array_equal(np.asarray(back), np.asarray(picture)):
        raise SystemExit(f"{form} did not give back the picture it was made from")
    return stream.tell()


def jpeg_xl(pixels: Pixels, level_count: int) -> dict[str, int | None]:
    """By the first of three encoders that is there."""
    encoders: dict[str, Callable[[Pixels, int], int | None]] = {
        "cjxl": by_cjxl,
        "imagecodecs": by_imagecodecs,
        "pillow-jxl-plugin": by_pillow,
    }
    for name, encode in encoders.items():
        found = encode(pixels, level_count)
        if found is not None:
            return {f"JPEG XL, mosaic ({name})": found}
    return {"JPEG XL, mosaic": None}


def by_cjxl(pixels: Pixels, level_count: int) -> int | None:
    if shutil.which("cjxl") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "mosaic.png", Path(folder) / "mosaic.jxl"
        picture = Image.fromarray(pixels)
        (picture.convert("1") if level_count == 2 else picture).save(source)
        command = ["cjxl", str(source), str(target), "--distance=0", f"--effort={EFFORT}"]
        subprocess.run(command, check=True, capture_output=True)
        return target.stat().st_size


def by_imagecodecs(pixels: Pixels, level_count: int) -> int | None:
    try:
        import imagecodecs
    except ImportError:
        return None
    data, bits = (pixels // 255, 1) if level_count == 2 else (pixels, 8)
    made = imagecodecs.jpegxl_encode(data, lossless=True, effort=EFFORT, bitspersample=bits)
    back = imagecodecs.jpegxl_decode(made)
    # A decoder may spread one bit over a byte.
    if not np.array_equal(back > 0, pixels > 0) or (bits == 8 and not np.array_equal(back, pixels)):
        raise SystemExit("JPEG XL did not give back the picture it was made from")
    return len(made)


def by_pillow(pixels: Pixels, level_count: int) -> int | None:
    try:
        import pillow_jxl  # noqa: F401 - it registers the format
    except ImportError:
        return None
    return saved(Image.fromarray(pixels), "jxl", lossless=True, effort=EFFORT)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure other formats on MNIST test images.")
    parser.add_argument("--levels", type=int, nargs="+", default=[2, 256])
    parser.add_argument("--limit", type=int, default=10_000)
    asked = parser.parse_args()
    found = {}
    for levels in asked.levels:
        images = npx.load_data("mnist", levels=levels).test.take(asked.limit)
        found[levels] = sizes(images.levels, levels)
        for name, total in found[levels].items():
            rate = "not there" if total is None else f"{8 * total / images.pixels.numel():.4f}"
            print(f"{levels:4} levels  {name:28}{total or '':>12} {rate:>10}", flush=True)
    print(json.dumps({"images": asked.limit, "bytes": found}))


if __name__ == "__main__":
    main()
