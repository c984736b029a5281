"""Images of an archive as the files they were made from."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from nextpixel.codec.files import LOSSLESS
from nextpixel.codec.source import Image
from nextpixel.data.sources.arrays import labels_path
from nextpixel.data.sources.npy import archived_channels
from nextpixel.data.sources.pictures import TIFF
from nextpixel.errors import NextPixelError
from nextpixel.images import to_pixels


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
    if deep:
        pixels = image.astype(np.uint16)
    elif levels == 256:
        pixels = image.astype(np.uint8)
    else:
        pixels = to_pixels(torch.from_numpy(image), levels).numpy()
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
    last = archived_channels(shape) == "last"
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
    return image.astype(np.int64) - offset
