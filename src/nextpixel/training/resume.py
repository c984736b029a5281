"""Resume points: the last one and the one before it, each sealed by a checksum.

`resume/state.pt` has all that an exact resume needs: weights, average, optimisers, position in the
data, best so far. It ends in a seal: a word and the SHA-256 of what stands before. The point before
it is kept as `resume/previous.pt` and used, with a warning, when the last one is cut off or
damaged. A point is written next to the last one and put in its place when it is whole on the disk.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from nextpixel.checkpoint import replace_file
from nextpixel.errors import NextPixelError

STATE = Path("resume") / "state.pt"
PREVIOUS = Path("resume") / "previous.pt"
_WORD = b"nextpixel-sealed"
_KEYS = {"identity", "state", "sealed"}


def write_state(folder: Path, state: dict[str, Any], *, keep: bool = True) -> None:
    """Write a resume point; the last one becomes the one before it.

    Args:
        folder: Of the run.
        state: The point.
        keep: Whether the last one is worth keeping.

    Raises:
        NextPixelError: If it cannot be written; then those that were there stay.
    """
    content = io.BytesIO()
    torch.save({**state, "sealed": True}, content)
    content.write(_WORD + hashlib.sha256(content.getbuffer()).digest())
    with _kept(folder / STATE, folder / PREVIOUS) if keep else nullcontext():
        replace_file(folder / STATE, content.getvalue())


@contextmanager
def _kept(path: Path, previous: Path) -> Iterator[None]:
    """Keep a file under another name when it has been replaced; never is there neither."""
    spare = previous.with_name(previous.name + ".partial")
    try:
        spare.unlink(missing_ok=True)
        if path.exists():
            _link(path, spare)
        yield
        if spare.exists():
            spare.replace(previous)
    except OSError as error:
        raise NextPixelError(f"cannot write {previous}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # a disk that fails has been reported already
            spare.unlink(missing_ok=True)


def _link(path: Path, spare: Path) -> None:
    """A second name for a file; a copy on file systems that have none."""
    try:
        os.link(path, spare)
    except OSError:
        spare.write_bytes(path.read_bytes())


def check_state(folder: Path) -> None:
    """Refuse a folder without a resume point.

    Raises:
        NextPixelError: If there is none.
    """
    if not any((folder / name).is_file() for name in (STATE, PREVIOUS)):
        raise NextPixelError(f"{folder} holds no run to resume: it has no {STATE}")


def read_state(folder: Path) -> tuple[dict[str, Any], Path]:
    """Read the last resume point of a run, or with a warning the one before it.

    Returns:
        The point, and which of the two it is.

    Raises:
        NextPixelError: If there is none, or neither is whole.
    """
    check_state(folder)
    try:
        return read_point(folder / STATE), STATE
    except NextPixelError as error:
        if not (folder / PREVIOUS).is_file():
            raise
        fault = error
    try:
        state = read_point(folder / PREVIOUS)
    except NextPixelError as error:
        raise NextPixelError(f"{fault}; the one before it does not help: {error}") from error
    warnings.warn(f"{fault}; going on from the one before it, {PREVIOUS}", stacklevel=2)
    return state, PREVIOUS


def read_point(path: Path) -> dict[str, Any]:
    """Read one resume point.

    Raises:
        NextPixelError: If it is missing, damaged or none of ours.
    """
    try:
        content = path.read_bytes()
        _check(content)
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), weights_only=True, map_location="cpu"
        )
    except OSError as error:
        raise NextPixelError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # a foreign pickle can raise anything
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NextPixelError(f"{path} is damaged: {first}") from error
    if not isinstance(state, dict) or state.keys() != _KEYS:
        raise NextPixelError(f"{path} is no resume point of nextpixel")
    return state


def _check(content: bytes) -> None:
    """Refuse content that is not what was sealed.

    Raises:
        ValueError: If it is not.
    """
    body, word, digest = content[:-48], content[-48:-32], content[-32:]
    if word != _WORD:
        raise ValueError("its end is cut off, or it never was one")
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum is wrong")
