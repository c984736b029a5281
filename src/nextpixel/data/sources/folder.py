"""A folder of pictures, where each sub-folder is a class; no sub-folders mean no labels.

Sub-folders `train` and `test` are the splits where both exist, and `validation` if there is one,
else validation images are held out of `train`. A folder without them is split 80/10/10 by the seed.
Pictures are read in the order of their names. They have one color if all are gray, else three, or
as many as the pages of a TIFF or the planes of a FITS file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.sources.pictures import ENDINGS, read_picture
from nextpixel.data.splits import (
    Images,
    LoosePixels,
    Pixels,
    Splits,
    Whole,
    hold_out_validation,
    tenth_held_out,
)
from nextpixel.errors import NextPixelError

Array = NDArray[Any]
_SPLITS = ("train", "validation", "test")
_NEAR_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")

_Picture = tuple[Path, str | None]


@dataclass(frozen=True)
class Wanted:
    """What is asked of pictures that are not to be trained on.

    Attributes:
        first: Read only so many, where they are not divided into splits; None: all.
        colors: Of a model; where these are three, gray pictures have them too.
        any_size: Whether pictures may differ in size.
    """

    first: int | None = None
    colors: int | None = None
    any_size: bool = False


ALL = Wanted()


def load_folder(config: DataConfig, folder: Path, wanted: Wanted = ALL) -> Splits | Whole:
    """Load a folder of pictures.

    Raises:
        NextPixelError: If there is no picture, one is damaged, or sizes differ without `crop`.
        ValueError: If `config.validation` does not fit its splits.
    """
    _check_splits(folder)
    if holds_splits(folder):
        return _load_splits(config, folder, wanted)
    listed = list_pictures(folder)
    whole = _load_whole(config, listed, wanted)
    return replace(whole, notes=(*whole.notes, *_others(folder, listed)))


def load_picture(config: DataConfig, path: Path, wanted: Wanted = ALL) -> Whole:
    """Load a single picture; errors as in `load_folder`."""
    return _load_whole(config, [(path, None)], wanted)


def holds_splits(folder: Path) -> bool:
    """Whether a folder is divided into `train` and `test`."""
    return all((folder / part).is_dir() for part in ("train", "test"))


def _check_splits(folder: Path) -> None:
    """Refuse sub-folders that seem to be splits and would be classes, or be passed over.

    Raises:
        NextPixelError: Naming them.
    """
    near = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name.lower() in _NEAR_SPLITS)
    known = holds_splits(folder) and set(near) <= set(_SPLITS)
    if not known and len(near) > 1 and any(name.lower().startswith("train") for name in near):
        raise NextPixelError(
            f"{folder}: sub-folders that are splits must be named train, test and, if there is "
            f"one, validation, got {', '.join(near)}"
        )


def _load_whole(config: DataConfig, listed: list[_Picture], wanted: Wanted) -> Whole:
    names = _class_names(listed)
    (images,), notes = _read_groups([listed[: wanted.first]], names, config, wanted)
    return Whole(images, names, _count_levels(config, [images]), notes=notes)


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
    read, notes = _read_groups(list(groups.values()), names, config, wanted)
    notes = (*notes, *_others(folder, [picture for group in groups.values() for picture in group]))
    images = dict(zip(groups, read, strict=True))
    count = _count_levels(config, list(images.values()))
    if "validation" not in images:
        images["train"], images["validation"] = hold_out_validation(
            images["train"], config.validation, seed=config.seed
        )
        notes = (*tenth_held_out(config.validation), *notes)
    elif config.validation is not None:
        raise ValueError(
            f"validation must be left out where {folder / 'validation'} exists, "
            f"got {config.validation}"
        )
    parts = (images["train"], images["validation"], images["test"])
    return Splits(*parts, names, count, notes=notes)


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


def list_everywhere(folder: Path) -> list[_Picture]:
    """As `list_pictures`, where a folder is divided into splits those of all of them.

    Raises:
        NextPixelError: If some lie outside of the splits, and as `list_pictures` does.
    """
    if not holds_splits(folder):
        return list_pictures(folder)
    if loose := _pictures_in(folder):
        raise NextPixelError(f"{loose[0]}: lies next to train and test, in neither")
    splits = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    return [picture for split in splits for picture in list_pictures(split)]


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
    groups: list[list[_Picture]], names: tuple[str, ...], config: DataConfig, wanted: Wanted
) -> tuple[list[Images], tuple[str, ...]]:
    files, seen = [path for group in groups for path, _ in group], Counter[str]()
    pictures = [read_picture(path, config.size, config.offset, seen) for path in files]
    seen["gray"] = sum(picture.ndim == 2 for picture in pictures)
    differ = wanted.any_size and len({picture.shape[:2] for picture in pictures}) > 1
    pixels = _stack(files, pictures, wanted.colors, loose=differ or config.crop is not None)
    labels = _number([picture for group in groups for picture in group], names)
    counts = [len(group) for group in groups]
    label_parts = [None] * len(counts) if labels is None else torch.split(labels, counts)
    places = torch.split(torch.arange(len(files)), counts)
    whole = Images(pixels, None)
    parts = [whole.select(part).pixels for part in places]
    images = [Images(part, own) for part, own in zip(parts, label_parts, strict=True)]
    return images, tuple(_notes(seen, len(files), config.size))


def _notes(seen: Counter[str], count: int, size: int | None) -> Iterator[str]:
    if seen["not square"]:
        yield f"{seen['not square']:,} of {count:,} pictures cut to the largest centered square"
    if size is not None:
        yield f"all resized to {size} x {size}"
    if seen["transparent"]:
        yield f"{seen['transparent']:,} of {count:,} pictures transparent in part, put on white"
    if 0 < seen["gray"] < count:
        yield f"{seen['gray']:,} of {count:,} pictures gray, with equal colors"


def _others(folder: Path, listed: list[_Picture]) -> Iterator[str]:
    """The note on what a folder holds apart from the pictures that are read, hidden files aside."""
    read = {path.relative_to(folder) for path, _ in listed}
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    left = [path for path in found - read if not any(part[0] == "." for part in path.parts)]
    if left:
        yield f"{len(left):,} other files left out, as {min(left)}"


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
