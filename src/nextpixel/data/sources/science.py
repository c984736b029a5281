"""Files of telescopes and microscopes: FITS by astropy, TIFF by tifffile, both optional."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextpixel.errors import NextPixelError

Array = NDArray[Any]


def read_fits(path: Path, offset: int = 0) -> Array:
    """The first image of a FITS file, (H, W) or (C, H, W), its lowest row first as stored.

    Args:
        path: The file.
        offset: What is added to its numbers.

    Raises:
        NextPixelError: If astropy is missing, or the file holds no image of integers.
    """
    fits = _library("astropy.io.fits", path)
    try:
        with fits.open(path, uint=True, memmap=False) as units:
            found = next(
                (unit.data for unit in units if unit.is_image and unit.data is not None), None
            )
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise NextPixelError(f"{path}: not a whole FITS file: {error}") from error
    if found is None or found.dtype.kind not in "iu":
        kind = "no image" if found is None else str(found.dtype)
        raise NextPixelError(f"{path}: must hold an image of integers, got {kind}")
    return np.asarray(found).astype(np.int64) + offset if offset else np.asarray(found)


def read_tiff(path: Path) -> Array:
    """A TIFF that Pillow does not know, as 16 bits in several colors: (H, W) or (C, H, W).

    Raises:
        NextPixelError: If tifffile is missing, or the file is damaged.
    """
    tifffile = _library("tifffile", path)
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            found, axes = np.asarray(series.asarray()), str(series.axes)
    except Exception as error:  # whatever a damaged file makes it raise
        raise NextPixelError(f"{path}: not a whole TIFF: {error}") from error
    if axes.endswith("YXS") and found.ndim == 3:  # samples of a pixel side by side
        return np.moveaxis(found, 2, 0)
    if axes.endswith("YX") and found.ndim in (2, 3):
        return found
    raise NextPixelError(f"{path}: must hold one image of rows and columns, got axes {axes}")


def _library(name: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NextPixelError(
            f"{path}: needs {name.partition('.')[0]}, which is not installed: "
            "pip install 'nextpixel[science]'"
        ) from error
