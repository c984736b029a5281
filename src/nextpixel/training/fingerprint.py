"""What makes a run that run: model, data and settings; a resume point of another is refused.

The images and labels enter by their number, shape and checksum, so that a data set that was
rewritten between stop and resume is noticed, and so is one that differs between processes.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from nextpixel.data import Dataset, Split, Stream
from nextpixel.errors import shared_with_all
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
