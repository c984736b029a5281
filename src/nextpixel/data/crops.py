"""Parts of images, and images turned over: what training draws anew each time.

Training on parts lets images be larger than the network, and of different sizes: each time an image
is read, a part of it is drawn. Validation and test images are cut into fixed tiles from the top
left; what no whole tile covers is left out, and said.

Mirrored images are right where up and down, or left and right, mean nothing: of cells and stars,
not of digits.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nextpixel.data.splits import Images, LazyPixels, LoosePixels, Pixels, Splits
from nextpixel.errors import NextPixelError


def cut(splits: Splits, crop: int, name: str, *, crops: int = 1) -> Splits:
    """Training images to be read in random parts, `crops` of each an epoch, the others in tiles.

    Raises:
        NextPixelError: If an image is smaller than a part.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    loose = {part: _loose(images.pixels, crop) for part, images in parts.items()}
    _check_sizes({f"{name}/{part}": of for part, of in loose.items()}, crop)
    validation, test = (
        _tiled(loose[part], parts[part].labels, f"{name}/{part}") for part in ("validation", "test")
    )
    labels = splits.train.labels
    train = Images(
        LoosePixels([*loose["train"].images] * crops, crop),
        None if labels is None else labels.repeat(crops),
    )
    note = (
        f"{len(splits.train):,} training images read in random parts of {crop} x {crop}, {crops} "
        f"of each an epoch; {len(splits.validation):,} validation and {len(splits.test):,} test "
        "images cut into tiles"
    )
    notes = (*splits.notes, note)
    return replace(splits, train=train, validation=validation, test=test, notes=notes)


def tile(images: Images, crop: int, name: str) -> Images:
    """Whole tiles of images, to measure; errors as in `cut`."""
    loose = _loose(images.pixels, crop)
    _check_sizes({name: loose}, crop)
    return _tiled(loose, images.labels, name)


def _loose(pixels: Pixels, crop: int) -> LoosePixels:
    if isinstance(pixels, LazyPixels):
        pixels = pixels.load()
    return LoosePixels(pixels.images if isinstance(pixels, LoosePixels) else list(pixels), crop)


def _check_sizes(loose: Mapping[str, LoosePixels], crop: int) -> None:
    """Refuse images smaller than a part, with the size of parts that all of them have.

    Raises:
        NextPixelError: Naming the first.
    """
    sides = {part: [min(image.shape[1:]) for image in of.images] for part, of in loose.items()}
    least = min(side for each in sides.values() for side in each)
    for part, each in sides.items():
        number = next((number for number, side in enumerate(each) if side < crop), None)
        if number is not None:
            _, height, width = loose[part].images[number].shape
            raise NextPixelError(
                f"{part}: image {number} (from 0) has {height} x {width} pixels, fewer than "
                f"crop {crop}; --data.crop {least} takes all images, or leave out the smaller ones"
            )


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
