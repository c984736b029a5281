"""Files as sources of images: an array, a PNG or a TIFF, or a folder of pictures.

What is read is kept to the pixel: a file whose pixels the model's levels cannot tell apart exactly
is refused, not rounded. Pictures of 16 bits are for models of more than 256 levels, and their
numbers are the levels. A TIFF's colors come back as its pages.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from nextpixel.codec.bands import takes_gray
from nextpixel.codec.chunks import Size
from nextpixel.codec.reader import MOST_PIXELS
from nextpixel.codec.source import Image
from nextpixel.data.load import Kind, kind_of
from nextpixel.data.sources import idx
from nextpixel.data.sources.arrays import read_array, read_labels, read_zipped
from nextpixel.data.sources.folder import list_everywhere
from nextpixel.data.sources.npy import archived_channels, colors_first
from nextpixel.data.sources.pictures import TIFF, read_picture
from nextpixel.errors import NextPixelError
from nextpixel.images import depth_of, quantize, to_pixels
from nextpixel.models import PixelModel

MODES = {1: "L", 3: "RGB"}
"""Of a PNG of 8 bits, by colors."""
LOSSLESS = (".png", *TIFF)

_OPENING = threading.Lock()


class ArraySource:
    """An array of levels or pixels, (H, W), (N, H, W), (N, C, H, W) or (N, H, W, C).

    To its numbers the offset is added. A `.npy` is mapped, not read at once; its labels are those
    of `NAME-labels.npy` in the same folder. A `.npz` and an IDX file come back as a `.npy`.
    """

    def __init__(self, path: Path, kind: Kind, model: PixelModel, offset: int = 0) -> None:
        array, labels = _read_numbers(path, kind)
        if array.dtype.kind not in "biu" or array.ndim not in (2, 3, 4) or not array.size:
            raise NextPixelError(
                f"{path}: must hold integers of shape (H, W), (N, H, W), (N, C, H, W) or "
                f"(N, H, W, C), got {array.dtype} {array.shape}"
            )
        self.path, self.model, self.offset = path, model, offset
        images = array[None] if array.ndim == 2 else array
        self.images = colors_first(images, archived_channels(images.shape))
        _check_colors(path, images, model)
        high = _highest(path, array, offset)
        self.pixels, self.depth = high >= model.levels, depth_of(high + 1)
        self.count = len(self.images)
        self.sizes: list[Size] = [(self.images.shape[2], self.images.shape[3])]
        gray = self.images.shape[1] == 1 < model.colors and takes_gray(model)
        self.gray: Sequence[int] = range(self.count) if gray else ()
        self.condition = read_labels(path, self.count) if kind == "npy" else labels
        self.metadata: Mapping[str, Any] = {
            "kind": "npy",
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            **({"fortran": True} if _is_fortran(array) else {}),
            **({"pixels": True} if self.pixels else {}),
            **({"depth": self.depth} if self.pixels and self.depth > 8 else {}),
            **({"offset": offset} if offset else {}),
        }

    def image(self, number: int) -> Image:
        """Levels of one image, shape (C, H, W)."""
        values = np.asarray(self.images[number]).astype(np.int64) + self.offset
        if not self.pixels:
            return values
        return _to_levels(values, self.model, f"{self.path}, image {number}", self.depth)


class PictureSource:
    """A PNG or TIFF, or a folder of them, with a folder for each class if there are classes."""

    def __init__(self, path: Path, model: PixelModel) -> None:
        self.model = model
        folder = path.is_dir()
        listed = list_everywhere(path) if folder else [(path, None)]
        self.paths = [file for file, _ in listed]
        for file in self.paths:
            _check_kind(file, model)
        self.count = len(self.paths)
        seen = [_look(file) for file in self.paths]
        self.sizes = _shared([size for size, _ in seen])
        gray = [number for number, (_, mode) in enumerate(seen) if mode == "L"]
        self.gray: Sequence[int] = gray if model.colors == 3 and takes_gray(model) else ()
        names = sorted({name for _, name in listed if name is not None})
        labels = [names.index(name) for _, name in listed if name is not None]
        self.condition = torch.tensor(labels) if labels else None
        kind = "png" if self.paths[0].suffix.lower() == ".png" else "tiff"
        self.metadata: Mapping[str, Any] = {"kind": kind}
        if folder:
            relative = [file.relative_to(path).as_posix() for file in self.paths]
            self.metadata = {"kind": "folder", "names": relative}

    def image(self, number: int) -> Image:
        """Levels of one image, shape (C, H, W)."""
        path = self.paths[number]
        colors = 1 if number in self.gray else self.model.colors
        if self.model.levels <= 256 and _is_one_page(path):
            pixels = _read_shallow(path, MODES.get(colors, "L"))
        else:
            pixels = _read_deep(path, self.model)
        planes: Image = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        if planes.shape[0] != colors:
            raise NextPixelError(f"{path}: has {len(planes)} colors, this model has {colors}")
        return planes if self.model.levels > 256 else _to_levels(planes, self.model, str(path))


def open_source(path: Path, model: PixelModel, offset: int = 0) -> ArraySource | PictureSource:
    """What a path holds; `offset` is added to the numbers of a `.npy`.

    Raises:
        NextPixelError: If it is nothing that can be compressed.
    """
    if not path.exists():
        raise NextPixelError(f"{path}: there is no such file or folder")
    kind = kind_of(path)
    if kind in ("npy", "npz", "idx"):
        source: ArraySource | PictureSource = ArraySource(path, kind, model, offset)
    elif kind in ("picture", "pictures"):
        source = PictureSource(path, model)
    else:
        raise NextPixelError(f"{path}: is not written back by decompress; {_remedy(path, model)}")
    if not model.conditioner.conditions:
        source.condition = None  # labels that the model does not take are left where they are
    return source


def _read_numbers(path: Path, kind: Kind) -> tuple[NDArray[Any], torch.Tensor | None]:
    """The numbers of a file as it has them, and the labels that belong to it."""
    if kind == "npz":
        return read_zipped(path)
    if kind == "idx":
        found = idx.read_images(path)
        return found.load()[:, 0].numpy(), found.labels
    return read_array(path), None


def _remedy(path: Path, model: PixelModel) -> str:
    return (
        "as an array it is: numpy.save('images.npy', "
        f"npx.load_images({str(path)!r}, levels={model.levels}).levels)"
    )


def _check_kind(path: Path, model: PixelModel) -> None:
    """Refuse pictures that lose something, or that cannot have the model's colors.

    Raises:
        NextPixelError: Naming the file.
    """
    if path.suffix.lower() not in LOSSLESS:
        raise NextPixelError(
            f"{path}: only PNG and TIFF files are written back to the pixel; {_remedy(path, model)}"
        )
    colors = MODES if model.levels <= 256 else (1,)
    if path.suffix.lower() == ".png" and model.colors not in colors:
        raise NextPixelError(
            f"{path}: a PNG has {' or '.join(map(str, colors))} colors here, this model has "
            f"{model.colors}"
        )


def _check_colors(path: Path, images: NDArray[Any], model: PixelModel) -> None:
    """Refuse images whose colors come last where archives take them to come first.

    Raises:
        NextPixelError: With the remedy.
    """
    last = images.ndim == 4 and images.shape[3] == model.colors != images.shape[1]
    if last and archived_channels(images.shape) == "first":
        raise NextPixelError(
            f"{path}: must have its {model.colors} colors first, (N, C, H, W), to be compressed, "
            f"got {images.shape}; save numpy.moveaxis(array, 3, 1)"
        )


def _highest(path: Path, array: NDArray[Any], offset: int) -> int:
    """The highest number of a `.npy`, with the offset.

    Raises:
        NextPixelError: If one is not 0 to 65535.
    """
    low, high = int(array.min()) + offset, int(array.max()) + offset
    if low < 0 or high > 65535:
        raise NextPixelError(f"{path}: numbers must be 0 to 65535, got {low} to {high}")
    return high


def _to_levels(values: Image, model: PixelModel, where: str, depth: int = 8) -> Image:
    """Levels of pixels.

    Raises:
        NextPixelError: If a pixel lies between two of the model's levels.
    """
    if values.dtype == np.uint8 and model.levels == 256:
        return values
    found = torch.from_numpy(values.astype(np.int64))
    levels = quantize(found, model.levels, depth)
    back = to_pixels(levels, model.levels, depth).long()
    if not torch.equal(back, found):
        wrong = int(found[back != found][0])
        raise NextPixelError(
            f"{where}: this model has {model.levels} levels, and none of them is pixel {wrong}"
        )
    return levels.numpy()


def _read_deep(path: Path, model: PixelModel) -> NDArray[Any]:
    """A TIFF, or a PNG of 16 bits: (H, W) or (H, W, C).

    Raises:
        NextPixelError: If its bits are not those of the model, or a number is no level.
    """
    found = read_picture(path, None)
    bits = 8 * found.dtype.itemsize
    if bits != depth_of(model.levels) or int(found.max()) >= max(model.levels, 256):
        raise NextPixelError(
            f"{path}: must have levels 0 to {model.levels - 1}, in {depth_of(model.levels)} bits, "
            f"for this model, got {int(found.max())} in {bits}"
        )
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Pictures.Image]:
    """A picture, of as many pixels as are coded: Pillow's own limit is lower, and for a process.

    Raises:
        NextPixelError: If it is not a whole picture.
    """
    try:
        with _OPENING:
            before, Pictures.MAX_IMAGE_PIXELS = Pictures.MAX_IMAGE_PIXELS, MOST_PIXELS
            try:
                picture = Pictures.open(path)
            finally:
                Pictures.MAX_IMAGE_PIXELS = before
        with picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


def _is_one_page(path: Path) -> bool:
    with _opened(path) as picture:
        return getattr(picture, "n_frames", 1) == 1


def _read_shallow(path: Path, mode: str) -> NDArray[np.uint8]:
    with _opened(path) as picture:
        if picture.mode != mode:
            raise NextPixelError(
                f"{path}: must be of mode {mode} for this model, got {picture.mode}; "
                "convert it first"
            )
        if "transparency" in picture.info:
            raise NextPixelError(
                f"{path}: must have no transparent color, which is not kept; convert it first"
            )
        return np.asarray(picture, np.uint8)


def _look(path: Path) -> tuple[Size, str]:
    """Height and width of a picture, and its mode; none where its colors are pages."""
    with _opened(path) as picture:
        pages = getattr(picture, "n_frames", 1)
        return (picture.height, picture.width), picture.mode if pages == 1 else ""


def _shared(sizes: list[Size]) -> list[Size]:
    return sizes[:1] if len(set(sizes)) == 1 else sizes


def _is_fortran(array: NDArray[Any]) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous
