"""CIFAR-10 in its binary form, from a folder of the user's.

A record is 3,073 bytes: the label, then 1,024 bytes each of red, green and blue, row by row. The
pickled form is never read, because unpickling a file runs what it says.
"""

from pathlib import Path

import numpy as np
import torch

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.splits import Images, Splits, hold_out_validation
from nextpixel.errors import NextPixelError

TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
"""Files of training images, 10,000 each."""

TEST_FILE = "test_batch.bin"
"""The file of test images, 10,000."""

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""Names of the classes, in the order of the labels."""

_RECORD = 1 + 3 * 32 * 32
_VALIDATION = 5000
_REMEDY = "unpack cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html"


def load_cifar10(config: DataConfig) -> Splits:
    """CIFAR-10, 8-bit, (N, 3, 32, 32): 45,000 train, 5,000 validation and 10,000 test images.

    Args:
        config: Its `folder` is that of the binary files, or the one that holds their folder
            `cifar-10-batches-bin`.

    Raises:
        ValueError: If no folder is given, or `config.validation` leaves nothing to train on.
        NextPixelError: If files are missing or damaged.

    References:
        Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
    """
    if config.folder is None:
        raise ValueError(f"folder must be where the files of cifar10 lie, got None; {_REMEDY}")
    folder = to_path(config.folder)
    inner = folder / "cifar-10-batches-bin"
    return load_folder(config, inner if inner.is_dir() else folder)


def holds_cifar10(folder: Path) -> bool:
    """Whether a folder looks like that of the binary files."""
    return (folder / TRAIN_FILES[0]).is_file()


def load_folder(config: DataConfig, folder: Path) -> Splits:
    """Load the six binary files of a folder; see `load_cifar10`."""
    _check_files(folder)
    batches = [read_batch(folder / name) for name in TRAIN_FILES]
    pixels = torch.cat([batch.load() for batch in batches])
    labels = torch.cat([batch.labels for batch in batches if batch.labels is not None])
    stay, away = hold_out_validation(
        Images(pixels, labels), config.validation, default=_VALIDATION, seed=config.seed
    )
    return Splits(stay, away, read_batch(folder / TEST_FILE), CLASSES, None)


def _check_files(folder: Path) -> None:
    missing = [name for name in (*TRAIN_FILES, TEST_FILE) if not (folder / name).is_file()]
    if not missing:
        return
    pickled = (folder / "data_batch_1").is_file()
    note = " (the files there are of the pickled form, which is not read)" if pickled else ""
    raise NextPixelError(f"{folder}: lacks {', '.join(missing)}{note}; {_REMEDY}")


def read_batch(path: Path) -> Images:
    """Read one binary file.

    Returns:
        Images of shape (N, 3, 32, 32) with labels.

    Raises:
        NextPixelError: If the file cannot be read, has no whole number of records or a label
            above 9.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NextPixelError(f"{path}: cannot be read: {error}") from error
    if not content or len(content) % _RECORD:
        raise NextPixelError(
            f"{path}: truncated or foreign: {len(content)} bytes, not records of {_RECORD}"
        )
    records = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(-1, _RECORD).copy())
    labels = records[:, 0].long()
    if int(labels.max()) >= len(CLASSES):
        raise NextPixelError(f"{path}: foreign: it has a label {int(labels.max())}, above 9")
    return Images(records[:, 1:].reshape(-1, 3, 32, 32), labels)
