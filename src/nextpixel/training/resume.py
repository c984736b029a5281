"""Resume points: what a run can go on from, and whether it is the same run.

`resume/state.pt` has all that an exact resume needs: weights, average, optimisers, position in the
data, best so far. It ends in a seal: a word and the SHA-256 of what stands before. The point before
it is kept as `resume/previous.pt` and used, with a warning, when the last one is cut off or
damaged. A point is written to a file of its own and takes the last one's place when it is whole on
the disk.

A point is refused where the run has another fingerprint: model, data and settings. Images and
labels enter it by their number, shape and checksum, so that a data set that was rewritten between
stop and resume is noticed, and so is one that differs between processes.
"""

import hashlib
import io
import json
import os
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import torch

from nextpixel.checkpoint import replace_file
from nextpixel.data import Dataset, Split, Stream
from nextpixel.errors import NextPixelError, shared_with_all
from nextpixel.models import PixelModel
from nextpixel.runtime.distributed import Processes
from nextpixel.training.config import TrainConfig

FORMAT = 1
"""Of resume points: raised when what they hold changes."""

FREE_TO_CHANGE = (
    "steps",
    "minutes",
    "threads",
    "validate_every",
    "validations",
    "validation_images",
    "test_images",
    "preview_every",
    "previews",
    "preview_count",
    "save_every",
    "tensorboard",
)
"""Settings that a resumed run may change; the others make it another run."""

SIZES = ("processes", "train.accumulate")
"""What shares a batch out: another number rounds differently, so it may change only where that is
allowed."""

DATA = (
    "image shape",
    "training set",
    "training labels",
    "validation set",
    "validation labels",
    "test set",
    "test labels",
)

_SHOWN = 3  # differences in one message


def fingerprint_of(
    model: PixelModel, data: Dataset, config: TrainConfig, processes: int
) -> dict[str, Any]:
    """All that a resumed run must have in common with the run before, as plain values."""
    found: dict[str, Any] = {
        "processes": processes,
        "resume format": FORMAT,
        "model": model.name,
        **{f"model.{name}": value for name, value in asdict(model.config).items()},
        "number type": str(next(model.parameters()).dtype),
        "data": data.name,
        "protocol": data.protocol,
        "levels": data.level_count,
        "image shape": "x".join(map(str, data.shape)),
        "training set": _mark(data.train),
        "training labels": _labels(data.train),
        "validation set": _mark(data.validation),
        "validation labels": _labels(data.validation),
        "test set": _mark(data.test),
        "test labels": _labels(data.test),
        **{
            f"train.{name}": value
            for name, value in asdict(config).items()
            if name not in FREE_TO_CHANGE
        },
    }
    as_saved: dict[str, Any] = json.loads(json.dumps(found))
    return as_saved


def differences(
    saved: Mapping[str, Any], own: Mapping[str, Any], *, allow_resize: bool = False
) -> str:
    """In what two runs differ, in words; empty if they are the same run.

    Args:
        saved: The fingerprint in a resume point, maybe of an earlier version that knew less.
        own: The fingerprint at hand.
        allow_resize: Whether `SIZES` may differ.
    """
    known = {**_before(), **saved}
    other = [name for name in own if name in known and known[name] != own[name]]
    other = [name for name in other if not (allow_resize and name in SIZES)]
    texts = [f"its {name} is {known[name]!r}, this one's is {own[name]!r}" for name in other]
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    if not other:
        return ""
    return "; ".join(texts[:_SHOWN]) + more + _remedy(other)


def check_alike(processes: Processes, fingerprint: dict[str, Any], config: TrainConfig) -> None:
    """Refuse processes that would train something else than the first.

    Raises:
        ValueError: In every process, with what differs.
    """
    own = {**{f"train.{name}": value for name, value in asdict(config).items()}, **fingerprint}
    first, *others = processes.all_gather(own)
    for rank, other in enumerate(others, start=1):
        differing = [name for name in first if first[name] != other.get(name)]
        if differing:
            name = differing[0]
            raise shared_with_all(
                ValueError(
                    f"all processes must call fit alike, but {name} is {first[name]!r} in process "
                    f"0 and {other.get(name)!r} in process {rank}"
                )
            )


def _remedy(other: list[str]) -> str:
    if all(name in SIZES for name in other):
        return "; allow_resize goes on, not bit for bit"
    if all(name in DATA for name in other):
        return "; the data set has changed since: give that run its old images, or begin another"
    return ""


def _before() -> dict[str, Any]:
    """What held for runs whose resume points do not name it yet: the defaults."""
    settings = {
        f"train.{field.name}": field.default
        for field in fields(TrainConfig)
        if field.default is not MISSING and not isinstance(field.default, tuple)
    }
    return {"processes": 1, **settings}


def _mark(images: Split | Stream) -> str:
    """What tells the images of a split from others."""
    if isinstance(images, Stream):
        return images.fingerprint
    return f"{len(images)} images with checksum {images.checksum():08x}"


def _labels(images: Split | Stream) -> str:
    if isinstance(images, Stream):
        return "in the stream" if images.has_labels else "none"
    if images.labels is None:
        return "none"
    return f"checksum {zlib.crc32(images.labels.contiguous().numpy().data):08x}"


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
