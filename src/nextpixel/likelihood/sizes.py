"""Images of any sizes: each size by the model at that size, or in tiles of the model's own.

A model that is not tied to its size scores an image of another size as a whole. One that is tied
scores tiles, as the codec does: an image is cut from the top left, what of a tile lies outside is
zeros and is not counted, and tiles do not see each other. That is the likelihood of a model as
well, of one that knows less.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.data import Split
from nextpixel.likelihood.scoring import check_images, check_level_count, part_log_probs, part_masks
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.models.sizes import SLAB, fitting, tied_by
from nextpixel.nn import Value, take

Images: TypeAlias = Split | Tensor | Sequence[Tensor]
"""A part of a data set, levels (N, C, H, W), or levels (C, H, W) of each image."""
OnProgress: TypeAlias = Callable[[int], None]
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Group:
    """Those images of some that have one size.

    Attributes:
        images: All of them.
        shape: (C, H, W) of these.
        numbers: Which they are, int64, (n,).
        whole: Whether they are all.
    """

    images: Images
    shape: tuple[int, ...]
    numbers: Tensor
    whole: bool

    def read(self) -> Split | Tensor:
        """Their levels, (n, C, H, W), or all of a split, whose images may lie in files."""
        if isinstance(self.images, Tensor) or (isinstance(self.images, Split) and self.whole):
            return self.images
        return torch.stack([_image(self.images, number) for number in self.numbers.tolist()])

    def condition(
        self, model: PixelModel, levels: Split | Tensor, value: Value | None
    ) -> Value | None:
        """That of these images, of `value` for all of them; None: what the model makes of them."""
        if value is not None:
            return value if self.whole else take(value, self.numbers, CPU)
        if isinstance(levels, Split) or not isinstance(self.images, Split):
            return None
        labels = self.images.labels
        return model.condition_of(levels, None if labels is None else labels[self.numbers])


def groups_of(model: PixelModel, images: Images) -> list[Group]:
    """Images by size, in the order of the first of each size.

    Raises:
        TypeError: If they are no levels.
        ValueError: If there are none.
    """
    check_model(model)
    check_images(images)
    check_level_count(model, images)
    shapes: list[tuple[int, ...]]
    if isinstance(images, Split):
        shapes = [*images.shapes]
    elif isinstance(images, Tensor):
        shapes = [tuple(images.shape[1:])]
    else:
        shapes = [tuple(image.shape) for image in images]
    if not len(images):
        raise ValueError("images must hold at least one image, got none")
    if len(shapes) < len(images):
        return [Group(images, shapes[0], torch.arange(len(images)), whole=True)]
    numbers: dict[tuple[int, ...], list[int]] = {}
    for number, shape in enumerate(shapes):
        numbers.setdefault(shape, []).append(number)
    return [
        Group(images, shape, torch.tensor(chosen), whole=len(numbers) == 1)
        for shape, chosen in numbers.items()
    ]


def _image(images: Split | Sequence[Tensor], number: int) -> Tensor:
    return images.image(number) if isinstance(images, Split) else images[number]


def tile_of(model: PixelModel, groups: Sequence[Group]) -> tuple[int, int] | None:
    """Height and width of the tiles that some images are cut into; None: all are scored whole."""
    own = all(group.shape == model.shape for group in groups)
    return None if own or not tied_by(model) else model.shape[1:]


def sub_pixels_of(groups: Sequence[Group]) -> Tensor:
    """How many sub-pixels each image has, float64, (N,)."""
    numbers = torch.cat([group.numbers for group in groups]).argsort()
    counts = [torch.full((len(group.numbers),), math.prod(group.shape)) for group in groups]
    return torch.cat(counts)[numbers].double()


def log_probs(
    model: PixelModel,
    images: Images,
    condition: Value | None = None,
    *,
    batch_size: int = 100,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Log-probability of every image in nats, float64, shape (N,); errors as in `evaluate`.

    Of P processes, that of rank r takes the batches r, r + P, ... of those that one process would
    make, so that the bits are the same.
    """
    groups = groups_of(model, images)
    parts = log_probs_by_color(
        model, groups, condition, batch_size=batch_size, on_progress=on_progress
    )
    return parts.sum(1)


