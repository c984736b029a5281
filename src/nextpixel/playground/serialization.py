"""Levels as JSON, there and back, and as files: a PNG, an array, an animation of the scan.

In JSON an image is a shape, the number of levels, and base64 of its levels, bytes in C order.
"""

import base64
import binascii
import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nextpixel.playground.refusals import Refusal

Bytes = NDArray[np.uint8]
MAX_FRAME_PIXELS = 30_000_000
"""Pixels of all frames of an animation."""
MEDIA_TYPES = {"png": "image/png", "npy": "application/octet-stream", "gif": "image/gif"}


def encode(array: NDArray[Any]) -> str:
    """Base64 of an array's bytes in C order.

    Example:
        >>> encode(np.array([0, 1, 255], np.uint8))
        'AAH/'
    """
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def decode(data: str, shape: Sequence[int], below: int, field: str) -> Bytes:
    """The inverse of `encode` for bytes.

    Args:
        data: Base64.
        shape: Of the array.
        below: What every byte must be below.
        field: How errors name it.

    Raises:
        Refusal: If it is no base64, of another length, or a byte is too large.

    Example:
        >>> decode("AAH/", (3,), 256, "data").tolist()
        [0, 1, 255]
    """
    try:
        raw = base64.b64decode(data.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Refusal(f"{field} must be base64, got other characters", field) from error
    if len(raw) != math.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise Refusal(f"{field} must be {wanted} bytes, got {len(raw)}", field)
    array = np.frombuffer(raw, np.uint8).reshape(tuple(shape))
    if array.size and int(array.max()) >= below:
        raise Refusal(f"{field} must be 0..{below - 1}, got {int(array.max())}", field)
    return array


def pack(levels: NDArray[Any], level_count: int) -> dict[str, Any]:
    """One image (C, H, W) or several (N, C, H, W) as JSON."""
    data = encode(levels.astype(np.uint8))
    return {"shape": list(levels.shape), "levels": level_count, "data": data}


def export(images: Bytes, levels: int, form: str) -> bytes:
    """A file of images (N, C, H, W).

    Args:
        images: Levels.
        levels: K.
        form: One of `MEDIA_TYPES`.

    Raises:
        Refusal: If the images have neither 1 nor 3 colors and are to be a picture.
    """
    if form == "npy":
        return _npy(images)
    if images.shape[1] not in (1, 3):
        text = f"images must have 1 or 3 colors to be a {form}, got {images.shape[1]}"
        raise Refusal(text, "images.shape")
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
    if count * height * (height * scale + 2) * (width * scale + 2) > MAX_FRAME_PIXELS:
        raise Refusal("images must be fewer or smaller for an animation of all rows", "images")
    rows = torch.arange(height).unsqueeze(1)
    drawn = torch.from_numpy(images.copy())
    frames = [grid(drawn, levels, known=rows <= row) for row in range(height)]
    captions = [f"row {row + 1}" for row in range(len(frames))]
    return animated(frames, captions=captions, milliseconds=120)


def raw_bytes(values: int, levels: int) -> int:
    """Bytes of levels that take whole bits each, packed.

    Example:
        >>> raw_bytes(28 * 28, 2), raw_bytes(28 * 28, 256)
        (98, 784)
    """
    return -(-values * (levels - 1).bit_length() // 8)


def png_bytes(image: Bytes, levels: int) -> int:
    """Bytes of an image (C, H, W) as a PNG; 0 if it has neither 1 nor 3 colors."""
    return len(png_of(image, levels)) if len(image) in (1, 3) else 0
