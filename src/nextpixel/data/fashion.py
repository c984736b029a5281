"""Fashion-MNIST from a folder of the user's: four IDX files, checked to be the genuine ones.

The checksums are of what the files hold unpacked, since packing the same bytes again gives other
files.
"""

import hashlib
from pathlib import Path

from nextpixel.data import idx
from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.parts import Parts, hold_out_validation
from nextpixel.errors import NextPixelError

CHECKSUMS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of each file, unpacked."""

CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""Names of the classes, in the order of the labels."""

_VALIDATION = 5000
_REMEDY = (
    "Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist, and "
    "https://github.com/zalandoresearch/fashion-mnist has them"
)


def load_fashion(config: DataConfig) -> Parts:
    """Fashion-MNIST, 8-bit, (N, 1, 28, 28): 55,000 train, 5,000 validation and 10,000 test images.

    Args:
        config: Its `folder` is that of the four files, each raw or packed (`.gz`, `.xz`).

    Raises:
        ValueError: If no folder is given, or `config.validation` leaves nothing to train on.
        NextPixelError: If files are missing, or are not the genuine ones.

    References:
        Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
        Learning Algorithms. https://arxiv.org/abs/1708.07747
    """
    if config.folder is None:
        raise ValueError(
            f"folder must be where the files of fashion-mnist lie, got None; {_REMEDY}"
        )
    files = _find(to_path(config.folder))
    for name, path in files.items():
        _check(path, CHECKSUMS[name])
    train, test = (
        idx.read_images(files[f"{part}-images-idx3-ubyte"]) for part in ("train", "t10k")
    )
    stay, held = hold_out_validation(
        train, config.validation, default=_VALIDATION, seed=config.seed
    )
    return Parts(stay, held, test, CLASSES, None)


def _find(folder: Path) -> dict[str, Path]:
    found = {name: idx.find_packed(folder, name) for name in CHECKSUMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise NextPixelError(f"{folder}: lacks {', '.join(missing)} (or .gz, .xz); {_REMEDY}")
    return {name: path for name, path in found.items() if path is not None}


def _check(path: Path, expected: str) -> None:
    found = hashlib.sha256(idx.unpack(path)).hexdigest()
    if found != expected:
        raise NextPixelError(
            f"{path}: not the file of fashion-mnist: its content has SHA-256 {found}, "
            f"must have {expected}; to use other files, give their folder as the name"
        )
