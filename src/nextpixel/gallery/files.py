"""Pictures on disk: PNG and animated GIF, written whole or not at all."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from nextpixel.checkpoint import replace_file
from nextpixel.gallery.tiles import caption


def save(picture: Image.Image, path: str | Path) -> None:
    """Write a picture as PNG.

    Raises:
        NextPixelError: If the file cannot be written.
    """
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
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
