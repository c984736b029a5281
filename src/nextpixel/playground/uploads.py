"""Files of strangers -> levels: recognized by their content, measured before they are decoded.

A picture to inspect or complete is fitted to its model; files to compress are never rounded.
"""

import math
import warnings
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.Image import Resampling

from nextpixel.playground.catalog import Card
from nextpixel.playground.refusals import Refusal
from nextpixel.playground.schemas import Limits
from nextpixel.playground.serialization import Bytes

MODES = {1: "L", 3: "RGB"}
"""Pillow's modes of 8 bits, by the number of colors."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Bytes of the header of a `.npy`."""


def read_upload(content: bytes, card: Card, limits: Limits) -> tuple[Bytes, str]:
    """One picture, or one image in a `.npy`, as an image of a model.

    Args:
        content: The file.
        card: The model.
        limits: How large it may be.

    Returns:
        Levels (C, H, W), and what was done, in words.

    Raises:
        Refusal: If it is no picture, damaged, or too large.
    """
    if content.startswith(NPY_MAGIC):
        return _from_array(read_array(content, limits.upload_pixels), card)
    with opened(content, limits) as picture:
        return _from_picture(picture, card)


def read_array(content: bytes, max_values: int) -> NDArray[Any]:
    """A `.npy` of integers 0..255, without objects, and no larger than its file.

    Raises:
        Refusal: If it is something else.
    """
    try:
        stream = BytesIO(_checked(content, max_values))
        array: NDArray[Any] = np.load(stream, allow_pickle=False, max_header_size=MAX_HEADER)
    except Refusal:
        raise
    except Exception as error:  # numpy's reader raises whatever its parsers do
        raise Refusal(
            "file must be a whole .npy of numbers, this one is damaged", "file"
        ) from error
    if array.dtype.kind not in "biu" or not array.size:
        raise Refusal(f"file must hold integers 0..255, this .npy holds {_held(array)}", "file")
    if int(array.min()) < 0 or int(array.max()) > 255:
        raise Refusal(
            f"file must hold numbers 0..255, got {int(array.min())}..{int(array.max())}", "file"
        )
    return array


def _held(array: NDArray[Any]) -> str:
    """What an array holds that are no integers."""
    if not array.size:
        return "none"
    return {"f": "fractions", "U": "text", "S": "text"}.get(array.dtype.kind, "something else")


def _checked(content: bytes, max_values: int) -> bytes:
    """The content, if its header does not promise more than there is."""
    stream = BytesIO(content)
    version = np.lib.format.read_magic(stream)
    formats = np.lib.format
    read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise Refusal("file must hold numbers, this .npy holds objects", "file")
    count = math.prod(map(int, shape))
    if count > max_values:
        raise Refusal(f"file must have at most {max_values:,} numbers, got {count:,}", "file")
    if count * dtype.itemsize > len(content) - stream.tell():
        raise Refusal("file must be a whole .npy, this one is cut off", "file")
    return content


def opened(content: bytes, limits: Limits) -> Image.Image:
    """A picture whose size is known and small enough, not yet decoded."""
    try:
        with warnings.catch_warnings():
            # our own limit is lower
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Refusal(_too_large(limits), "file") from error
    except Exception as error:  # Pillow's readers raise whatever they do
        text = "file must be a PNG, JPEG, GIF, BMP or WebP picture, or a .npy of one image"
        raise Refusal(text, "file") from error
    if picture.width * picture.height > limits.upload_pixels:
        raise Refusal(f"{_too_large(limits)}, got {picture.width} x {picture.height}", "file")
    return picture


def _too_large(limits: Limits) -> str:
    return f"file must have at most {limits.upload_pixels:,} pixels"


def _from_picture(picture: Image.Image, card: Card) -> tuple[Bytes, str]:
    found = f"{picture.format} of {picture.width} x {picture.height} pixels"
    colors, height, width = card.shape
    if colors not in (1, 3):
        raise Refusal(f"{card.name} has {colors} colors; a picture has 1 or 3", "model")
    try:
        flat = _flatten(picture)
    except Exception as error:  # damaged in its body
        raise Refusal("file must be a whole picture, this one is damaged", "file") from error
    done = [found]
    if flat.size != (width, height):
        done.append(_fitted(flat.size, (width, height)))
        flat = ImageOps.fit(flat, (width, height), Resampling.LANCZOS)
    if colors == 1:
        if not _is_gray(flat):
            done.append("turned to gray")
        flat = flat.convert("L")
    pixels = np.asarray(flat, np.uint8)
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    return _quantized(planes, card), _note(done, planes, card)


def _flatten(picture: Image.Image) -> Image.Image:
    """The first frame, the camera's turn undone, transparent parts white, in RGB."""
    picture.seek(0)
    picture.draft("RGB", (1024, 1024))
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I") or turned.mode == "F":
        turned = Image.fromarray((np.asarray(turned, np.float64) / 257).clip(0, 255).astype("u1"))
    if turned.has_transparency_data:
        white = Image.new("RGBA", turned.size, "white")
        turned = Image.alpha_composite(white, turned.convert("RGBA"))
    return turned.convert("RGB")


def _fitted(found: tuple[int, int], wanted: tuple[int, int]) -> str:
    same = found[0] * wanted[1] == found[1] * wanted[0]
    how = "resized" if same else "cut to its middle and resized"
    return f"{how} to {wanted[0]} x {wanted[1]}"


def _is_gray(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)
    return bool((pixels == pixels[:, :, :1]).all())