def log_probs_by_color(
    model: PixelModel,
    groups: Sequence[Group],
    condition: Value | None,
    *,
    region: Tensor | None = None,
    order: Tensor | None = None,
    batch_size: int,
    on_progress: OnProgress | None,
) -> Tensor:
    """As `log_probs`, of each color given those before it, and then of a region: (N, parts).

    `order` is one as the model takes it; None: its own.
    """
    found, done = [], 0
    for group in groups:
        tell = None if on_progress is None else _counted_from(done, on_progress)
        found.append(_of_group(model, group, condition, region, order, batch_size, tell))
        done += len(group.numbers)
    return torch.cat(found)[torch.cat([group.numbers for group in groups]).argsort()]


def _counted_from(done: int, on_progress: OnProgress) -> OnProgress:
    return lambda count: on_progress(done + count)


def _of_group(
    model: PixelModel,
    group: Group,
    condition: Value | None,
    region: Tensor | None,
    order: Tensor | None,
    batch_size: int,
    on_progress: OnProgress | None,
) -> Tensor:
    levels = group.read()
    condition = group.condition(model, levels, condition)
    own = fitting(model, group.shape)
    if own is not model and batch_size > 0:  # so many as go through the net together
        batch_size = min(batch_size, max(1, SLAB // (group.shape[1] * group.shape[2])))
    if len(group.shape) == 3 and group.shape[0] == own.colors and group.shape != own.shape:
        if isinstance(levels, Split):
            labels, levels = levels.labels, levels.levels
            condition = model.condition_of(levels, labels) if condition is None else condition
        found = _in_tiles(model, levels, condition, order, batch_size)
        if on_progress is not None:
            on_progress(len(found))
        return found
    return part_log_probs(
        own, levels, condition, part_masks(own, region),
        batch_size=batch_size, order=order, on_progress=on_progress,
    )  # fmt: skip


def _in_tiles(
    model: PixelModel,
    levels: Tensor,
    condition: Value | None,
    order: Tensor | None,
    batch_size: int,
) -> Tensor:
    """Log-probabilities of images of another size by color, (n, C), tile by tile.

    Raises:
        ValueError: If the model is conditioned on something, which would be a tile's own.
    """
    tiles, inside = _cut(levels, model), _cut(torch.ones_like(levels[:1]).bool(), model)[0]
    if tiles.shape[1] > 1 and model.conditioner.conditions:
        raise ValueError(
            f"images must be {model.shape[1]}x{model.shape[2]} at most for a model with a "
            f"condition that {tied_by(model)}: tiles have none of their own"
        )
    kinds, which = torch.unique(inside, dim=0, return_inverse=True)  # at the borders, and not
    total = torch.zeros(len(levels), model.colors, dtype=torch.float64)
    for kind, mask in enumerate(kinds):
        some = tiles[:, which == kind]
        found = part_log_probs(
            model, some.flatten(0, 1), condition, part_masks(model) & mask,
            batch_size=batch_size, order=order, on_progress=None,
        )  # fmt: skip
        total += found.view(*some.shape[:2], -1).sum(1)
    return total


def _cut(images: Tensor, model: PixelModel) -> Tensor:
    """Images (n, C, H, W), zeros beyond them, as tiles of the model's size: (n, tiles, C, h, w)."""
    _, height, width = model.shape
    padded = F.pad(images, (0, -images.shape[3] % width, 0, -images.shape[2] % height))
    rows = torch.unflatten(torch.unflatten(padded, 3, (-1, width)), 2, (-1, height))
    return rows.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
