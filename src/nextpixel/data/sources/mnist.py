"""Handwritten digits, which travel inside the package, and Fashion-MNIST, from a folder of yours.

`color-mnist` is MNIST with each digit in random ink on random paper, 4 levels a color. The colors
of an image are a function of the seed and of its place in MNIST's own file, whatever is held out
and however few images are asked for. The gray of a stroke's edge mixes ink and paper.
"""

import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.sources import idx
from nextpixel.data.sources.shapes import LEVELS, draw_colors, paint
from nextpixel.data.splits import (
    Images,
    Splits,
    Whole,
    hold_out,
    hold_out_validation,
    number_names,
    rng_of,
)
from nextpixel.errors import NextPixelError

FASHION_FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Files of Fashion-MNIST and the SHA-256 of their content, unpacked: packing differs."""

FASHION_CLASSES = (
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
_FILES = resources.files("nextpixel.data") / "files"
_REMEDY = (
    "Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist, and "
    "https://github.com/zalandoresearch/fashion-mnist has them"
)


def read_mnist() -> tuple[Images, Images]:
    """The 60,000 training and the 10,000 test images of MNIST, 8-bit, (N, 1, 28, 28), in order.

    References:
        LeCun, Cortes, Burges (1998), The MNIST database of handwritten digits.
    """
    with resources.as_file(_FILES / "mnist") as folder:
        train = idx.read_images(folder / "train-images.idx3-ubyte.xz")
        return train, idx.read_images(folder / "t10k-images.idx3-ubyte.xz")


def load_mnist(config: DataConfig) -> Splits:
    """MNIST in 55,000 train, 5,000 validation (chosen by the seed) and 10,000 test images.

    Raises:
        ValueError: If `config.validation` leaves nothing to train on.
    """
    train, test = read_mnist()
    stay, away = hold_out_validation(
        train, config.validation, default=_VALIDATION, seed=config.seed
    )
    return Splits(stay, away, test, number_names(test.labels), None)


def load_color_mnist(config: DataConfig) -> Splits:
    """Colored MNIST, 4 levels, (N, 3, 28, 28), divided as `mnist` is.

    Raises:
        ValueError: If `config.validation` leaves nothing to train on.
    """
    train, test = read_mnist()
    held_out = _VALIDATION if config.validation is None else config.validation
    stay, away = hold_out(len(train), held_out, seed=config.seed)
    return Splits(
        _color(train, stay[: config.limit], rng_of(config.seed, "color", "train")),
        _color(train, away[: config.limit], rng_of(config.seed, "color", "train")),
        _color(test, torch.arange(len(test))[: config.limit], rng_of(config.seed, "color", "test")),
        number_names(test.labels),
        LEVELS,
    )


def _color(images: Images, indices: Tensor, rng: torch.Generator) -> Images:
    ink, paper = draw_colors(len(images), rng)
    gray = images.select(indices)
    return Images(paint(gray.load(), ink[indices], paper[indices]), gray.labels)


def load_digits(config: DataConfig) -> Whole:
    """Handwritten digits, 17 levels, (N, 1, 8, 8): 1,797 images in one piece.

    References:
        Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository. https://doi.org/10.24432/C50P49
    """
    with (_FILES / "digits" / "digits.npz").open("rb") as file, np.load(file) as arrays:
        pixels, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    images = Images(pixels.unsqueeze(1), labels.long())
    return Whole(images, number_names(images.labels), 17)


def load_fashion(config: DataConfig) -> Splits:
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
    files = _find_fashion(to_path(config.folder))
    for name, path in files.items():
        _check_genuine(path, FASHION_FILES[name])
    train = idx.read_images(files["train-images-idx3-ubyte"])
    test = idx.read_images(files["t10k-images-idx3-ubyte"])
    stay, away = hold_out_validation(
        train, config.validation, default=_VALIDATION, seed=config.seed
    )
    return Splits(stay, away, test, FASHION_CLASSES, None)


def _find_fashion(folder: Path) -> dict[str, Path]:
    found = {name: idx.find_packed(folder, name) for name in FASHION_FILES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise NextPixelError(f"{folder}: lacks {', '.join(missing)} (or .gz, .xz); {_REMEDY}")
    return {name: path for name, path in found.items() if path is not None}


def _check_genuine(path: Path, expected: str) -> None:
    found = hashlib.sha256(idx.unpack(path)).hexdigest()
    if found != expected:
        raise NextPixelError(
            f"{path}: not the file of fashion-mnist: its content has SHA-256 {found}, "
            f"must have {expected}; to use other files, give their folder as the name"
        )
