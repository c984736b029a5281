"""NumPy files: 8-bit pixels or levels, one array of images in a `.npy`, or a folder of such files.

They may be larger than memory: images are read from the file when asked for. Labels are read from
a file in the same folder: those of `faces.npy` are in `faces-labels.npy`, those of `x-images.npy`
in `x-labels.npy`. Pickled objects are never read.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.sources.npy import (
    DAMAGE,
    Array,
    ArrayFile,
    check_form,
    check_range,
    colors_first,
    read_header,
)
from nextpixel.data.splits import (
    Images,
    Indices,
    LazyPixels,
    Reader,
    Splits,
    checksum,
    number_names,
    split_images,
)
from nextpixel.errors import NextPixelError
from nextpixel.runtime.device import require


def load_array(config: DataConfig, path: Path) -> Splits:
    """Load a `.npy` of shape (N, H, W), (N, C, H, W) or (N, H, W, 3), split 80/10/10 by the seed.

    Numbers are 8-bit pixels, except where they are levels already: with `protocol="levels"`, where
    the array is boolean (2 levels), or where no protocol is given and all are below `levels`, which
    pixels of a picture hardly are.

    Raises:
        NextPixelError: If a file is damaged or foreign, or its numbers are no pixels.
        ValueError: If there is too little to split.
    """
    return load_arrays(config, [path])


def load_arrays(config: DataConfig, paths: list[Path]) -> Splits:
    """Load several `.npy`, in that order, as if they were one; see `load_array`."""
    files = [_open(path) for path in paths]
    _check_alike(files)
    labels = _join_labels(files)
    pixels = LazyPixels(files[0] if len(files) == 1 else ConcatReader(files))
    splits = split_images(Images(pixels, labels), config.validation, seed=config.seed)
    return Splits(*splits, number_names(labels), _count_levels(config, files))


def find_arrays(folder: Path) -> list[Path]:
    """The `.npy` of images in a folder in the order of their names, those of labels left out."""
    found = sorted(path for path in folder.glob("*.npy") if not path.name.startswith("."))
    labels = {labels_path(path) for path in found}
    return [path for path in found if path not in labels]


class ConcatReader:
    """Several readers of images of one shape, one after another."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self.readers = readers
        self.ends = np.cumsum([reader.shape[0] for reader in readers])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (int(self.ends[-1]), *self.readers[0].shape[1:])

    def read(self, indices: Indices) -> Tensor:
        """See `Reader`."""
        pixels = torch.empty(len(indices), *self.shape[1:], dtype=torch.uint8)
        which = np.searchsorted(self.ends, indices, side="right")
        for number in np.unique(which):
            here = which == number
            start = self.ends[number - 1] if number else 0
            pixels[torch.from_numpy(here)] = self.readers[number].read(indices[here] - start)
        return pixels

    def checksum(self) -> int:
        """See `Reader`."""
        sums = [reader.checksum() for reader in self.readers]
        return zlib.crc32(np.array(sums, "<u4").tobytes())


class _InMemory:
    """Images of a `.npy` in Fortran order: none lies in one piece, so all are read at once."""

    def __init__(self, path: Path) -> None:
        head = read_header(path)
        check_form(path, head.dtype, head.shape)
        require(
            math.prod(head.shape),
            f"{path}, which is in Fortran order,",
            "save it in C order (numpy.ascontiguousarray), which is read as needed",
        )
        array = read_array(path)
        self.path, self.is_boolean = path, head.dtype.kind == "b"
        self.highest, self.image = check_range(path, array, 0)
        self._pixels = torch.from_numpy(np.array(colors_first(array), np.uint8, order="C"))
        count, colors, height, width = self._pixels.shape
        self.shape = (count, colors, height, width)

    def read(self, indices: Indices) -> Tensor:
        return self._pixels[torch.from_numpy(indices)]

    def checksum(self) -> int:
        return checksum(self._pixels)


_File = ArrayFile | _InMemory


def _open(path: Path) -> _File:
    return _InMemory(path) if read_header(path).fortran else ArrayFile(path)


def _check_alike(files: list[_File]) -> None:
    first = files[0]
    for file in files:
        if (file.shape[1:], file.is_boolean) != (first.shape[1:], first.is_boolean):
            raise NextPixelError(
                f"{file.path}: must have images like those of {first.path.name}, {_form(first)}, "
                f"got {_form(file)}"
            )


def _form(file: _File) -> str:
    return f"{file.shape[1:]} of {'truth values' if file.is_boolean else 'integers'}"


def _count_levels(config: DataConfig, files: list[_File]) -> int | None:
    if files[0].is_boolean:
        return 2
    top = max(files, key=lambda file: file.highest)
    levels = config.levels or 256
    if config.protocol == "levels" and top.highest >= levels:
        raise NextPixelError(
            f"{top.path}: levels must be 0 to {levels - 1}, got {top.highest} in image {top.image} "
            "(from 0)"
        )
    guessed = config.protocol is None and top.highest < levels < 256
    return levels if guessed or config.protocol == "levels" else None


def read_array(path: Path) -> Array:
    """A `.npy`, mapped.

    Raises:
        NextPixelError: If it is not a whole file of numbers.
    """
    try:
        # Mapping checks the whole header against the file's length before anything is read.
        return np.lib.format.open_memmap(path, mode="r")
    except DAMAGE as error:
        raise NextPixelError(f"{path}: not a whole .npy file of numbers: {error}") from error


def labels_path(path: Path) -> Path:
    """The file of the labels of a `.npy`.

    Example:
        >>> labels_path(Path("x-images.npy")).name, labels_path(Path("faces.npy")).name
        ('x-labels.npy', 'faces-labels.npy')
    """
    stem = path.stem
    name = stem.replace("images", "labels") if "images" in stem else f"{stem}-labels"
    return path.with_name(f"{name}.npy")


def read_labels(path: Path, count: int) -> Tensor | None:
    """The labels of the images in a `.npy`, int64, shape (count,); None if there are none.

    Raises:
        NextPixelError: If they are no labels of so many images.
    """
    found = labels_path(path)
    if not found.is_file():
        return None
    labels = read_array(found)
    if labels.dtype.kind not in "iu" or labels.shape != (count,) or int(labels.min()) < 0:
        raise NextPixelError(
            f"{found}: must hold a label from 0 for each of {count} images, "
            f"got shape {labels.shape} of {labels.dtype}"
        )
    return torch.from_numpy(np.array(labels, np.int64))


def _join_labels(files: list[_File]) -> Tensor | None:
    found = [read_labels(file.path, file.shape[0]) for file in files]
    labels = [some for some in found if some is not None]
    if not labels:
        return None
    if len(labels) < len(found):
        lacking = files[[some is None for some in found].index(True)].path
        raise NextPixelError(f"{lacking}: lacks {labels_path(lacking).name}; others have labels")
    return torch.cat(labels)
