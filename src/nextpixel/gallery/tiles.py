"""Images side by side, and pictures on disk: PNG and animated GIF, written whole or not at all.

Small images are enlarged by repeating pixels, so that a level stays a level to the eye.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from nextpixel.checkpoint import replace_file
from nextpixel.gallery.screen import Pixels, Screen, side_by_side

NOTE = "Description"
"""Of a PNG: where a picture says how its levels are shown."""

SEPARATOR = (128, 128, 128)
UNKNOWN = (60, 110, 190)
"""Tint of pixels that are to be completed."""

_GAP = 2
_CAPTION = 18  # height in pixels of a line of text


def grid(
    levels: Tensor,
    level_count: int,
    *,
    columns: int | None = None,
    scale: int | None = None,
    known: Tensor | None = None,
) -> Image.Image:
    """Lay images out in rows with thin separators.

    Args:
        levels: Integers 0..K-1, shape (N, C, H, W); see `gallery.screen` for colors and for K
            above 256.
        level_count: K.
        columns: Images a row; None makes it about square.
        scale: Side of the square that shows one pixel; None enlarges small images to about 64.
        known: Boolean, broadcastable to `levels`; a pixel with an unknown color is tinted.

    Returns:
        The picture.

    Raises:
        ValueError: If there is no image to show.

    Example:
        >>> import torch
        >>> grid(torch.zeros(6, 1, 8, 8, dtype=torch.uint8), 2, columns=3, scale=1).size
        (32, 22)
    """
    screen = Screen.of(levels, level_count)
    tiles = _enlarge(_to_colors(levels, screen, known), scale or _scale(levels, 64))
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    width = min(columns, len(tiles))
    picture = Image.fromarray(_frame([_join(row, width) for row in rows]))
    return _noted(picture, screen, levels)


def sheet(originals: Tensor, known: Tensor, completions: Tensor, level_count: int) -> Image.Image:
    """Show images and what was made of their known part: original | occluded | completions.

    Args:
        originals: Levels, shape (N, C, H, W).
        known: Boolean, broadcastable to `originals`; a pixel with an unknown color is tinted.
        completions: Levels, shape (N, S, C, H, W): S completions of each.
        level_count: K.

    Returns:
        The picture, with captions.

    Raises:
        ValueError: If there is nothing to show, or the shapes do not fit.
    """
    screen = Screen.of(originals, level_count)
    whole = _to_colors(originals, screen)
    occluded = _to_colors(originals, screen, known)
    made = _made(originals, completions, "completions", screen)
    shown = {"original": whole, "occluded": occluded}
    return _noted(_table(shown, "completions", made, _scale(originals, 72)), screen, originals)


def reconstructions(originals: Tensor, decodings: Tensor, level_count: int) -> Image.Image:
    """Show images and what was drawn from their codes: input | decodings, a row each.

    Args:
        originals: Levels, shape (N, C, H, W).
        decodings: Levels, shape (N, S, C, H, W): S decodings of each.
        level_count: K.

    Returns:
        The picture, with captions.

    Raises:
        ValueError: If there is nothing to show, or the shapes do not fit.
    """
    screen = Screen.of(originals, level_count)
    whole = _to_colors(originals, screen)
    made = _made(originals, decodings, "decodings", screen)
    picture = _table({"input": whole}, "decodings", made, _scale(originals, 72))
    return _noted(picture, screen, originals)


def _noted(picture: Image.Image, screen: Screen, levels: Tensor) -> Image.Image:
    """With what a viewer must know, which goes into the file: see `note_of`."""
    note = screen.note(levels.shape[1])
    if note:
        picture.info[NOTE] = note
    return picture


def note_of(picture: Image.Image) -> str:
    """What a viewer of a picture must know; empty if nothing."""
    return str(picture.info.get(NOTE, ""))


def _made(originals: Tensor, made: Tensor, name: str, screen: Screen) -> Pixels:
    """(N, S, C, H, W) levels -> (N, S, H, W, 3) pixels."""
    if made.ndim != 5 or made[:, 0].shape != originals.shape:
        raise ValueError(
            f"{name} must be (N, S, C, H, W) for originals {tuple(originals.shape)}, "
            f"got {tuple(made.shape)}"
        )
    colors = _to_colors(made.flatten(0, 1), screen)
    return colors.reshape(*made.shape[:2], *colors.shape[1:])


def _table(shown: dict[str, Pixels], name: str, made: Pixels, scale: int) -> Image.Image:
    """Columns of what was there, then all that was made of it under one caption."""
    columns = len(shown) + made.shape[1]
    rows = [
        _join(_enlarge(np.stack([*row, *others]), scale), columns)
        for *row, others in zip(*shown.values(), made, strict=True)
    ]
    step = made.shape[-2] * scale + _GAP
    captions = dict(enumerate([*shown, name]))
    return _caption_columns(Image.fromarray(_frame(rows)), captions, step)


def caption(picture: Image.Image, text: str) -> Image.Image:
    """Write a line of text under a picture."""
    out = Image.new("RGB", (picture.width, picture.height + _CAPTION), "white")
    out.paste(picture, (0, 0))
    ImageDraw.Draw(out).text((4, picture.height + 2), text, fill="black", font=_font())
    return out


def _caption_columns(picture: Image.Image, texts: dict[int, str], step: int) -> Image.Image:
    out = Image.new("RGB", (picture.width, picture.height + _CAPTION), "white")
    out.paste(picture, (0, _CAPTION))
    draw = ImageDraw.Draw(out)
    for column, text in texts.items():
        draw.text((_GAP + column * step, 2), text, fill="black", font=_font())
    return out


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=12)


def _to_colors(levels: Tensor, screen: Screen, known: Tensor | None = None) -> Pixels:
    """(N, C, H, W) levels -> (N, H, W', 3) pixels, tinted where a color is unknown."""
    if levels.ndim != 4 or not len(levels):
        raise ValueError(
            f"levels must be at least one image, shape (N, C, H, W), got {tuple(levels.shape)}"
        )
    colors = screen.show(levels)
    if known is None:
        return colors
    seen = known.expand_as(levels).cpu()
    seen = seen.all(1, keepdim=True) if levels.shape[1] in (1, 3) else side_by_side(seen)
    return np.where(seen[:, 0].numpy()[..., None], colors, np.array(UNKNOWN, np.uint8))


def _scale(levels: Tensor, side: int) -> int:
    return max(1, round(side / max(levels.shape[-2:])))


def _enlarge(tiles: Pixels, scale: int) -> Pixels:
    return tiles.repeat(scale, axis=1).repeat(scale, axis=2)


def _separator(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), SEPARATOR, np.uint8)


