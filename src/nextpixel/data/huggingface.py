"""Sets of Hugging Face's `datasets`: Arrow files that are mapped, so they may exceed memory.

The library is an optional part: `pip install 'nextpixel[datasets]'`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.parts import (
    Images,
    Parts,
    StreamParts,
    hold_out_validation,
    number_names,
    split_images,
)
from nextpixel.data.rows import Rows
from nextpixel.data.streaming import load_streams
from nextpixel.data.table import DatasetRows, Table
from nextpixel.errors import NextPixelError

PREFIX = "hf:"
"""What the name of a set on the Hub begins with, here."""

_MARKS = ("dataset_dict.json", "state.json")


def holds_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / name).is_file() for name in _MARKS)


def load_saved(config: DataConfig, folder: Path) -> Parts | StreamParts:
    """Load a folder that `save_to_disk` wrote; see `load_parts`."""
    with _calm(f"{folder}: cannot be read as a saved data set"):
        found = _library().load_from_disk(str(folder))
    return load_parts(config, _streamed(found) if config.streaming else found)


def load_named(config: DataConfig) -> Parts | StreamParts:
    """Load `hf:FOLDER`, or `hf:OWNER/NAME` of the Hub (or of its cache); see `load_parts`.

    Raises:
        ValueError: If it can only mean a folder, and there is none.
        NextPixelError: If the set cannot be had.
    """
    word = config.name.removeprefix(PREFIX)
    folder = to_path(word)
    if word and folder.is_dir():
        if holds_saved(folder):
            return load_saved(config, folder)
        if not config.streaming:
            raise NextPixelError(
                f"{folder}: was not written by save_to_disk; other files of shards can be streamed "
                "(data.streaming)"
            )
        with _calm(f"{folder}: cannot be streamed"):
            found = _library().load_dataset(str(folder), streaming=True)
        return load_parts(config, found)
    # The library would ask the Hub for a mistyped folder, and blame the network.
    is_name = re.fullmatch(r"\w[\w.-]*/[\w.-]+", word) and not Path(word.split("/")[0]).exists()
    if not is_name:
        raise ValueError(
            f"name must be {PREFIX}FOLDER or {PREFIX}OWNER/NAME, got {config.name!r}: "
            "no such folder"
        )
    with _calm(f"{config.name}: no such folder here, and the Hub did not give it"):
        options = {"streaming": True} if config.streaming else {}
        found = _library().load_dataset(word, **options)
    return load_parts(config, found)


def load_parts(
    config: DataConfig, found: object, *, image: str = "image", label: str = "label"
) -> Parts | StreamParts:
    """Make parts of a `Dataset`, of an `IterableDataset`, or of several by name.

    Args:
        config: Its `size`, `validation` and `seed` are used.
        found: A `datasets.Dataset`, split 80/10/10 by the seed; or a mapping (`DatasetDict`) with
            `train`, `test` and perhaps `validation`, which is else held out of `train`. For
            streams, see `streaming.load_streams`.
        image: Column of pictures, or of arrays (H, W), (C, H, W) or (H, W, C) of 8-bit pixels.
        label: Column of labels; a set without it has none.

    Raises:
        TypeError: If it is neither.
        ValueError: If a column is missing, or there is too little to split.
        NextPixelError: If an image cannot be decoded or a label is none.
    """
    if isinstance(found, Mapping) and len(found) == 1:
        (found,) = found.values()
    several = found if isinstance(found, Mapping) else {"train": found}
    streams = [isinstance(each, _library().IterableDataset) for each in several.values()]
    if streams and all(streams):
        return load_streams(config, several, image, label, _library().Image)
    if isinstance(found, Mapping):
        return _of_several(config, found, image, label)
    images, names = _images(config, found, config.name, image, label)
    return Parts(*split_images(images, config.validation, seed=config.seed), names, None)


def _of_several(config: DataConfig, found: Mapping[str, object], image: str, label: str) -> Parts:
    if not {"train", "test"} <= set(found):
        raise ValueError(
            f"{config.name} must have train and test among its splits, got {', '.join(found)}"
        )
    wanted = [part for part in ("train", "validation", "test") if part in found]
    made = {
        part: _images(config, found[part], f"{config.name}/{part}", image, label) for part in wanted
    }
    names = max((names for _, names in made.values()), key=len)
    train, test = made["train"][0], made["test"][0]
    if "validation" not in made:
        train, held = hold_out_validation(train, config.validation, seed=config.seed)
    elif config.validation is not None:
        raise ValueError(
            f"validation must be left out where {config.name} has such a split, "
            f"got {config.validation}"
        )
    else:
        held = made["validation"][0]
    _check_alike(config, train, held, test)
    return Parts(train, held, test, names, None)


def _streamed(found: object) -> object:
    """The same set without random access, a shard a file."""
    if isinstance(found, Mapping):
        return {name: _streamed(part) for name, part in found.items()}
    whole = cast(Table, found)
    return whole.to_iterable_dataset(num_shards=max(1, min(len(whole.cache_files), len(whole))))


def _check_alike(config: DataConfig, *parts: Images) -> None:
    if len({(part.shape, part.labels is None) for part in parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise NextPixelError(
            f"{config.name}: its splits must have images of one shape, and labels all or none, "
            f"got {shapes}"
        )


def _images(
    config: DataConfig, found: object, where: str, image: str, label: str
) -> tuple[Images, tuple[str, ...]]:
    if not isinstance(found, _library().Dataset):
        raise TypeError(
            f"{where} must be a datasets.Dataset or IterableDataset, got {type(found).__name__}"
        )
    table = cast(Table, found)
    if image not in table.column_names:
        columns = ", ".join(table.column_names)
        raise ValueError(f"{where} must have a column {image!r}, it has {columns or 'none'}")
    if not len(table):
        raise NextPixelError(f"{where}: must hold at least one image, got none")
    rows = Rows(DatasetRows(table, where, image, config.size))
    labels = _labels(table, where, label) if label in table.column_names else None
    names = getattr(table.features.get(label), "names", None)
    return Images(rows, labels), tuple(names) if names else number_names(labels)


def _labels(found: Table, where: str, label: str) -> Tensor:
    column = found.with_format("numpy").select_columns([label])[:][label]
    if column.dtype.kind not in "iu" or column.ndim != 1:
        raise NextPixelError(f"{where}: its column {label!r} must hold integers, one an image")
    if int(column.min()) < 0:
        row = int(column.argmin())
        raise NextPixelError(f"{where}: labels must be from 0, got {column[row]} in row {row}")
    return torch.from_numpy(column.astype(np.int64))


def _library() -> ModuleType:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise NextPixelError(
            "data sets of Hugging Face need the library datasets, which is not installed; "
            "pip install 'nextpixel[datasets]'"
        ) from error


@contextmanager
def _calm(what: str) -> Iterator[None]:
    """Say in one line what the library raises, which may be anything."""
    try:
        yield
    except (NextPixelError, MemoryError):
        raise
    except Exception as error:
        raise NextPixelError(f"{what}: {type(error).__name__}: {error}") from error
