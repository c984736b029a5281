"""A folder of pictures, where each sub-folder is a class; no sub-folders mean no labels.

Sub-folders `train` and `test` are the splits where both exist, and `validation` if there is one,
else validation images are held out of `train`. A folder without them is split 80/10/10 by the seed.
Pictures are read in the order of their names, by Pillow; FITS files, and TIFF files that it does
not know, by astropy and tifffile (pip install 'nextpixel[science]'). They have one color if all are
gray, else three. The pages of a TIFF, and the planes of a FITS file, are colors, of 8 or 16 bits.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.sources import science
from nextpixel.data.splits import (
    Images,
    LoosePixels,
    Pixels,
    Splits,
    Whole,
    hold_out_validation,
)
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
_SPLITS = ("train", "validation", "test")

_Picture = tuple[Path, str | None]


@dataclass(frozen=True)
class Wanted:
    """What is asked of pictures that are not to be trained on.

    Attributes:
        first: Read only so many, where they are not divided into splits; None: all.
        colors: Of a model; where these are three, gray pictures have them too.
    """

    first: int | None = None
    colors: int | None = None


ALL = Wanted()


def load_folder(config: DataConfig, folder: Path, wanted: Wanted = ALL) -> Splits | Whole:
    """Load a folder of pictures.

    Raises:
        NextPixelError: If there is no picture, one is damaged, or sizes differ without `crop`.
        ValueError: If `config.validation` does not fit its splits.
    """
    if holds_splits(folder):
        return _load_splits(config, folder, wanted)
    return _load_whole(config, list_pictures(folder), wanted)


def load_picture(config: DataConfig, path: Path, wanted: Wanted = ALL) -> Whole:
    """Load a single picture; errors as in `load_folder`."""
    return _load_whole(config, [(path, None)], wanted)


def holds_splits(folder: Path) -> bool:
    """Whether a folder is divided into `train` and `test`."""
    return all((folder / part).is_dir() for part in ("train", "test"))


def _load_whole(config: DataConfig, listed: list[_Picture], wanted: Wanted) -> Whole:
    names = _class_names(listed)
    (images,) = _read_groups([listed[: wanted.first]], names, config, wanted.colors)
    return Whole(images, names, _count_levels(config, [images]))


def load_photographs(config: DataConfig) -> Splits | Whole:
    """Photographs of Debian packages, as `benchmarks/photographs.py` puts them into a folder.

    Raises:
        ValueError: If no folder is stated.
        NextPixelError: If there are none in it, or no `crop` is stated: sizes differ.
    """
    if config.folder is None:
        raise ValueError(
            "folder must be where photographs lie, got None: benchmarks/photographs.py makes one "
            "(data.folder), or train on pictures of your own (data.name)"
        )
    return load_folder(config, to_path(config.folder))


def _load_splits(config: DataConfig, folder: Path, wanted: Wanted) -> Splits:
    groups = {part: list_pictures(folder / part) for part in _SPLITS if (folder / part).is_dir()}
    names = _class_names(groups["train"])
    read = _read_groups(list(groups.values()), names, config, wanted.colors)
    images = dict(zip(groups, read, strict=True))
    count = _count_levels(config, list(images.values()))
    if "validation" not in images:
        images["train"], images["validation"] = hold_out_validation(
            images["train"], config.validation, seed=config.seed
        )
    elif config.validation is not None:
        raise ValueError(
            f"validation must be left out where {folder / 'validation'} exists, "
            f"got {config.validation}"
        )
    return Splits(images["train"], images["validation"], images["test"], names, count)


def _count_levels(config: DataConfig, groups: list[Images]) -> int | None:
    """K where pictures of 16 bits hold levels: where asked to, or where all are below K < 65536."""
    pixels = [part for images in groups for part in _each(images.pixels)]
    if pixels[0].dtype == torch.uint8 or config.protocol not in (None, "levels"):
        return None
    highest, levels = max(int(part.max()) for part in pixels), config.levels or 65536
    if config.protocol == "levels" and highest >= levels:
        raise NextPixelError(f"{config.name}: levels must be 0 to {levels - 1}, got {highest}")
    guessed = highest < levels < 65536
    return levels if config.protocol == "levels" or guessed else None


def _each(pixels: Pixels) -> Sequence[Tensor]:
    if isinstance(pixels, LoosePixels):
        return pixels.images
    return [pixels if isinstance(pixels, Tensor) else pixels.load()]


def list_pictures(folder: Path) -> list[_Picture]:
    """Files of pictures in the order of their names, each with its class or None.

    Raises:
        NextPixelError: If there are none, or some lie inside classes and some outside.
    """
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    classes = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    loose = _pictures_in(folder)
    inside: list[_Picture] = [(path, part.name) for part in classes for path in _pictures_in(part)]
    if loose and inside:
        raise NextPixelError(f"{loose[0]}: lies next to sub-folders of pictures, in no class")
    if not loose and not inside:
        raise NextPixelError(f"{folder}: holds no pictures ({', '.join(ENDINGS)})")
    return inside or [(path, None) for path in loose]


def holds_pictures(folder: Path) -> bool:
    """Whether pictures lie in a folder itself; those in sub-folders are not looked for."""
    return bool(_pictures_in(folder))


def _pictures_in(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    shown = (path for path in found if path.is_file() and not path.name.startswith("."))
    return sorted(shown, key=lambda path: path.name)


def _class_names(listed: list[_Picture]) -> tuple[str, ...]:
    return tuple(sorted({name for _, name in listed if name is not None}))


def _read_groups(
    groups: list[list[_Picture]], names: tuple[str, ...], config: DataConfig, colors: int | None
) -> list[Images]:
    files = [path for group in groups for path, _ in group]
    pictures = [read_picture(path, config.size, config.offset) for path in files]
    pixels = _stack(files, pictures, colors, loose=config.crop is not None)
    labels = _number([picture for group in groups for picture in group], names)
    counts = [len(group) for group in groups]
    label_parts = [None] * len(counts) if labels is None else torch.split(labels, counts)
    places = torch.split(torch.arange(len(files)), counts)
    whole = Images(pixels, None)
    parts = [whole.select(part).pixels for part in places]
    return [Images(part, own) for part, own in zip(parts, label_parts, strict=True)]


def _number(listed: list[_Picture], names: tuple[str, ...]) -> Tensor | None:
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names or [None])}
    strange = next((path for path, name in listed if name not in numbers), None)
    if strange is not None:
        raise NextPixelError(f"{strange}: its class is not one of the training pictures")
    return torch.tensor([numbers[name] for _, name in listed]) if names else None


def _stack(
    files: list[Path], pictures: list[Array], wanted: int | None, *, loose: bool
) -> Tensor | LoosePixels:
    """Pictures as one tensor; as they are where they may differ in size."""
    _check_alike(files, pictures, loose=loose)
    kind = max((picture.dtype for picture in pictures), key=lambda dtype: dtype.itemsize)
    kind = np.dtype(np.uint8) if kind == np.uint8 else np.dtype(np.int32)
    colors = max(1 if picture.ndim == 2 else picture.shape[2] for picture in pictures)
    colors = 3 if (colors, wanted) == (1, 3) else colors
    made = [torch.from_numpy(_planes(picture, colors).astype(kind)) for picture in pictures]
    return LoosePixels(made) if loose else torch.stack(made)


def _planes(picture: Array, colors: int) -> Array:
    """(H, W) or (H, W, C) -> (C, H, W); gray in all of several colors."""
    if picture.ndim == 2:
        return np.broadcast_to(picture, (colors, *picture.shape))
    return np.moveaxis(picture, 2, 0)


def _check_alike(files: list[Path], pictures: list[Array], *, loose: bool) -> None:
    """Refuse pictures of several sizes, or of other numbers of colors than gray and one other.

    Raises:
        NextPixelError: Naming the first.
    """
    height, width = pictures[0].shape[:2]
    colors = max((picture.shape[2] for picture in pictures if picture.ndim == 3), default=1)
    for path, picture in zip(files, pictures, strict=True):
        if not loose and picture.shape[:2] != (height, width):
            raise NextPixelError(
                f"{path}: is {picture.shape[1]} x {picture.shape[0]} pixels and {files[0].name} "
                f"{width} x {height}; give `size` to resize all, or `crop` to take parts"
            )
        own = 1 if picture.ndim == 2 else picture.shape[2]
        if own != colors and (own, colors) != (1, 3):
            raise NextPixelError(f"{path}: has {own} colors, others of the folder {colors}")


def read_picture(path: Path, size: int | None, offset: int = 0) -> Array:
    """Read one picture; transparent parts show white, and the camera's turn is undone.

    Args:
        path: The file.
        size: Cut the largest centered square and resize it to size x size; None leaves the size.
        offset: What is added to the numbers of a FITS file.

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
                return to_pixels(picture, size, str(path))
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


def to_pixels(picture: Image.Image, size: int | None, where: str) -> Array:
    """The pixels of an opened picture; see `read_picture`.

    Args:
        picture: As Pillow opened it.
        size: As for `read_picture`.
        where: What an error calls it.

    Raises:
        NextPixelError: If it has 16 bits in several colors, or is of floats.
        ValueError: If it should be resized and has 16 bits.
    """
    picture.load()
    if picture.mode in DEEP:
        return _own_size(Path(where), _deep(picture, where), size)
    flat = _flatten(where, ImageOps.exif_transpose(picture))
    if size is not None:
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


def _flatten(where: str, picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("F"):
        raise NextPixelError(
            f"{where}: must have 8 or 16 bits a color, got mode {picture.mode}; save it with those"
        )
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")
