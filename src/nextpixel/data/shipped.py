"""The sets that travel inside the package: MNIST and the small digits."""

from importlib import resources

import numpy as np
import torch

from nextpixel.data import idx
from nextpixel.data.config import DataConfig
from nextpixel.data.parts import (
    Images,
    Parts,
    hold_out_validation,
    number_names,
    split_images,
)

MNIST_VALIDATION = 5000
"""Training images of MNIST held out where nothing else is asked for."""

_FILES = resources.files("nextpixel.data") / "files"


def read_mnist() -> tuple[Images, Images]:
    """The 60,000 training and the 10,000 test images of MNIST, 8-bit, (N, 1, 28, 28), in order.

    References:
        LeCun, Cortes, Burges (1998), The MNIST database of handwritten digits.
    """
    with resources.as_file(_FILES / "mnist") as folder:
        train = idx.read_images(folder / "train-images.idx3-ubyte.xz")
        return train, idx.read_images(folder / "t10k-images.idx3-ubyte.xz")


def load_mnist(config: DataConfig) -> Parts:
    """MNIST in 55,000 train, 5,000 validation (chosen by the seed) and 10,000 test images.

    Raises:
        ValueError: If `config.validation` leaves nothing to train on.
    """
    train, test = read_mnist()
    stay, held = hold_out_validation(
        train, config.validation, default=MNIST_VALIDATION, seed=config.seed
    )
    return Parts(stay, held, test, number_names(test.labels), None)


def load_digits(config: DataConfig) -> Parts:
    """Handwritten digits, 17 levels, (N, 1, 8, 8): 1,797 images, split 80/10/10 by the seed.

    Raises:
        ValueError: If `config.validation` leaves nothing to train on.

    References:
        Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository. https://doi.org/10.24432/C50P49
    """
    with (_FILES / "digits" / "digits.npz").open("rb") as file, np.load(file) as arrays:
        pixels, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    images = Images(pixels.unsqueeze(1), labels.long())
    parts = split_images(images, config.validation, seed=config.seed)
    return Parts(*parts, number_names(images.labels), 17)
