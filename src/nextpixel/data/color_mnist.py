"""MNIST in color: each digit in random ink on random paper, 4 levels a color.

The colors of an image are a function of the seed and of its place in MNIST's own file, whatever is
held out and however few images are asked for. The gray of a stroke's edge mixes ink and paper.
"""

import torch
from torch import Tensor

from nextpixel.data.colors import LEVELS, draw_colors, paint
from nextpixel.data.config import DataConfig
from nextpixel.data.parts import Images, Parts, hold_out, number_names
from nextpixel.data.seeds import rng_of
from nextpixel.data.shipped import MNIST_VALIDATION, read_mnist


def load_color_mnist(config: DataConfig) -> Parts:
    """Colored MNIST, 4 levels, (N, 3, 28, 28), divided as `mnist` is.

    Raises:
        ValueError: If `config.validation` leaves nothing to train on.
    """
    train, test = read_mnist()
    held = MNIST_VALIDATION if config.validation is None else config.validation
    stay, away = hold_out(len(train), held, seed=config.seed)
    return Parts(
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
