"""NumPy files: pixels of 8 or 16 bits, or levels, in a `.npy`, or in a folder of such files.

They may be larger than memory: images are read from the file when asked for. Labels are read from
a file in the same folder: those of `faces.npy` are in `faces-labels.npy`, those of `x-images.npy`
in `x-labels.npy`. Pickled objects are never read.
"""

import math
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.joining import ConcatReader
from nextpixel.data.sources.npy import (
    DAMAGE,
    Array,
    ArrayFile,
    as_pixels,
    as_several,
    check_form,
    check_range,
    colors_first,
    come_last,
    find_channels,
    moved,
    read_header,
)
from nextpixel.data.splits import (
    Images,
    Indices,
    LazyPixels,
    Whole,
    checksum,
    number_names,
)
from nextpixel.errors import NextPixelError
from nextpixel.runtime.device import require


def load_array(config: DataConfig, path: Path) -> Whole:
    """Load a `.npy` of shape (H, W), (N, H, W), (N, C, H, W) or (N, H, W, C).

    Numbers are pixels, except where they are levels already: with `protocol="levels"`, where
    the array is boolean (2 levels), or where no protocol is given and all are below `levels`, which
    pixels of a picture hardly are. Numbers above 255 are pixels of 16 bits.

    Raises:
        NextPixelError: If a file is damaged or foreign, or its numbers are no pixels.
    """
    return load_arrays(config, [path])


def load_arrays(config: DataConfig, paths: list[Path]) -> Whole:
    """Load several `.npy`, in that order, as if they were one; see `load_array`."""
    files = [_open(path, config) for path in paths]
    _check_alike(files)
    labels = _join_labels(files)
    _set_depth(config, files)
    pixels = LazyPixels(files[0] if len(files) == 1 else ConcatReader(files))
    count = _count_levels(config, files)
    return Whole(Images(pixels, labels), number_names(labels), count, notes=_notes(files, count))


ZIPPED = ("levels", "labels", "level_names")
"""Arrays of a `.npz` that are read."""


def load_zipped(config: DataConfig, path: Path) -> Whole:
    """Load a `.npz` that holds `levels`, and perhaps `labels` and `level_names`, into memory.

    Raises:
        NextPixelError: If it is damaged, or holds no such array.
    """
    found = _unzip(path)
    file = _InMemory(path, config.offset, config.channels, found["levels"])
    _set_depth(config, [file])
    labels = _zipped_labels(path, found, file.shape[0])
    names = tuple(map(str, found.get("level_names", ())))
    images = Images(LazyPixels(file), labels)
    count = _count_levels(config, [file])
    return Whole(images, number_names(labels), count, names, _notes([file], count))


def read_zipped(path: Path) -> tuple[Array, Tensor | None]:
    """The numbers of a `.npz` as it has them, and its labels; errors as in `load_zipped`."""
    found = _unzip(path)
    array = found["levels"]
    check_form(path, array.dtype, array.shape)
    return array, _zipped_labels(path, found, as_several(array.shape)[0])


def _unzip(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as held:
            found = {name: held[name] for name in held.files if name in ZIPPED}
    except (*DAMAGE, zipfile.BadZipFile) as error:
        raise NextPixelError(f"{path}: not a whole .npz file of numbers: {error}") from error
    if "levels" not in found:
        raise NextPixelError(f"{path}: must hold an array named levels")
    return found


def _zipped_labels(path: Path, found: dict[str, Array], count: int) -> Tensor | None:
    return None if "labels" not in found else _as_labels(path, found["labels"], count)


def find_arrays(folder: Path) -> list[Path]:
    """The `.npy` of images in a folder in the order of their names, those of labels left out."""
    found = sorted(path for path in folder.glob("*.npy") if not path.name.startswith("."))
    labels = {labels_path(path) for path in found}
    return [path for path in found if path not in labels]


def channels_for(path: Path, colors: int) -> str | None:
    """Where the colors of a `.npy` are, if it is for a model of so many; None: as ever.

    Raises:
        NextPixelError: If the file is damaged.
    """
    shape = read_header(path).shape if path.suffix.lower() == ".npy" and path.is_file() else ()
    return find_channels(shape[1:], colors, path) if len(shape) == 4 else None


class _InMemory:
    """Images that are read at once: of a `.npz`, or of a `.npy` in Fortran order."""

    def __init__(
        self, path: Path, offset: int, channels: str | None, array: Array | None = None
    ) -> None:
        array = _read_fortran(path) if array is None else array
        check_form(path, array.dtype, array.shape)
        self.path, self.is_boolean = path, array.dtype.kind == "b"
        array = moved(array.reshape(as_several(array.shape)), offset)
        self.highest, self.image = check_range(path, array, 0)
        self.depth = 16 if self.highest > 255 else 8
        self._numbers = colors_first(array, channels, where=path)
        self.is_last = come_last(array.shape, channels)
        count, colors, height, width = self._numbers.shape
        self.shape = (count, colors, height, width)

    def read(self, indices: Indices) -> Tensor:
        return as_pixels(self._numbers[indices], self.depth)

    def checksum(self) -> int:
        return checksum(as_pixels(self._numbers, self.depth))


def _read_fortran(path: Path) -> Array:
    """A `.npy` in Fortran order: no image lies in one piece, so all are read."""
    head = read_header(path)
    check_form(path, head.dtype, head.shape)
    require(
        math.prod(head.shape),
        f"{path}, which is in Fortran order,",
        "save it in C order (numpy.ascontiguousarray), which is read as needed",
    )
    return read_array(path)


_File = ArrayFile | _InMemory


def _open(path: Path, config: DataConfig) -> _File:
    made = _InMemory if read_header(path).fortran else ArrayFile
    return made(path, config.offset, config.channels)


def _set_depth(config: DataConfig, files: list[_File]) -> None:
    """That of the deepest for all; 16 where a dark file's pixels are to have so many levels."""
    deep = config.protocol == "quantized" and (config.levels or 0) > 256
    depth = 16 if deep else max(file.depth for file in files)
    for file in files:
        file.depth = depth


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
    most = 1 << top.depth
    levels = config.levels or most
    if config.protocol == "levels" and top.highest >= levels:
        raise NextPixelError(
            f"{top.path}: levels must be 0 to {levels - 1}, got {top.highest} in image {top.image} "
            "(from 0)"
        )
    more = levels > 256 and top.depth == 8  # levels of a file in which no high one occurs
    guessed = config.protocol is None and (top.highest < levels < most or more)
    return levels if guessed or config.protocol == "levels" else None


def _notes(files: list[_File], level_count: int | None) -> tuple[str, ...]:
    highest, half = max(file.highest for file in files), 1 << files[0].depth - 1
    said = {
        "colors last in the file": files[0].is_last,
        f"no number is above {highest}": level_count is None and highest < half,
    }
    return tuple(note for note, holds in said.items() if holds)


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
    return _as_labels(found, read_array(found), count)


def _as_labels(found: Path, labels: Array, count: int) -> Tensor:
    """Labels of so many images, int64, or an error that names their file."""
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
