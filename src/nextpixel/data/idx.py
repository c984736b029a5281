"""IDX files: the format of MNIST and of sets made in its likeness, raw, gzip'ed or xz'ed.

A file is two zero bytes, a type (8: unsigned bytes, the only one read), the number of dimensions, each
dimension as a big-endian 32-bit integer, and then the bytes. Images have three dimensions, labels one.
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
from nextpixel.data.parts import Images, Parts, hold_out_validation, split_images
from nextpixel.errors import NextPixelError

_ENDINGS = ("", ".gz", ".xz")


def read_idx(path: Path) -> Tensor:
    """Read the bytes of an IDX file.

    Args:
        path: A raw file, or one that ends in `.gz` or `.xz`.

    Returns:
        uint8 of the shape the file states.

    Raises:
        NextPixelError: If the file cannot be read, is no IDX file of bytes, or has not the length it states.
    """
    content = _unpack(path)
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise NextPixelError(f"{path}: not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = (
        [int(size) for size in np.frombuffer(content[4:start], ">u4")]
        if len(content) >= start
        else []
    )
    if len(content) != start + math.prod(shape) or not shape:
        raise NextPixelError(
            f"{path}: truncated or damaged: {len(content)} bytes, not the {start + math.prod(shape)} "
            "that its header states"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


def _unpack(path: Path) -> bytes:
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise NextPixelError(f"{path}: cannot be read: {error}") from error
    return content


def read_images(path: Path) -> Images:
    """Read an IDX file of images, and its labels where they lie beside it.

    The labels of `x-images-idx3-ubyte.gz` are `x-labels-idx1-ubyte`, with or without `.gz` or `.xz`.

    Returns:
        Images of shape (N, 1, H, W).

    Raises:
        NextPixelError: If a file is damaged or foreign, or images and labels do not belong together.
    """
    pixels = read_idx(path)
    if pixels.dim() != 3 or not pixels.numel():
        raise NextPixelError(
            f"{path}: images must have 3 dimensions, none of them 0, got shape {tuple(pixels.shape)}"
        )
    labels_path = find_labels(path)
    labels = None if labels_path is None else _read_labels(labels_path, len(pixels))
    return Images(pixels.unsqueeze(1), labels)


def _read_labels(path: Path, count: int) -> Tensor:
    labels = read_idx(path)
    if labels.shape != (count,):
        raise NextPixelError(
            f"{path}: labels must be one for each of {count} images, got shape {tuple(labels.shape)}"
        )
    return labels.long()


def find_labels(path: Path) -> Path | None:
    """The file of labels beside a file of images, or None."""
    if "images" not in path.name:
        return None
    stem = path.name.removesuffix(".gz").removesuffix(".xz")
    name = stem.replace("images", "labels").replace("idx3", "idx1")
    return _find(path.parent, name)


def _find(folder: Path, name: str) -> Path | None:
    found = (folder / (name + ending) for ending in _ENDINGS)
    return next((path for path in found if path.is_file()), None)


def find_set(folder: Path) -> tuple[Path, Path] | None:
    """The files of training and of test images in a folder that is laid out as MNIST's, or None."""
    for joint in (".", "-"):
        names = [f"{part}-images{joint}idx3-ubyte" for part in ("train", "t10k")]
        train, test = (_find(folder, name) for name in names)
        if train is not None and test is not None:
            return train, test
    return None


def load_set(
    config: DataConfig, files: tuple[Path, Path], default_validation: int | None = None
) -> Parts:
    """Load a set that has a file of training and a file of test images, as MNIST has.

    Raises:
        NextPixelError: If a file is damaged or foreign, or the two do not belong together.
        ValueError: If `config.validation` leaves nothing to train on.
    """
    train, test = (read_images(path) for path in files)
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise NextPixelError(
            f"{files[1]}: its images have not the size of those in {files[0].name}"
        )
    if (train.labels is None) != (test.labels is None):
        raise NextPixelError(
            f"{files[1].parent}: labels of one of {files[0].name}, {files[1].name} are missing"
        )
    fit, held = hold_out_validation(
        train, config.validation, default=default_validation, seed=config.seed
    )
    return Parts(fit, held, test, class_names(train.labels, test.labels), None)


def load_file(config: DataConfig, path: Path) -> Parts:
    """Load one IDX file of images, split 80/10/10 by the seed.

    Raises:
        NextPixelError: If a file is damaged or foreign.
        ValueError: If there is too little to split.
    """
    images = read_images(path)
    return Parts(
        *split_images(images, config.validation, seed=config.seed), class_names(images.labels), None
    )


def class_names(*labels: Tensor | None) -> tuple[str, ...]:
    """Names for labels that are numbers only: "0" up to the largest; none where there are no labels."""
    largest = [int(some.max()) for some in labels if some is not None]
    return tuple(str(label) for label in range(max(largest, default=-1) + 1))
