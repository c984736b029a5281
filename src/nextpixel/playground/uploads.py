"""Files of strangers -> levels: told by their content, measured before they are decoded."""

import warnings
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.Image import Resampling

from nextpixel.playground.catalog import Card
from nextpixel.playground.limits import Limits
from nextpixel.playground.problems import Refusal
from nextpixel.playground.wire import Bytes

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
NUMPY = b"\x93NUMPY"
HEADER = 10_000
"""Bytes of the header of a `.npy` that are read at most."""


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
    if content.startswith(NUMPY):
        return _from_array(read_array(content, limits.upload_pixels), card)
    with opened(content, limits) as picture:
        return _from_picture(picture, card)


def read_array(content: bytes, most: int) -> NDArray[Any]:
    """A `.npy` of integers 0..255, without objects, and no larger than its file.

    Raises:
        Refusal: If it is something else.
    """
    try:
        stream = BytesIO(_plain(content, most))
        array: NDArray[Any] = np.load(stream, allow_pickle=False, max_header_size=HEADER)
    except Refusal:
        raise
    except Exception as error:  # numpy's reader raises whatever its parsers do
        raise Refusal(
            "file must be a whole .npy of numbers, this one is damaged", "file"
        ) from error
    if array.dtype.kind not in "biu" or not array.size:
        raise Refusal(f"file must hold integers 0..255, got {array.dtype} {array.shape}", "file")
    if int(array.min()) < 0 or int(array.max()) > 255:
        raise Refusal(
            f"file must hold numbers 0..255, got {int(array.min())}..{int(array.max())}", "file"
        )
    return array


def _plain(content: bytes, most: int) -> bytes:
    """The content, once its header does not promise more than there is."""
    stream = BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else (
        np.lib.format.read_array_header_2_0)  # fmt: skip
    shape, _, dtype = read(stream, max_header_size=HEADER)
    if dtype.hasobject:
        raise Refusal("file must hold numbers, this .npy holds Python objects", "file")
    count = 1
    for size in shape:
        count *= int(size)
    if count > most:
        raise Refusal(f"file must have at most {most:,} numbers, got {count:,}", "file")
    if count * dtype.itemsize > len(content) - stream.tell():
        raise Refusal("file must be a whole .npy, this one is cut off", "file")
    return content


def opened(content: bytes, limits: Limits) -> Image.Image:
    """A picture whose size is known and small enough, not yet decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", Image.DecompressionBombWarning
            )  # our own limit is lower
            picture = Image.open(BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Refusal(_too_many(limits), "file") from error
    except Exception as error:  # Pillow's readers raise whatever they do
        text = "file must be a PNG, JPEG, GIF, BMP or WebP picture, or a .npy of one image"
        raise Refusal(text, "file") from error
    if picture.width * picture.height > limits.upload_pixels:
        raise Refusal(f"{_too_many(limits)}, got {picture.width} x {picture.height}", "file")
    return picture


def _too_many(limits: Limits) -> str:
    return f"file must have at most {limits.upload_pixels:,} pixels"


def _from_picture(picture: Image.Image, card: Card) -> tuple[Bytes, str]:
    found = f"{picture.format} of {picture.width} x {picture.height} pixels"
    colors, height, width = card.shape
    if colors not in (1, 3):
        raise Refusal(f"{card.name} has {colors} colors, which a picture has not", "model")
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
