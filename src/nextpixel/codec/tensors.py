"""Lossless compression of levels in memory."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextpixel.codec.archive import write
from nextpixel.codec.chunks import Size
from nextpixel.codec.container import read_archive
from nextpixel.codec.header import fingerprint
from nextpixel.codec.reader import Reader
from nextpixel.codec.source import Image
from nextpixel.errors import check_kind
from nextpixel.images import check_integers, level_dtype
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import Value


class TensorSource:
    """Levels (B, C, H, W) as a source; see `codec.source.Source`."""

    def __init__(self, levels: Tensor, condition: Value | None = None) -> None:
        self.levels, self.condition = levels, condition
        self.count = len(levels)
        self.sizes: list[Size] = [(levels.shape[2], levels.shape[3])]
        self.metadata: Mapping[str, Any] = {}
        self.gray: Sequence[int] = ()

    def image(self, number: int) -> Image:
        """Levels of one image, shape (C, H, W)."""
        return self.levels[number].cpu().numpy()


def compress(
    model: PixelModel,
    levels: Tensor,
    condition: Value | None = None,
    *,
    per_chunk: int | None = None,
    orders: str = "own",
    adapt: bool = False,
) -> bytes:
    """Levels to an archive, exactly, in about as many bits as the model says.

    Args:
        model: The model; `decompress` must be given the same weights.
        levels: Integers 0..K-1, shape (B, C, H, W). H and W may be others than the model's: it is
            then run on images of that size, or on tiles where it is tied to its own.
        condition: What the model is conditioned on, one entry an image. Labels are kept in the
            archive.
        per_chunk: Images that are coded together; see `archive.write`.
        orders: "own", or "best": each image in the best of the mirror orders of a model that has
            several, which is kept in 2 or 3 bits.
        adapt: Whether a net of one window goes on learning in each image: see `codec.learning`.

    Returns:
        The archive, which `decompress` and the command line read.

    Raises:
        TypeError: If `levels` are no integers, or `adapt` is no bool.
        ValueError: If shape, range or condition are not the model's, or it cannot go on learning.

    Example:
        >>> import torch
        >>> from nextpixel import build
        >>> model = build("pixelcnn", shape=(1, 4, 4), levels=2, features=4, layers=1)
        >>> levels = torch.tensor([[[[0, 1, 1, 0]] * 4]])
        >>> torch.equal(decompress(model, compress(model, levels)).long(), levels)
        True
    """
    check_model(model)
    check_integers(levels, model.levels)
    if levels.ndim != 4 or levels.shape[1] != model.colors or 0 in levels.shape[2:]:
        raise ValueError(
            f"levels must have shape (B, {model.colors}, H, W), got {tuple(levels.shape)}"
        )
    if per_chunk is not None and per_chunk < 1:
        raise ValueError(f"per_chunk must be at least 1, got {per_chunk}")
    if orders not in ("own", "best"):
        raise ValueError(f"orders must be own or best, got {orders!r}")
    if not isinstance(adapt, bool):
        raise TypeError(f"adapt must be true or false, got {adapt!r}")
    blob = io.BytesIO()
    source = TensorSource(levels, condition)
    write(blob, model, source, per_chunk=per_chunk, orders=orders == "best", adapt=adapt)
    return blob.getvalue()


def decompress(
    model: PixelModel,
    blob: bytes,
    condition: Value | None = None,
    *,
    first: int = 0,
    last: int | None = None,
) -> Tensor:
    """An archive back to levels.

    Args:
        model: The model that it was made with.
        blob: The archive.
        condition: What the model is conditioned on; None for labels, which the archive holds.
        first: The first image that is wanted; only the chunks that hold them are decoded.
        last: The one after the last; None: all.

    Returns:
        Levels, `images.level_dtype(K)`, shape (B, C, H, W).

    Raises:
        NextPixelError: If the archive is damaged, or was made with another model.
        ValueError: If there are no such images.
    """
    check_model(model)
    what = "the bytes of an archive; path.read_bytes() are those of a file"
    check_kind("blob", blob, bytes | bytearray | memoryview, what)
    kept = level_dtype(model.levels)
    reader = Reader(read_archive(blob, fingerprint(model)), model, condition)
    images = [image for image, _ in reader.images(first, last)]
    if not images:
        return torch.zeros(0, model.colors, *reader.tiles.size(0), dtype=kept)
    return torch.from_numpy(np.stack(images)).to(kept)
