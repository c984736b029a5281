"""A folder of pictures, where each sub-folder is a class; no sub-folders mean no labels.

Sub-folders `train` and `test` are the splits where both exist, and `validation` if there is one,
else validation images are held out of `train`. A folder without them is split 80/10/10 by the seed.
Pictures are read in the order of their names. They have one color if all are gray, else three.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.parts import Images, Parts, hold_out_validation, split_images
from nextpixel.data.pictures import ENDINGS, read_picture
from nextpixel.errors import NextPixelError

_SPLITS = ("train", "validation", "test")

_Picture = tuple[Path, str | None]


def load_folder(config: DataConfig, folder: Path) -> Parts:
    """Load a folder of pictures.

    Raises:
        NextPixelError: If there is no picture, one is damaged, or their sizes differ.
        ValueError: If there is too little to split.
    """
    if not all((folder / part).is_dir() for part in ("train", "test")):
        listed = list_pictures(folder)
        names = _class_names(listed)
        (images,) = _read_groups([listed], names, config.size)
        return Parts(*split_images(images, config.validation, seed=config.seed), names, None)
    return _load_splits(config, folder)


def _load_splits(config: DataConfig, folder: Path) -> Parts:
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
    return Parts(images["train"], images["validation"], images["test"], names, None)


def list_pictures(folder: Path) -> list[_Picture]:
    """Files of pictures in the order of their names, each with its class or None.

    Raises:
        NextPixelError: If there are none, or some lie inside classes and some beside them.
    """
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    classes = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    loose = _pictures_in(folder)
    inside: list[_Picture] = [(path, part.name) for part in classes for path in _pictures_in(part)]
    if loose and inside:
        raise NextPixelError(f"{loose[0]}: lies beside sub-folders of pictures, in no class")
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
