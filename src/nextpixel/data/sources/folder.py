"""A folder of pictures, where each sub-folder is a class; no sub-folders mean no labels.

Sub-folders `train` and `test` are the splits where both exist, and `validation` if there is one,
else validation images are held out of `train`. A folder without them is split 80/10/10 by the seed.
Pictures are read by Pillow, in the order of their names. They have one color if all are gray, else
three.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.splits import Images, Splits, hold_out_validation, split_images
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

_SPLITS = ("train", "validation", "test")

_Picture = tuple[Path, str | None]


def load_folder(config: DataConfig, folder: Path) -> Splits:
    """Load a folder of pictures.

    Raises:
        NextPixelError: If there is no picture, one is damaged, or their sizes differ.
        ValueError: If there is too little to split.
    """
    if not all((folder / part).is_dir() for part in ("train", "test")):
        listed = list_pictures(folder)
        names = _class_names(listed)
        (images,) = _read_groups([listed], names, config.size)
        return Splits(*split_images(images, config.validation, seed=config.seed), names, None)
    return _load_splits(config, folder)


def _load_splits(config: DataConfig, folder: Path) -> Splits:
    groups = {part: list_pictures(folder / part) for part in _SPLITS if (folder / part).is_dir()}
    names = _class_names(groups["train"])
    images = dict(zip(groups, _read_groups(list(groups.values()), names, config.size), strict=True))
    if "validation" not in images:
        images["train"], images["validation"] = hold_out_validation(
            images["train"], config.validation, seed=config.seed
        )
    elif config.validation is not None:
        raise ValueError(
            f"validation must be left out where {folder / 'validation'} exists, "
            f"got {config.validation}"
        )
    return Splits(images["train"], images["validation"], images["test"], names, None)


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
    groups: list[list[_Picture]], names: tuple[str, ...], size: int | None
) -> list[Images]:
    files = [path for group in groups for path, _ in group]
    pixels = _stack(files, [read_picture(path, size) for path in files])
    labels = _number([picture for group in groups for picture in group], names)
    counts = [len(group) for group in groups]
    label_parts = [None] * len(counts) if labels is None else torch.split(labels, counts)
    pairs = zip(torch.split(pixels, counts), label_parts, strict=True)
    return [Images(part, part_labels) for part, part_labels in pairs]


def _number(listed: list[_Picture], names: tuple[str, ...]) -> Tensor | None:
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names or [None])}
    strange = next((path for path, name in listed if name not in numbers), None)
    if strange is not None:
        raise NextPixelError(f"{strange}: its class is not one of the training pictures")
    return torch.tensor([numbers[name] for _, name in listed]) if names else None


def _stack(files: list[Path], pictures: list[NDArray[np.uint8]]) -> Tensor:
    height, width = pictures[0].shape[:2]
    for path, picture in zip(files, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise NextPixelError(
                f"{path}: is {picture.shape[1]} x {picture.shape[0]} pixels and {files[0].name} "
                f"{width} x {height}; give `size` to resize all"
            )
    if all(picture.ndim == 2 for picture in pictures):
        return torch.from_numpy(np.stack(pictures)).unsqueeze(1)
    shape = (height, width, 3)
    colored = [
        picture if picture.ndim == 3 else np.broadcast_to(picture[:, :, None], shape)
        for picture in pictures
    ]
    return torch.from_numpy(np.stack(colored)).permute(0, 3, 1, 2).contiguous()


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
