"""A picture as its file has it: 8 or 16 bits, gray or in colors, or planes of measurements.

By Pillow; FITS files, and TIFF files that it does not know, by astropy and tifffile
(pip install 'nextpixel[science]'). The pages of a TIFF, and the planes of a FITS file, are colors.
What would lose bits is refused.
"""

import re
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nextpixel.data.sources import science
from nextpixel.errors import NextPixelError

FITS = (".fit", ".fits", ".fts")
TIFF = (".tif", ".tiff")
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp", *TIFF, *FITS)
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

DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of Pillow for gray pictures of 16 bits."""

Array = NDArray[Any]


def read_picture(
    path: Path, size: int | None, offset: int = 0, seen: Counter[str] | None = None
) -> Array:
    """Read one picture; transparent parts show white, and the camera's turn is undone.

    Args:
        path: The file.
        size: Cut the largest centered square and resize it to size x size; None leaves the size.
        offset: What is added to the numbers of a FITS file.
        seen: Where the picture is counted; see `to_pixels`.

    Returns:
        uint8, or uint16 where the file has 16 bits: (H, W) where red, green and blue are the same
        everywhere, or there is one page, else (H, W, C).

    Raises:
        NextPixelError: If the file cannot be read, or not without losing bits.
    """
    if path.suffix.lower() in FITS:
        return _own_size(path, pages_first(path, science.read_fits(path, offset)), size)
    try:
        with path.open("rb") as file:
            check_depth(file, str(path))
        with Image.open(path) as picture:
            if path.suffix.lower() in TIFF and getattr(picture, "n_frames", 1) > 1:
                return _own_size(path, _pages(path, picture), size)
            if not would_lose(picture):
                return to_pixels(picture, size, str(path), seen)
        return _own_size(path, pages_first(path, science.read_tiff(path)), size)
    except UnidentifiedImageError as error:
        if path.suffix.lower() in TIFF:
            return _own_size(path, pages_first(path, science.read_tiff(path)), size)
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error
    except DAMAGE as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


BITS_PER_SAMPLE, EXTRA_SAMPLES = 258, 338
"""Tags of a TIFF."""


def would_lose(picture: Image.Image) -> bool:
    """Whether it is a TIFF of 16 bits in several colors, or with planes that are no transparency.

    Of the first Pillow silently makes 8 bits, of the second it shows the planes as transparency.
    """
    tags = getattr(picture, "tag_v2", {})
    deep = max(tags.get(BITS_PER_SAMPLE, (8,))) > 8 and picture.mode not in (*DEEP, "F")
    return deep or 0 in tags.get(EXTRA_SAMPLES, ())


def _own_size(path: Path, picture: Array, size: int | None) -> Array:
    """A picture that cannot be resized.

    Raises:
        ValueError: If it should be.
    """
    if size is not None:
        raise ValueError(f"size must be left out for {path}, whose pixels are measurements")
    return picture


def _pages(path: Path, picture: Image.Image) -> Array:
    """The pages of a TIFF as colors, (H, W, pages)."""
    pages = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        if picture.mode not in ("L", *DEEP):
            raise NextPixelError(
                f"{path}: page {number} must be gray, of 8 or 16 bits, got mode {picture.mode}"
            )
        pages.append(np.asarray(picture))
    if any(page.shape != pages[0].shape for page in pages):
        raise NextPixelError(f"{path}: its pages differ in size")
    return pages_first(path, np.stack(pages))


def pages_first(path: Path, planes: Array) -> Array:
    """(H, W), or (C, H, W) -> (H, W, C), as uint8 or uint16.

    Raises:
        NextPixelError: If it has another form, or a number is not 0 to 65535.
    """
    if planes.ndim not in (2, 3) or planes.dtype.kind not in "iu":
        raise NextPixelError(
            f"{path}: must hold planes of integers, got {planes.dtype} of shape {planes.shape}"
        )
    lowest, highest = int(planes.min()), int(planes.max())
    if lowest < 0 or highest > 65535:
        wrong = lowest if lowest < 0 else highest
        raise NextPixelError(f"{path}: numbers must be 0 to 65535, got {wrong}; see `offset`")
    made = planes.astype(np.uint8 if planes.dtype == np.uint8 else np.uint16)
    return made if made.ndim == 2 else np.moveaxis(made, 0, 2)


def to_pixels(
    picture: Image.Image, size: int | None, where: str, seen: Counter[str] | None = None
) -> Array:
    """The pixels of an opened picture; see `read_picture`.

    Args:
        picture: As Pillow opened it.
        size: As for `read_picture`.
        where: What an error calls it.
        seen: Where the picture is counted: `transparent`, and, if it is resized, `not square`.

    Raises:
        NextPixelError: If it has 16 bits in several colors, or is of floats.
        ValueError: If it should be resized and has 16 bits.
    """
    picture.load()
    if picture.mode in DEEP:
        return _own_size(Path(where), _deep(picture, where), size)
    upright, seen = ImageOps.exif_transpose(picture), Counter() if seen is None else seen
    flat = _flatten(where, upright, seen)
    if size is not None:
        seen["not square"] += flat.width != flat.height
        flat = ImageOps.fit(flat, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(flat, np.uint8)
    gray = (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0].copy() if gray else pixels


def _deep(picture: Image.Image, where: str) -> Array:
    """A gray picture of 16 bits, which Pillow may hold as 32."""
    pixels = np.asarray(picture)
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest < 0 or highest > 65535:
        wrong = lowest if lowest < 0 else highest
        raise NextPixelError(f"{where}: numbers must be 0 to 65535, got {wrong}")
    return pixels.astype(np.uint16)


def check_depth(file: BinaryIO, where: str) -> None:
    """Refuse encoded pictures of which Pillow would silently make 8 bits, or others' numbers.

    Args:
        file: The encoded picture, from its beginning.
        where: What an error calls it.

    Raises:
        NextPixelError: If it is a PNG or PPM of more than 8 bits in several colors, or a PGM of an
            odd depth.
    """
    head = file.read(512)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:26] in (b"\x10\x02", b"\x10\x04", b"\x10\x06"):
        raise NextPixelError(
            f"{where}: has 16 bits in several colors, which are not read from PNG; save the colors "
            "as pages of a TIFF, or as .npy"
        )
    words = re.sub(rb"#[^\n]*", b"", head).split(maxsplit=4)
    if words[:1] in ([b"P5"], [b"P6"], [b"P2"], [b"P3"]) and len(words) > 3:
        most = int(words[3]) if words[3].isdigit() else 0
        if most > 255 and (most != 65535 or words[0] in (b"P6", b"P3")):
            raise NextPixelError(
                f"{where}: has numbers up to {most}, which are not read as they are; save it as a "
                "TIFF, or as .npy"
            )


def _flatten(where: str, picture: Image.Image, seen: Counter[str]) -> Image.Image:
    if picture.mode.startswith("F"):
        raise NextPixelError(
            f"{where}: must have 8 or 16 bits a color, got mode {picture.mode}; save it with those"
        )
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = picture.convert("RGBA")
        seen["transparent"] += bool((np.asarray(picture)[:, :, 3] < 255).any())
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
