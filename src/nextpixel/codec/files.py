"""Files as sources of images, and back: a `.npy`, a PNG or a TIFF, or a folder of those.

What is read is kept to the pixel: a file whose pixels the model's levels cannot tell apart exactly
is refused, not rounded. Pictures of 16 bits are for models of more than 256 levels, and their
numbers are the levels. A TIFF's colors come back as its pages.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from nextpixel.codec.archive import Image
from nextpixel.codec.chunks import Size
from nextpixel.data.sources.arrays import labels_path, read_array, read_labels
from nextpixel.data.sources.folder import TIFF, list_pictures, read_picture
from nextpixel.data.sources.npy import colors_first
from nextpixel.errors import NextPixelError
from nextpixel.images import depth_of, quantize, to_pixels
from nextpixel.models import PixelModel

MODES = {1: "L", 3: "RGB"}
"""Of a PNG of 8 bits, by colors."""
LOSSLESS = (".png", *TIFF)


class ArraySource:
    """A `.npy` of levels or pixels, (H, W), (N, H, W), (N, C, H, W) or (N, H, W, C).

    To its numbers the offset is added. It is mapped, not read at once. Labels are those of
    `NAME-labels.npy` in the same folder.
    """

    def __init__(self, path: Path, model: PixelModel, offset: int = 0) -> None:
        array = read_array(path)
        if array.dtype.kind not in "biu" or array.ndim not in (2, 3, 4) or not array.size:
            raise NextPixelError(
                f"{path}: must hold integers of shape (H, W), (N, H, W), (N, C, H, W) or "
                f"(N, H, W, C), got {array.dtype} {array.shape}"
            )
        self.path, self.model, self.offset = path, model, offset
        self.images = colors_first(array[None] if array.ndim == 2 else array)
        high = _highest(path, array, offset)
        self.pixels, self.depth = high >= model.levels, depth_of(high + 1)
        self.count = len(self.images)
        self.sizes: list[Size] = [(self.images.shape[2], self.images.shape[3])]
        self.condition = read_labels(path, self.count)
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
        listed = list_pictures(path) if folder else [(path, None)]
        self.paths = [file for file, _ in listed]
        for file in self.paths:
            _check_kind(file, model)
        self.count = len(self.paths)
        self.sizes = _shared([_size(file) for file in self.paths])
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
        if self.model.levels <= 256 and _is_one_page(path):
            pixels = _read_shallow(path, MODES.get(self.model.colors, "L"))
        else:
            pixels = _read_deep(path, self.model)
        planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        if planes.shape[0] != self.model.colors:
            raise NextPixelError(
                f"{path}: has {len(planes)} colors, this model has {self.model.colors}"
            )
        found: Image = planes.astype(np.int64)
        return found if self.model.levels > 256 else _to_levels(found, self.model, str(path))


def open_source(path: Path, model: PixelModel, offset: int = 0) -> ArraySource | PictureSource:
    """What a path holds; `offset` is added to the numbers of a `.npy`.

    Raises:
        NextPixelError: If it is nothing that can be compressed.
    """
    if path.suffix.lower() == ".npy":
        source: ArraySource | PictureSource = ArraySource(path, model, offset)
    elif path.suffix.lower() in LOSSLESS or path.is_dir():
        source = PictureSource(path, model)
    elif not path.exists():
        raise NextPixelError(f"{path}: there is no such file or folder")
    else:
        raise NextPixelError(f"{path}: must be a .npy, a .png, a .tif or a folder of these")
    if not model.conditioner.conditions:
        source.condition = None  # labels that the model does not take are left where they are
    return source


def _check_kind(path: Path, model: PixelModel) -> None:
    """Refuse pictures that lose something, or that cannot have the model's colors.

    Raises:
        NextPixelError: Naming the file.
    """
    if path.suffix.lower() not in LOSSLESS:
        raise NextPixelError(f"{path}: only PNG and TIFF files are compressed, which lose nothing")
    colors = MODES if model.levels <= 256 else (1,)
    if path.suffix.lower() == ".png" and model.colors not in colors:
        raise NextPixelError(
            f"{path}: a PNG has {' or '.join(map(str, colors))} colors here, this model has "
            f"{model.colors}"
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
    found = torch.from_numpy(values)
    levels = quantize(found, model.levels, depth)
    back = to_pixels(levels, model.levels, depth).long()
    if not torch.equal(back, found):
        wrong = int(found[back != found][0])
        raise NextPixelError(
            f"{where}: this model has {model.levels} levels, and none of them is pixel {wrong}"
        )
    return levels.numpy().astype(np.int64)


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


def _is_one_page(path: Path) -> bool:
    try:
        with Pictures.open(path) as picture:
            return getattr(picture, "n_frames", 1) == 1
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


def _read_shallow(path: Path, mode: str) -> NDArray[np.uint8]:
    try:
        with Pictures.open(path) as picture:
            if picture.mode != mode:
                raise NextPixelError(
                    f"{path}: must be of mode {mode} for this model, got {picture.mode}; "
                    "convert it first"
                )
            return np.asarray(picture, np.uint8)
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


def _size(path: Path) -> Size:
    try:
        with Pictures.open(path) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise NextPixelError(f"{path}: not a whole picture: {error}") from error


def _shared(sizes: list[Size]) -> list[Size]:
    return sizes[:1] if len(set(sizes)) == 1 else sizes


def _is_fortran(array: NDArray[Any]) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous


def check_target(path: Path, metadata: Mapping[str, Any], images: int) -> None:
    """Refuse a name that does not fit what is in the archive, or what is in it that fits none.

    Args:
        path: What will be written.
        metadata: Of the archive.
        images: How many there are in it.

    Raises:
        ValueError: If it is another kind of file.
        NextPixelError: If a name in the archive leads out of the folder, or names are missing.
    """
    kind, suffix = metadata.get("kind", "npy"), path.suffix.lower()
    wanted = {"npy": ".npy", "png": ".png", "tiff": ".tif", "folder": ""}.get(str(kind))
    if wanted is None:
        raise NextPixelError(f"the archive holds {kind!r}, which this version cannot write")
    if suffix != wanted and not (kind == "tiff" and suffix in TIFF):
        what = {"": "the name of a folder"}.get(wanted, f"a file that ends in {wanted}")
        raise ValueError(f"out must be {what}, since that was compressed, got {str(path)!r}")
    if kind == "folder":
        names = metadata.get("names")
        if not isinstance(names, list) or len(names) != images:
            raise NextPixelError(f"the archive must have a name for each of {images} pictures")
        for name in names:
            _inside(path, str(name))


def write_back(
    path: Path,
    metadata: Mapping[str, Any],
    levels: int,
    images: Iterable[tuple[Image, int | None]],
    runs: Sequence[range],
    count: int,
) -> None:
    """Write images as they were read.

    Args:
        path: A `.npy`, a `.png`, or a folder, which is made.
        metadata: Of the archive.
        levels: K of the model.
        images: Levels (C, H, W) and labels.
        runs: Their numbers.
        count: How many there are.

    Raises:
        NextPixelError: If a file cannot be written, or the metadata does not fit the images.
    """
    if metadata.get("kind", "npy") == "npy":
        _write_array(path, metadata, levels, images, count)
        return
    folder = metadata["kind"] == "folder"
    for number, (image, _) in zip(chain.from_iterable(runs), images, strict=True):
        name = _inside(path, str(metadata["names"][number])) if folder else path
        _write_picture(name, image, levels)


def _write_picture(path: Path, image: Image, levels: int) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first, *rest = pages(image, levels)
        if path.suffix.lower() == ".png":
            first.save(partial, format="png")
        else:
            first.save(partial, format="tiff", save_all=True, append_images=rest)
        partial.replace(path)
    except OSError as error:
        raise NextPixelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def pages(image: Image, levels: int) -> list[Pictures.Image]:
    """Levels (C, H, W) as one picture of 1 or 3 colors of 8 bits, or as a page for each color."""
    deep = levels > 256
    pixels = image.astype(np.uint16) if deep else to_pixels(torch.from_numpy(image), levels).numpy()
    if len(pixels) == 3 and not deep:
        return [Pictures.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))]
    return [Pictures.fromarray(np.ascontiguousarray(plane)) for plane in pixels]


def _inside(folder: Path, name: str) -> Path:
    path = Path(name)
    if (
        "\0" in name
        or path.is_absolute()
        or ".." in path.parts
        or path.suffix.lower() not in LOSSLESS
    ):
        raise NextPixelError(f"the archive names a file outside of its folder: {name!r}")
    return folder / path


def _write_array(
    path: Path,
    metadata: Mapping[str, Any],
    levels: int,
    images: Iterable[tuple[Image, int | None]],
    count: int,
) -> None:
    """Write an array image by image into a mapped file, then its labels in the same folder."""
    shape, dtype = _array_type(metadata)
    last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    if len(shape) > 2:
        shape[0] = count
    partial, labels = path.with_name(path.name + ".partial"), []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out: NDArray[Any] | None = None
        for number, (image, label) in enumerate(images):
            values = _to_values(image, levels, metadata)
            if out is None:
                whole = tuple(shape) or (count, *image.shape)
                if math.prod(whole) != count * image.size:
                    raise NextPixelError(f"the archive says that it holds {whole}, which it cannot")
                order = bool(metadata.get("fortran"))
                out = np.lib.format.open_memmap(partial, "w+", dtype, whole, fortran_order=order)
            assert out is not None
            part = out if len(shape) == 2 else out[number]
            part[...] = (np.moveaxis(values, 0, 2) if last else values).reshape(part.shape)
            labels.append(label)
        if out is None:
            raise NextPixelError("the archive holds no images to write")
        out.flush()  # type: ignore[attr-defined]
        partial.replace(path)
        if labels[0] is not None:
            np.save(labels_path(path), np.array(labels, np.int64))
    except (OSError, ValueError) as error:
        raise NextPixelError(f"cannot write {path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _array_type(metadata: Mapping[str, Any]) -> tuple[list[int], np.dtype[Any]]:
    try:
        shape = [int(size) for size in metadata.get("shape", ())]
        dtype = np.dtype(str(metadata.get("dtype", "|u1")))
    except (TypeError, ValueError, OverflowError) as error:
        raise NextPixelError(f"the archive describes no array: {error}") from error
    if dtype.kind not in "biu" or len(shape) not in (0, 2, 3, 4):
        raise NextPixelError(f"the archive describes no array of pixels: {dtype} {shape}")
    return shape, dtype


def _to_values(image: Image, levels: int, metadata: Mapping[str, Any]) -> NDArray[Any]:
    """The numbers of a `.npy` from levels."""
    if metadata.get("pixels"):
        depth = 16 if metadata.get("depth") == 16 else 8
        image = to_pixels(torch.from_numpy(image), levels, depth).numpy().astype(np.int64)
    offset = metadata.get("offset", 0)
    if not isinstance(offset, int):
        raise NextPixelError(f"the archive describes no offset: {offset!r}")
    return image - offset
