"""One picture file -> 8-bit pixels, by Pillow; knows nothing of sets."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nextpixel.errors import NextPixelError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Names of files that are read as pictures, in lower case."""

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files."""


def read_picture(path: Path, size: int | None) -> NDArray[np.uint8]:
    """Read one picture; transparent parts show white, and the camera's turn is undone.

    Args:
        path: The file.
        size: Cut the largest centered square and resize it to size x size; None leaves the size.

    Returns:
        (H, W) where red, green and blue are the same everywhere, else (H, W, 3).

    Raises:
        NextPixelError: If the file cannot be read or has more than 8 bits a color.
    """
    try:
        with Image.open(path) as picture:
            return to_pixels(picture, size, str(path))
    except DAMAGE as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


def to_pixels(picture: Image.Image, size: int | None, where: str) -> NDArray[np.uint8]:
    """The pixels of an opened picture; see `read_picture`.

    Args:
        picture: As Pillow opened it.
        size: As for `read_picture`.
        where: What an error calls it.

    Raises:
        NextPixelError: If it has more than 8 bits a color.
    """
    picture.load()
    flat = _flatten(where, ImageOps.exif_transpose(picture))
    if size is not None:
        flat = ImageOps.fit(flat, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(flat, np.uint8)
    gray = (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0].copy() if gray else pixels


def _flatten(where: str, picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        raise NextPixelError(
            f"{where}: must have 8 bits a color, got mode {picture.mode}; save it with 8 bits"
        )
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")
