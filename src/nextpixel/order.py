r"""Scan orders: the one definition of "before".

An image of shape (C, H, W) is visited sub-pixel by sub-pixel: rows from the top, columns from the
left, and at each pixel the colors in order (R, then G, then B). With steps numbered i = 0, 1, ...,
the model is

.. math:: p(x) = \prod_i p(x_i \mid x_0, \ldots, x_{i-1}).

Everything else in the package (masks, samplers, audits) asks here what comes before what.

That is the raster order. Its mirror images are the raster orders of a turned image, and `turn`
turns it; any other order visits pixel after pixel as its indices say, which are the numbers
0..H*W-1 of the pixels, shape (H, W), the colors of each in turn.

References:
    van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, eq. 1 and 2.
    https://arxiv.org/abs/1601.06759
"""

from collections.abc import Callable, Iterator, Sequence
from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from nextpixel.errors import nearest

Shape = tuple[int, int, int]
"""Colors, height and width of one image."""


def read_shape(shape: object) -> Shape:
    """A shape (C, H, W) as integers.

    Raises:
        ValueError: If it is none.

    Example:
        >>> read_shape([1, 28, 28])
        (1, 28, 28)
    """
    try:
        if isinstance(shape, Sequence) and not isinstance(shape, str):
            colors, height, width = map(index, shape)
            if min(colors, height, width) > 0:
                return colors, height, width
    except (TypeError, ValueError):  # no integers, or not three: refused as others are
        pass
    raise ValueError(
        "shape must be (colors, height, width), each at least 1, such as (1, 28, 28), "
        f"got {shape!r}"
    )


def by_cross(sizes: Sequence[int]) -> str:
    """Sizes as people write them.

    Example:
        >>> by_cross((1, 28, 28))
        '1x28x28'
    """
    return "x".join(map(str, sizes))


