"""Parts of images, and images turned over: what training draws anew each time.

Training on parts lets images be larger than the network, and of different sizes: each time an image
is read, a part of it is drawn. Validation and test images are cut into fixed tiles from the top
left; what no whole tile covers is left out, and said.

Mirrored images are right where up and down, or left and right, mean nothing: of cells and stars,
not of digits.
"""

import warnings

import torch
from torch import Tensor

from nextpixel.data.splits import Images, LazyPixels, LoosePixels, Pixels, Splits
from nextpixel.errors import NextPixelError


def cut(splits: Splits, crop: int, name: str, *, crops: int = 1) -> Splits:
    """Training images to be read in random parts, `crops` of each an epoch, the others in tiles.

    Raises:
        NextPixelError: If an image is smaller than a part.
    """
    parts = {"validation": splits.validation, "test": splits.test}
    validation, test = (
        tile(parts[part], crop, f"{name}/{part}") for part in ("validation", "test")
    )
    labels = splits.train.labels
    train = Images(
        LoosePixels([*_loose(splits.train.pixels, crop, f"{name}/train").images] * crops, crop),
        None if labels is None else labels.repeat(crops),
    )
    return Splits(
        train, validation, test, splits.class_names, splits.level_count, splits.level_names
    )


def tile(images: Images, crop: int, name: str) -> Images:
    """Whole tiles of images, to measure; errors as in `cut`."""
    return _tiled(_loose(images.pixels, crop, name), images.labels, name)


def _loose(pixels: Pixels, crop: int, where: str) -> LoosePixels:
    if isinstance(pixels, LazyPixels):
        pixels = pixels.load()
    images = pixels.images if isinstance(pixels, LoosePixels) else list(pixels)
    for number, image in enumerate(images):
        if min(image.shape[1:]) < crop:
            raise NextPixelError(
                f"{where}: image {number} (from 0) has {image.shape[1]} x {image.shape[2]} pixels, "
                f"fewer than crop {crop}"
            )
    return LoosePixels(images, crop)


def _tiled(loose: LoosePixels, labels: Tensor | None, where: str) -> Images:
    """All whole tiles of the images, image by image, each with its image's label."""
    size, tiles, kept = loose.crop or 1, [], []
    for image in loose.images:
        rows, columns = image.shape[1] // size, image.shape[2] // size
        whole = image[:, : rows * size, : columns * size]
        parts = whole.unfold(1, size, size).unfold(2, size, size)
        tiles.append(parts.permute(1, 2, 0, 3, 4).flatten(0, 1))
        kept.append(rows * columns)
    covered, every = sum(kept) * size**2, sum(image[0].numel() for image in loose.images)
    if covered < every:
        warnings.warn(
            f"{where}: {1 - covered / every:.1%} of the pixels lie in no whole tile of {size} x "
            f"{size} and are left out",
            stacklevel=2,
        )
    counts = torch.tensor(kept)
    return Images(
        torch.cat(tiles).contiguous(), None if labels is None else labels.repeat_interleave(counts)
    )


def flipped(images: Tensor, how: str, rng: torch.Generator) -> Tensor:
    """Images (n, C, H, W), each mirrored or turned at random: see `data.config.DataConfig.flip`."""
    ways = torch.randint(8 if how == "dihedral" else 2, (len(images),), generator=rng)
    if how == "horizontal":
        return torch.where(ways.bool()[:, None, None, None], images.flip(3), images)
    made = []
    for image, way in zip(images, ways.tolist(), strict=True):
        turned = torch.rot90(image, way % 4, (1, 2))
        made.append(turned.flip(2) if way >= 4 else turned)
    return torch.stack(made)
