"""Images on their way into an archive: what a source must say of them, and what it may not hold."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nextpixel.codec.chunks import Size
from nextpixel.models import PixelModel
from nextpixel.nn import Value

Image = NDArray[Any]
"""Levels (C, H, W), integers."""


class Source(Protocol):
    """Images to be coded."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def sizes(self) -> list[Size]:
        """Height and width of each, or one for all."""

    @property
    def condition(self) -> Value | None:
        """What the model is conditioned on, one entry an image."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it takes to write them back."""

    @property
    def gray(self) -> Sequence[int]:
        """Numbers of the images that have one color where the model has more."""

    def image(self, number: int) -> Image:
        """Levels of one image, shape (C, H, W), of a gray one (1, H, W)."""


class Checked:
    """Images of a source that are what the model can code.

    The last image is kept: several bands of it may be wanted, by several threads.

    Args:
        source: The source.
        model: The model.
    """

    def __init__(self, source: Source, model: PixelModel) -> None:
        self._source, self._model, self._lock = source, model, threading.Lock()
        self._number, self._image = -1, np.zeros((0, 0, 0), np.uint8)

    def image(self, number: int) -> Image:
        """Levels of one image.

        Raises:
            ValueError: If it has another size or other colors than the source says, or a level that
                the model does not have.
        """
        with self._lock:
            if number != self._number:
                self._image = self._checked(self._source.image(number), number)
                self._number = number
            return self._image

    def _checked(self, image: Image, number: int) -> Image:
        sizes, levels = self._source.sizes, self._model.levels
        colors = 1 if number in self._source.gray else self._model.colors
        if image.shape != (colors, *sizes[number if len(sizes) > 1 else 0]):
            raise ValueError(f"images must have {colors} colors, got shape {image.shape}")
        if image.size and not 0 <= image.min() <= image.max() < levels:
            raise ValueError(
                f"levels must be 0..{levels - 1} for this model, got {image.min()}..{image.max()}"
            )
        return image
