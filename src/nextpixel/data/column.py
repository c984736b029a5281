"""What a column of a Hugging Face data set holds -> 8-bit pixels: pictures, or arrays of numbers.

The first picture of a set says whether it has one color or three, and how large its images are. The
library itself is not imported here.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nextpixel.data.pictures import DAMAGE, to_pixels
from nextpixel.errors import NextPixelError
from nextpixel.order import Shape

Pixels = NDArray[np.uint8]


def decode(read: Callable[[], object], size: int | None, where: str) -> Pixels:
    """Make pixels of one image.

    Args:
        read: Gives what the column holds: a picture, or numbers.
        size: Cut the largest centered square and resize it to size x size; None leaves the size.
        where: What errors call the image.

    Returns:
        (H, W) of an image without colors, else (H, W, 3).

    Raises:
        NextPixelError: If it is neither a whole picture nor 8-bit numbers.
    """
    try:
        value = read()
        if isinstance(value, Image.Image):
            return _of_picture(value, size, where)
    except DAMAGE as error:
        raise NextPixelError(f"{where}: not a whole picture: {error}") from error
    return _of_numbers(value, size, where)


class Form:
    """What all images of a set must be like: the first.

    Attributes:
        shape: Colors, height and width.

    Args:
        first: Pixels of the first image, as `decode` gives them.
        where: What errors call the set.
    """

    def __init__(self, first: Pixels, where: str) -> None:
        height, width = first.shape[:2]
        self.shape: Shape = (1 if first.ndim == 2 else 3, height, width)
        self._where = where

    def planes(self, pixels: Pixels, index: int) -> Pixels:
        """Pixels of an image, as `decode` gives them, in the form of the first: (C, H, W).

        Raises:
            NextPixelError: If it has another size, or colors where the first has none.
        """
        found, gray = (*pixels.shape[:2],), self.shape[0] == 1
        if found != self.shape[1:]:
            raise NextPixelError(
                f"{self._where}: image {index} is {found[1]} x {found[0]} pixels and image 0 is "
                f"{self.shape[2]} x {self.shape[1]}; give `size` to resize all"
            )
        if gray and pixels.ndim == 3:
            raise NextPixelError(
                f"{self._where}: image {index} has colors and image 0 has none; make all alike"
            )
        if pixels.ndim == 2:  # a gray one among colored ones has three equal colors
            return np.broadcast_to(pixels, self.shape)
        return np.moveaxis(pixels, 2, 0)


def _of_picture(picture: Image.Image, size: int | None, where: str) -> NDArray[np.uint8]:
    """Unlike in a folder, a picture in color stays one though all of its pixels be gray."""
    pixels = to_pixels(picture, size, where)
    is_gray = picture.mode in ("1", "L", "LA", "La")
    if is_gray or pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[:, :, None], 3, axis=2)


def _of_numbers(value: object, size: int | None, where: str) -> NDArray[np.uint8]:
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise NextPixelError(f"{where}: neither a picture nor an array of numbers") from error
    if numbers.dtype.kind not in "biu" or numbers.ndim not in (2, 3) or not numbers.size:
        raise NextPixelError(
            f"{where}: must be a picture, or integers of shape (H, W), (C, H, W) or (H, W, C), "
            f"got {numbers.dtype} of shape {numbers.shape}"
        )
    if int(numbers.min()) < 0 or int(numbers.max()) > 255:
        raise NextPixelError(
            f"{where}: numbers must be 0 to 255, got {numbers.min()} to {numbers.max()}"
        )
    if numbers.ndim == 3 and numbers.shape[0] in (1, 3) and numbers.shape[2] not in (1, 3):
        numbers = np.moveaxis(numbers, 0, 2)
    if numbers.ndim == 3 and numbers.shape[2] not in (1, 3):
        raise NextPixelError(f"{where}: must have 1 or 3 colors, got shape {numbers.shape}")
    if numbers.ndim == 3 and numbers.shape[2] == 1:
        numbers = numbers[:, :, 0]
    pixels = np.ascontiguousarray(numbers, np.uint8)
    return pixels if size is None else _of_picture(Image.fromarray(pixels), size, where)
