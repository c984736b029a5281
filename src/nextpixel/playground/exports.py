"""Levels -> files: a grid, an array, or the scan row by row, as the command line makes them."""

from io import BytesIO

import numpy as np
from PIL import Image

from nextpixel.playground.problems import Refusal
from nextpixel.playground.wire import Bytes

MOST = 30_000_000
"""Pixels of all frames of an animation."""
TYPES = {"png": "image/png", "npy": "application/octet-stream", "gif": "image/gif"}


def export(images: Bytes, levels: int, form: str) -> bytes:
    """A file of images (N, C, H, W).

    Args:
        images: Levels.
        levels: K.
        form: One of `TYPES`.

    Raises:
        Refusal: If the images have neither 1 nor 3 colors and are to be a picture.
    """
    if form == "npy":
        return _npy(images)
    if images.shape[1] not in (1, 3):
        raise Refusal(f"images must have 1 or 3 colors to be a {form}, got {images.shape[1]}",
                      "images.shape")  # fmt: skip
    return _grid(images, levels) if form == "png" else _scan(images, levels)


def png_of(image: Bytes, levels: int) -> bytes:
    """One image (C, H, W) as the smallest PNG that Pillow writes."""
    import torch

    from nextpixel.images import to_pixels

    pixels = to_pixels(torch.from_numpy(image.copy()), levels).numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2))
    out = BytesIO()
    (picture.convert("1") if levels == 2 and len(pixels) == 1 else picture).save(
        out, "png", optimize=True
    )
    return out.getvalue()


def _npy(images: Bytes) -> bytes:
    out = BytesIO()
    np.save(out, images, allow_pickle=False)
    return out.getvalue()


def _grid(images: Bytes, levels: int) -> bytes:
    import torch

    from nextpixel.gallery import grid

    out = BytesIO()
    grid(torch.from_numpy(images.copy()), levels).save(out, format="PNG")
    return out.getvalue()


def _scan(images: Bytes, levels: int) -> bytes:
    import torch

    from nextpixel.gallery import animated, grid

    count, _, height, width = images.shape
    scale = max(1, round(64 / max(height, width)))
    if count * height * (height * scale + 2) * (width * scale + 2) > MOST:
        raise Refusal("images must be fewer or smaller for an animation of all rows", "images")
    rows = torch.arange(height).unsqueeze(1)
    drawn = torch.from_numpy(images.copy())
    frames = [grid(drawn, levels, known=rows <= row) for row in range(height)]
    captions = [f"row {row + 1}" for row in range(len(frames))]
    return animated(frames, captions=captions, milliseconds=120)
