"""IDX files: the format of MNIST and of sets made in its likeness, raw, gzip'ed or xz'ed.

A file is two zero bytes, a type (8: unsigned bytes, the only one read), the number of dimensions,
each dimension as a big-endian 32-bit integer, and then the bytes. Images have three dimensions,
labels one. Labels are found by name: those of `x-images-idx3-ubyte` are in `x-labels-idx1-ubyte`,
both with or without `.gz` or `.xz`.
"""

import gzip
import lzma
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.splits import (
    Images,
    Splits,
    Whole,
    hold_out_validation,
    number_names,
    tenth_held_out,
)
from nextpixel.errors import NextPixelError

_MAGIC = b"\0\0\x08"
_PACKINGS = ("", ".gz", ".xz")


def read_idx(path: Path) -> Tensor:
    """Read the bytes of an IDX file.

    Args:
        path: A raw file, or one that ends in `.gz` or `.xz`.

    Returns:
        uint8 of the shape that the file states.

    Raises:
        NextPixelError: If the file cannot be read, is no IDX file of bytes, or is not as long as it
            states.
    """
    content = unpack(path)
    shape = _read_shape(path, content)
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise NextPixelError(
            f"{path}: truncated or damaged: {len(content)} bytes, its header states {expected}"
        )
    pixels = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(pixels.copy())


def _read_shape(path: Path, content: bytes) -> list[int]:
    if content[:3] != _MAGIC:
        raise NextPixelError(f"{path}: not an IDX file of unsigned bytes")
    sizes = content[4 : 4 + 4 * content[3]] if len(content) > 3 else b""
    if not sizes or len(sizes) != 4 * content[3]:
        raise NextPixelError(f"{path}: truncated or damaged: its header ends too early")
    return [int(size) for size in np.frombuffer(sizes, ">u4")]


def unpack(path: Path) -> bytes:
    """What a file holds, unpacked by its ending.

    Raises:
        NextPixelError: If it cannot be read.
    """
    method = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)
    try:
        return method(path.read_bytes())
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise NextPixelError(f"{path}: cannot be read: {error}") from error


def is_idx(path: Path) -> bool:
    """Whether a file's name or its first bytes are those of an IDX file."""
    if path.suffix in _PACKINGS[1:] or "ubyte" in path.name or "idx" in path.suffix:
        return True
    with path.open("rb") as file:
        return file.read(3) == _MAGIC


def read_images(path: Path) -> Images:
    """Read an IDX file of images, and their labels where the file of them is in the same folder.

    Returns:
        Images of shape (N, 1, H, W).

    Raises:
        NextPixelError: If a file is damaged or foreign, or does not belong to the other.
    """
    pixels = read_idx(path)
    if pixels.dim() != 3 or not pixels.numel():
        shape = tuple(pixels.shape)
        raise NextPixelError(f"{path}: images must have shape (N, H, W), none 0, got {shape}")
    found = _find_labels(path)
    labels = None if found is None else _read_labels(found, len(pixels))
    return Images(pixels.unsqueeze(1), labels)


def _read_labels(path: Path, count: int) -> Tensor:
    labels = read_idx(path)
    if labels.shape != (count,):
        shape = tuple(labels.shape)
        raise NextPixelError(f"{path}: labels must be one for each of {count} images, got {shape}")
    return labels.long()


def _find_labels(path: Path) -> Path | None:
    if "images" not in path.name:
        return None
    name = path.name.removesuffix(".gz").removesuffix(".xz")
    return find_packed(path.parent, name.replace("images", "labels").replace("idx3", "idx1"))


def find_packed(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, as it is or with the ending of a packing; None if none."""
    candidates = (folder / (name + packing) for packing in _PACKINGS)
    return next((path for path in candidates if path.is_file()), None)


def find_set(folder: Path) -> tuple[Path, Path] | None:
    """The files of training and of test images in a folder named as MNIST's are, or None."""
    for joint in (".", "-"):
        train = find_packed(folder, f"train-images{joint}idx3-ubyte")
        test = find_packed(folder, f"t10k-images{joint}idx3-ubyte")
        if train is not None and test is not None:
            return train, test
    return None


def load_set(config: DataConfig, folder: Path) -> Splits:
    """Load a set with one file of training and one of test images, as MNIST has.

    Args:
        config: Its `validation` and `seed` are used.
        folder: Of the files, named as MNIST's are.

    Raises:
        NextPixelError: If a file is damaged or foreign, does not belong to the other, or is not
            there.
        ValueError: If `config.validation` leaves nothing to train on.
    """
    files = find_set(folder)
    if files is None:
        raise NextPixelError(f"{folder}: lacks files of images named as MNIST's are")
    train, test = (read_images(path) for path in files)
    if train.shape != test.shape or (train.labels is None) != (test.labels is None):
        raise NextPixelError(f"{files[1]}: not of the image size of {files[0].name}, or no labels")
    stay, away = hold_out_validation(train, config.validation, seed=config.seed)
    names, notes = number_names(train.labels, test.labels), tenth_held_out(config.validation)
    return Splits(stay, away, test, names, None, notes=notes)


def load_file(path: Path) -> Whole:
    """Load one IDX file of images.

    Raises:
        NextPixelError: If a file is damaged or foreign, or does not belong to the other.
    """
    images = read_images(path)
    return Whole(images, number_names(images.labels), None)
