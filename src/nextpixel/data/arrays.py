"""NumPy files: 8-bit pixels or levels, one array of images in a `.npy`.

Labels are read where they lie beside it: those of `faces.npy` are in `faces-labels.npy`, those of
`x-images.npy` in `x-labels.npy`. Pickled objects are never read.
"""

from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.parts import Images, Parts, number_names, split_images
from nextpixel.errors import NextPixelError

_Array = NDArray[np.generic]

_DAMAGE = (OSError, ValueError, EOFError, OverflowError, TokenError)  # of NumPy's reader


def load_array(config: DataConfig, path: Path) -> Parts:
    """Load a `.npy` of shape (N, H, W), (N, C, H, W) or (N, H, W, 3), split 80/10/10 by the seed.

    Numbers are 8-bit pixels, except where they are levels already: with `protocol="levels"`, where
    the array is boolean (2 levels), or where no protocol is given and all are below `levels`, which
    pixels of a picture hardly are.

    Raises:
        NextPixelError: If a file is damaged or foreign, or its numbers are no pixels.
        ValueError: If there is too little to split.
    """
    array = read_array(path)
    pixels = _to_pixels(path, array)
    labels = read_labels(path, len(pixels))
    parts = split_images(Images(pixels, labels), config.validation, seed=config.seed)
    return Parts(*parts, number_names(labels), _count_levels(config, path, array))


def read_array(path: Path) -> _Array:
    """A `.npy`, mapped.

    Raises:
        NextPixelError: If it is not a whole file of numbers.
    """
    try:
        # Mapping checks the whole header against the file's length before anything is read.
        return np.lib.format.open_memmap(path, mode="r")
    except _DAMAGE as error:
        raise NextPixelError(f"{path}: not a whole .npy file of numbers: {error}") from error


def _to_pixels(path: Path, array: _Array) -> Tensor:
    if array.dtype.kind not in "biu":
        raise NextPixelError(
            f"{path}: must hold integers, got {array.dtype}; scale them to 0..255, round, and save "
            "them as uint8"
        )
    if array.ndim not in (3, 4) or not array.size:
        raise NextPixelError(
            f"{path}: must have shape (N, H, W), (N, C, H, W) or (N, H, W, 3), got {array.shape}"
        )
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest > 255:
        raise NextPixelError(f"{path}: numbers must be 0 to 255, got {lowest} to {highest}")
    return torch.from_numpy(np.array(colors_first(array), np.uint8, order="C"))


def colors_first(array: _Array) -> _Array:
    """(N, H, W), (N, C, H, W) or (N, H, W, C) -> (N, C, H, W), a view."""
    if array.ndim == 3:
        return array[:, None]
    last = array.shape[3] in (1, 3) and array.shape[1] not in (1, 3)
    return np.moveaxis(array, 3, 1) if last else array


def _count_levels(config: DataConfig, path: Path, array: _Array) -> int | None:
    if array.dtype.kind == "b":
        return 2
    highest, levels = int(array.max()), config.levels or 256
    if config.protocol == "levels" and highest >= levels:
        raise NextPixelError(f"{path}: levels must be 0 to {levels - 1}, got {highest}")
    guessed = config.protocol is None and highest < levels < 256
    return levels if guessed or config.protocol == "levels" else None


def labels_beside(path: Path) -> Path:
    """The file of the labels of a `.npy`.

    Example:
        >>> labels_beside(Path("x-images.npy")).name, labels_beside(Path("faces.npy")).name
        ('x-labels.npy', 'faces-labels.npy')
    """
    stem = path.stem
    name = stem.replace("images", "labels") if "images" in stem else f"{stem}-labels"
    return path.with_name(f"{name}.npy")


def read_labels(path: Path, count: int) -> Tensor | None:
    """The labels that lie beside a `.npy`, int64, shape (count,); None if there are none.

    Raises:
        NextPixelError: If they are no labels of so many images.
    """
    beside = labels_beside(path)
    if not beside.is_file():
        return None
    labels = read_array(beside)
    if labels.dtype.kind not in "iu" or labels.shape != (count,) or int(labels.min()) < 0:
        raise NextPixelError(f"{beside}: must hold a label from 0 for each of {count} images")
    return torch.from_numpy(np.array(labels, np.int64))