def several(count: int, what: str) -> str:
    """A number of things in words.

    Example:
        >>> several(1, "image"), several(2000, "image")
        ('1 image', '2,000 images')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


class Step(NamedTuple):
    """One sub-pixel: where the scan stands."""

    row: int
    column: int
    color: int


def steps(shape: Shape) -> Iterator[Step]:
    """Visit every sub-pixel of an image of `shape` (C, H, W) in scan order.

    Example:
        >>> [tuple(step) for step in steps((1, 2, 2))]
        [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]
    """
    colors, height, width = shape
    for row in range(height):
        for column in range(width):
            for color in range(colors):
                yield Step(row, column, color)


def steps_by_index(indices: Tensor, colors: int) -> Iterator[Step]:
    """Visit every sub-pixel as indices (H, W) say, the colors of each pixel in turn."""
    width = indices.shape[1]
    for pixel in indices.flatten().argsort().tolist():
        row, column = divmod(pixel, width)
        for color in range(colors):
            yield Step(row, column, color)


def index_of(step: Step, shape: Shape) -> int:
    """Number of steps before `step` in an image of `shape` (C, H, W).

    Example:
        >>> index_of(Step(row=1, column=0, color=2), (3, 2, 2))
        8
    """
    colors, _, width = shape
    return (step.row * width + step.column) * colors + step.color


def step_at(index: int, shape: Shape) -> Step:
    """The step with `index` steps before it; the inverse of `index_of`."""
    colors, _, width = shape
    pixel, color = divmod(index, colors)
    return Step(*divmod(pixel, width), color)


def to_sequence(images: Tensor) -> Tensor:
    """Lay images out in scan order, (B, C, H, W) -> (B, C * H * W)."""
    return images.permute(0, 2, 3, 1).flatten(1)


def from_sequence(sequence: Tensor, shape: Shape) -> Tensor:
    """Undo `to_sequence`, (B, C * H * W) -> (B, C, H, W)."""
    colors, height, width = shape
    return sequence.view(-1, height, width, colors).permute(0, 3, 1, 2)


MIRRORS = (
    "rows-from-top-left", "rows-from-top-right", "rows-from-bottom-left", "rows-from-bottom-right",
    "columns-from-top-left", "columns-from-bottom-left", "columns-from-top-right",
    "columns-from-bottom-right",
)  # fmt: skip
"""The raster order and its mirror images, by number; those by columns are of square images."""


def turn(images: Tensor, order: int) -> Tensor:
    """Turn images (..., H, W) so that their raster scan visits the pixels in a mirror order.

    Example:
        >>> turn(torch.tensor([[1, 2], [3, 4]]), MIRRORS.index("columns-from-bottom-left")).tolist()
        [[3, 1], [4, 2]]
    """
    turned = images.transpose(-1, -2) if order & 4 else images
    sides = [side for side, bit in ((-2, 2), (-1, 1)) if order & bit]
    return turned.flip(sides) if sides else turned


def turn_back(images: Tensor, order: int) -> Tensor:
    """Undo `turn`."""
    sides = [side for side, bit in ((-2, 2), (-1, 1)) if order & bit]
    turned = images.flip(sides) if sides else images
    return turned.transpose(-1, -2) if order & 4 else turned


def indices_of(name: str, height: int, width: int) -> Tensor:
    """Number of each pixel in a named order, int64, (H, W): one of `MIRRORS` or `CURVES`.

    "s-curve" goes through rows in turn from the left and from the right, "spiral" inwards from the
    top left, "hilbert" along Hilbert's curve of the least square of a power of two that holds the
    image, without what lies outside. A curve turned to begin in another corner has the name of that
    mirror order at its end, as in "s-curve/columns-from-top-right".

    Raises:
        ValueError: If there is no such order.

    Example:
        >>> indices_of("s-curve", 2, 3).tolist()
        [[0, 1, 2], [5, 4, 3]]
    """
    curve, _, mirror = name.partition("/")
    if name in MIRRORS:
        curve, mirror = "raster", name
    if curve not in ("raster", *CURVES) or mirror not in ("", *MIRRORS):
        raise ValueError(f"there is no order {name!r}; {nearest(name, [*MIRRORS, *CURVES])}")
    number = MIRRORS.index(mirror) if mirror else 0
    sizes = (width, height) if number & 4 else (height, width)
    return turn_back(_indices(CURVE_KEYS[curve](*sizes)), number)


def known_first(known: Tensor, indices: Tensor) -> Tensor:
    """Indices (H, W) of the order that visits the known pixels (H, W) first, else as `indices` say.

    Example:
        >>> known_first(torch.tensor([[False, True]]), indices_of("s-curve", 1, 2)).tolist()
        [[1, 0]]
    """
    return _indices(indices + indices.numel() * (~known).long())


def _indices(keys: Tensor) -> Tensor:
    """The place of each key among all of them, (H, W)."""
    return keys.flatten().argsort(stable=True).argsort().view(keys.shape)


def _raster(height: int, width: int) -> Tensor:
    return torch.arange(height * width).view(height, width)


def _s_curve(height: int, width: int) -> Tensor:
    keys = _raster(height, width)
    keys[1::2] = keys[1::2].flip(-1)
    return keys


def _spiral(height: int, width: int) -> Tensor:
    left = _raster(height, width)
    visited: list[Tensor] = []
    while left.numel():
        visited.append(left[0])
        left = left[1:].rot90()
    return torch.cat(visited).argsort().view(height, width)


def _hilbert(height: int, width: int) -> Tensor:
    side = 1 << max(height - 1, width - 1).bit_length()
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    keys, half = torch.zeros_like(rows), side // 2
    x, y = columns.clone(), rows.clone()
    while half:
        right, below = ((x & half) > 0).long(), ((y & half) > 0).long()
        keys += half * half * ((3 * right) ^ below)
        flipped = (below == 0) & (right == 1)
        x, y = torch.where(flipped, side - 1 - x, x), torch.where(flipped, side - 1 - y, y)
        x, y = torch.where(below == 0, y, x), torch.where(below == 0, x, y)
        half //= 2
    return keys[:height, :width]


CURVE_KEYS: dict[str, Callable[[int, int], Tensor]] = {
    "raster": _raster, "s-curve": _s_curve, "spiral": _spiral, "hilbert": _hilbert,
}  # fmt: skip
CURVES = tuple(CURVE_KEYS)[1:]
"""Further orders by name, for models that take any order."""
