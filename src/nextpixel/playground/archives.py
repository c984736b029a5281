"""Lossless archives: uploaded files -> levels -> an archive, and back; never rounded."""

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nextpixel.playground.catalog import Card
from nextpixel.playground.checks import check_label
from nextpixel.playground.desk import Event, Job, Work
from nextpixel.playground.jobs import png_bytes, raw_bytes
from nextpixel.playground.limits import Limits
from nextpixel.playground.problems import Refusal
from nextpixel.playground.shelf import Shelf, as_levels
from nextpixel.playground.uploads import NUMPY, opened, read_array
from nextpixel.playground.wire import Bytes, pack

if TYPE_CHECKING:
    from torch import Tensor

    from nextpixel.models import PixelModel

MODES = {1: "L", 3: "RGB"}


def check_model(card: Card, label: int | None) -> None:
    """Refuse a model that cannot compress here.

    Raises:
        Refusal: If it is told what an archive does not keep, or a label is wrong or missing.
    """
    if card.condition == "other":
        given = card.given or "more than a class"
        raise Refusal(f"{card.name} cannot compress here: it is told {given}", "model")
    if label == -1:
        raise Refusal(f"label must be 0..{(card.classes or 1) - 1} in an archive, got -1", "label")
    check_label(card, label)


def read_files(contents: list[bytes], card: Card, limits: Limits) -> Bytes:
    """Uploaded files as levels, (N, C, H, W): one `.npy`, or PNGs of one size.

    Raises:
        Refusal: If they are something else, too many, or no levels of the model's.
    """
    if not any(contents):
        raise Refusal("files must hold at least one image, got none", "files")
    if contents[0].startswith(NUMPY):
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
    images = colors_first(array[None] if array.ndim == 2 else array).astype(np.uint8)
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
            raise Refusal(f"{name} must be a PNG, which loses nothing, got {picture.format}",
                          "files")  # fmt: skip
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


def compress(shelf: Shelf, card: Card, images: Bytes, label: int | None) -> Work:
    """Images to an archive that `nextpixel decompress` reads as well.

    Where a class is asked for and none is given, each image gets the one that makes it cheapest.
    """
    if card.classes is not None and label is None and images.shape[1:] != card.shape:
        raise Refusal(f"label must be given for images of another size than {card.name}'s", "label")

    def work(job: Job) -> Event:
        from nextpixel.codec.archive import write
        from nextpixel.codec.tensors import TensorSource

        model = shelf.model(card.name)
        levels, out = as_levels(images), BytesIO()
        source = TensorSource(levels, _labels(job, card, model, levels, label))
        report = write(out, model, source, on_chunk=lambda done: job.tell(_part(done)))
        archive = out.getvalue()
        return {
            "event": "done",
            "archive": base64.b64encode(archive).decode("ascii"),
            "bytes": len(archive),
            "ideal_bits": report.ideal_bits,
            "bits_per_dim": 8 * len(archive) / images.size,
            "png_bytes": sum(png_bytes(image, card.levels) for image in images),
            "count": len(images),
            "raw_bytes": raw_bytes(images.size, card.levels),
        }

    return work


def _labels(
    job: Job, card: Card, model: "PixelModel", levels: "Tensor", label: int | None
) -> "Tensor | None":
    import torch

    from nextpixel.classify import classify

    if card.classes is None:
        return None
    if label is not None:
        return torch.full((len(levels),), label)
    return classify(model, levels, on_progress=lambda done: job.tell(_part(done))).argmax(1)


def decompress(shelf: Shelf, card: Card, archive: bytes, limits: Limits) -> Work:
    """An archive to its images.

    The work refuses archives that are damaged, of another model, or hold too much.
    """

    def work(job: Job) -> Event:
        from nextpixel.codec.archive import Reader
        from nextpixel.codec.container import open_archive

        opened_archive = open_archive(BytesIO(archive))
        header = opened_archive.header
        if header.images * header.shape[0] * header.shape[1] * header.shape[2] > limits.values:
            text = f"archive must hold at most {limits.values:,} sub-pixels"
            raise Refusal(f"{text}; `nextpixel decompress` reads larger ones", "archive")
        reader = Reader(opened_archive, shelf.model(card.name))
        found = reader.images(on_chunk=lambda done: job.tell(_part(done)))
        images = [image for image, _ in found]
        if len({image.shape for image in images}) != 1:
            raise Refusal("archive must hold images of one size to be shown here", "archive")
        return {"event": "done", "images": pack(np.stack(images), card.levels)}

    return work


def _part(done: int) -> Event:
    return {"event": "chunk", "done": done}
