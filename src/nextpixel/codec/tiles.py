"""Images of any size as tiles of one size: what a chunk holds.

An image that the model takes as it is, is one tile. A larger one, for a model that is tied to its
size, is cut from the top left; what of a tile lies outside the image is known to both sides, is 0,
and costs nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]


class Tiles:
    """Where each tile lies.

    Args:
        sizes: Height and width of every image, or one size for all.
        images: How many.
        tile: Height and width of a tile.

    Example:
        >>> tiles = Tiles([(5, 4)], images=2, tile=(4, 4))
        >>> tiles.count, tiles.place(1), tiles.of_images(1, 2)
        (4, (0, 4, 0), (2, 4))
    """

    def __init__(self, sizes: Sequence[Size], images: int, tile: Size) -> None:
        self.sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
        self.images, self.tile = images, tile
        across = -(-self.sizes // np.asarray(tile))
        counts = np.broadcast_to(across.prod(axis=1), (images,))
        self._across = across[:, 1]
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @property
    def count(self) -> int:
        """How many tiles all images have."""
        return int(self._starts[-1])

    @property
    def pixels(self) -> int:
        """How many pixels all images have."""
        return int(np.broadcast_to(self.sizes.prod(axis=1), (self.images,)).sum())

    def size(self, image: int) -> Size:
        """Height and width of an image."""
        height, width = self.sizes[image if len(self.sizes) > 1 else 0]
        return int(height), int(width)

    def place(self, number: int) -> tuple[int, int, int]:
        """The image that a tile is of, and the row and column where it begins."""
        image = int(np.searchsorted(self._starts, number, "right")) - 1
        within = number - int(self._starts[image])
        across = int(self._across[image if len(self._across) > 1 else 0])
        return image, within // across * self.tile[0], within % across * self.tile[1]

    def of_images(self, first: int, last: int) -> tuple[int, int]:
        """The tiles of images first..last-1, as first and last + 1."""
        return int(self._starts[first]), int(self._starts[last])

    def needless(self, first: int, last: int, colors: int) -> NDArray[np.bool_]:
        """What of tiles first..last-1 lies outside their images, shape (n, colors, h, w)."""
        outside = np.zeros((last - first, colors, *self.tile), bool)
        for number in range(first, last):
            image, top, left = self.place(number)
            height, width = self.size(image)
            outside[number - first, :, max(0, height - top) :] = True
            outside[number - first, :, :, max(0, width - left) :] = True
        return outside