def _join(tiles: Pixels, columns: int) -> Pixels:
    """(n, h, w, 3) tiles -> one row of `columns` cells with a separator after each."""
    height, width = tiles.shape[1:3]
    cells = [*tiles, *[_separator(height, width)] * (columns - len(tiles))]
    return np.concatenate([part for cell in cells for part in (cell, _separator(height, _GAP))], 1)


def _frame(rows: list[Pixels]) -> Pixels:
    """Rows of cells -> the picture, separators all around."""
    line = _separator(_GAP, rows[0].shape[1])
    body = np.concatenate([line, *(part for row in rows for part in (row, line))])
    return np.concatenate([_separator(len(body), _GAP), body], 1)


def save(picture: Image.Image, path: str | Path) -> None:
    """Write a picture as PNG.

    Raises:
        NextPixelError: If the file cannot be written.
    """
    buffer = BytesIO()
    text = PngInfo()
    if note_of(picture):
        text.add_text(NOTE, note_of(picture))
    picture.save(buffer, format="PNG", pnginfo=text)
    replace_file(Path(path), buffer.getvalue())


def animation(
    frames: Sequence[Image.Image],
    path: str | Path,
    *,
    captions: Sequence[str] = (),
    milliseconds: int = 200,
    hold: int = 2000,
) -> None:
    """Write pictures as an endless GIF.

    Args:
        frames: As in `animated`.
        path: Where to.
        captions: As in `animated`.
        milliseconds: As in `animated`.
        hold: As in `animated`.

    Raises:
        ValueError: As in `animated`.
        NextPixelError: If the file cannot be written.
    """
    made = animated(frames, captions=captions, milliseconds=milliseconds, hold=hold)
    replace_file(Path(path), made)


def animated(
    frames: Sequence[Image.Image],
    *,
    captions: Sequence[str] = (),
    milliseconds: int = 200,
    hold: int = 2000,
) -> bytes:
    """Pictures as the bytes of an endless GIF.

    Args:
        frames: Pictures of one size.
        captions: A line under each frame; empty for none.
        milliseconds: Duration of a frame.
        hold: Duration of the last one.

    Raises:
        ValueError: If there are no frames, or another number of captions.
    """
    if not frames:
        raise ValueError("frames must hold at least one picture, got none")
    if captions:
        if len(captions) != len(frames):
            raise ValueError(f"captions must be {len(frames)}, one a frame, got {len(captions)}")
        frames = [caption(*pair) for pair in zip(frames, captions, strict=True)]
    first, *rest = [frame.quantize(64) for frame in frames]
    durations = [milliseconds] * len(rest) + [hold]
    buffer = BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return buffer.getvalue()