def _from_array(array: NDArray[Any], card: Card) -> tuple[Bytes, str]:
    """An array of the model's own shape, as levels or as pixels."""
    colors, height, width = card.shape
    last = array.shape[-3:] == (height, width, colors) and colors > 1
    planes = np.moveaxis(array.reshape(array.shape[-3:]), 2, 0) if last else array
    if planes.size != colors * height * width or planes.shape[-2:] != (height, width):
        raise Refusal(
            f"file must hold one image of shape {list(card.shape)} for {card.name}, "
            f"got {list(array.shape)}",
            "file",
        )
    planes = planes.reshape(card.shape).astype(np.uint8)
    found = f".npy of shape {list(array.shape)}"
    if int(planes.max()) < card.levels:
        return planes, f"{found}; taken as levels 0..{card.levels - 1}."
    return _quantized(planes, card), _note([found], planes, card)


def _quantized(pixels: Bytes, card: Card) -> Bytes:
    import torch

    from nextpixel.images import quantize

    levels: Bytes = quantize(torch.from_numpy(pixels.copy()), card.levels).numpy()
    return levels


def _note(done: list[str], pixels: Bytes, card: Card) -> str:
    """What was done, and whether the levels still say what the pixels said."""
    import torch

    from nextpixel.images import to_pixels

    back = to_pixels(torch.from_numpy(_quantized(pixels, card)), card.levels).numpy()
    exact = bool((back == pixels).all())
    end = f"kept exactly in {card.levels} levels" if exact else f"rounded to {card.levels} levels"
    return "; ".join([*done, end]) + "."


def read_files(contents: list[bytes], card: Card, limits: Limits) -> Bytes:
    """Uploaded files as levels, (N, C, H, W): one `.npy`, or PNGs of one size.

    Raises:
        Refusal: If they are something else, too many, or no levels of the model's.
    """
    if not any(contents):
        raise Refusal("files must hold at least one image, got none", "files")
    if contents[0].startswith(NPY_MAGIC):
        if len(contents) > 1:
            raise Refusal("files must be PNGs, or one .npy alone", "files")
        images = _images(read_array(contents[0], limits.values), card)
    else:
        if len(contents) > limits.compress_images:
            raise Refusal(_too_many(limits, len(contents)), "files")
        images = _levels(_stacked(contents, card, limits), card)
    if len(images) > limits.compress_images:
        raise Refusal(_too_many(limits, len(images)), "files")
    return images


def _too_many(limits: Limits, count: int) -> str:
    return f"files must hold at most {limits.compress_images} images, got {count}"


def _images(array: NDArray[Any], card: Card) -> Bytes:
    """An array as (N, C, H, W), as the command line reads it."""
    from nextpixel.data.sources.npy import colors_first

    if array.ndim not in (2, 3, 4):
        raise Refusal(
            "files must hold images of shape (H, W), (N, H, W), (N, C, H, W) or (N, H, W, C), "
            f"got {list(array.shape)}",
            "files",
        )
    images = array[None] if array.ndim == 2 else array
    images = colors_first(images, colors=card.shape[0]).astype(np.uint8)
    if images.shape[1] != card.shape[0]:
        raise Refusal(
            f"files must hold images of {card.shape[0]} colors for {card.name}, "
            f"got {images.shape[1]}",
            "files",
        )
    return images if int(images.max()) < card.levels else _levels(images, card)


def _stacked(contents: list[bytes], card: Card, limits: Limits) -> Bytes:
    """Pixels of PNGs of one size, (N, C, H, W)."""
    planes: list[Bytes] = []
    room = limits.values
    for number, content in enumerate(contents, 1):
        plane = _png(content, card, limits, f"picture {number}", room)
        if planes and plane.shape != planes[0].shape:
            raise Refusal(
                f"files must have one size, got {_size(planes[0])} and {_size(plane)}", "files"
            )
        planes.append(plane)
        room -= plane.size
    return np.stack(planes)


def _size(plane: Bytes) -> str:
    return f"{plane.shape[2]} x {plane.shape[1]}"


def _png(content: bytes, card: Card, limits: Limits, name: str, room: int) -> Bytes:
    """Pixels of a PNG, (C, H, W)."""
    colors = card.shape[0]
    with opened(content, limits) as picture:
        if picture.format != "PNG":
            text = f"{name} must be a PNG, which loses nothing, got {picture.format}"
            raise Refusal(text, "files")
        if picture.width * picture.height * colors > room:
            raise Refusal(f"files must have at most {limits.values:,} sub-pixels in all", "files")
        mode = "L" if picture.mode == "1" else picture.mode
        if mode != MODES.get(colors):
            text = f"{name} must be a PNG of {colors} colors of 8 bits for {card.name}, got mode"
            raise Refusal(f"{text} {picture.mode}", "files")
        try:
            pixels = np.asarray(picture.convert(mode), np.uint8)
        except Exception as error:  # damaged in its body
            raise Refusal(f"{name} must be a whole picture, it is damaged", "files") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def _levels(pixels: Bytes, card: Card) -> Bytes:
    """Levels of pixels that are levels exactly.

    Raises:
        Refusal: If a pixel lies between two levels: nothing is rounded in an archive.
    """
    import torch

    from nextpixel.images import quantize, to_pixels

    levels = quantize(torch.from_numpy(pixels), card.levels)
    wrong = pixels[to_pixels(levels, card.levels).numpy() != pixels]
    if wrong.size:
        raise Refusal(
            f"files must be kept to the pixel: {card.name} has {card.levels} levels, and none of "
            f"them is pixel {int(wrong[0])}; take a model of 256 levels",
            "files",
        )
    found: Bytes = levels.numpy()
    return found
