"""Sets of Hugging Face's `datasets`: Arrow files, mapped so that they may exceed memory; streams.

Images of a stream to choose by and to report on must be the same each time, so its first ones are
taken into memory for that, and are never trained on.

The library is an optional part: `pip install 'nextpixel[datasets]'`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import torch
from torch import Tensor

from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.huggingface.columns import ColumnReader, Columns, Form, MapStyleDataset, Pixels
from nextpixel.data.huggingface.streams import (
    ImageStream,
    IterableDataset,
    Row,
    StreamSplits,
    next_row,
)
from nextpixel.data.splits import (
    Images,
    LazyPixels,
    Splits,
    Whole,
    hold_out_validation,
    number_names,
    tenth_held_out,
)
from nextpixel.errors import NextPixelError
from nextpixel.runtime.device import require

PREFIX = "hf:"
"""What the name of a set on the Hub begins with, here."""

HELD_OUT = 1000
"""Images of a stream taken for validation, and as many for the test, where nothing is said."""

_COLUMNS = Columns()
_MARKS = ("dataset_dict.json", "state.json")


def holds_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / name).is_file() for name in _MARKS)


def load_saved(config: DataConfig, folder: Path) -> Whole | Splits | StreamSplits:
    """Load a folder that `save_to_disk` wrote; see `load_splits`."""
    with _in_one_line(f"{folder}: cannot be read as a saved data set"):
        found = _library().load_from_disk(str(folder))
    return load_splits(config, _streamed(found) if config.streaming else found)


def load_named(config: DataConfig) -> Whole | Splits | StreamSplits:
    """Load `hf:FOLDER`, or `hf:OWNER/NAME` of the Hub (or of its cache); see `load_splits`.

    Raises:
        ValueError: If it can only mean a folder, and there is none.
        NextPixelError: If the set cannot be had.
    """
    word = config.name.removeprefix(PREFIX)
    folder = to_path(word)
    if word and folder.is_dir():
        return load_saved(config, folder) if holds_saved(folder) else _load_shards(config, folder)
    # The library would ask the Hub for a mistyped folder, and blame the network.
    is_name = re.fullmatch(r"\w[\w.-]*/[\w.-]+", word) and not Path(word.split("/")[0]).exists()
    if not is_name:
        raise ValueError(
            f"name must be {PREFIX}FOLDER or {PREFIX}OWNER/NAME, got {config.name!r}: "
            "no such folder"
        )
    with _in_one_line(f"{config.name}: no such folder here, and the Hub did not give it"):
        options = {"streaming": True} if config.streaming else {}
        found = _library().load_dataset(word, **options)
    return load_splits(config, found)


def _load_shards(config: DataConfig, folder: Path) -> Whole | Splits | StreamSplits:
    if not config.streaming:
        raise NextPixelError(
            f"{folder}: was not written by save_to_disk; other files of shards can be streamed "
            "(data.streaming)"
        )
    with _in_one_line(f"{folder}: cannot be streamed"):
        found = _library().load_dataset(str(folder), streaming=True)
    return load_splits(config, found)


def load_splits(
    config: DataConfig, found: object, columns: Columns = _COLUMNS
) -> Whole | Splits | StreamSplits:
    """Make splits of a `Dataset`, of an `IterableDataset`, or of several by name.

    Args:
        config: Its `size`, `channels`, `validation` and `seed` are used.
        found: A `datasets.Dataset`, in one piece; or a mapping (`DatasetDict`) with
            `train`, `test` and perhaps `validation`, which is else held out of `train`. Of streams,
            a missing `validation` or `test` is taken from the beginning of `train`.
        columns: Names of the columns.

    Raises:
        TypeError: If it is neither.
        ValueError: If a column is missing, or `config.validation` does not fit.
        NextPixelError: If an image cannot be decoded or a label is none.
    """
    if isinstance(found, Mapping) and len(found) == 1:
        (found,) = found.values()
    several = found if isinstance(found, Mapping) else {"train": found}
    streams = [isinstance(each, _library().IterableDataset) for each in several.values()]
    if streams and all(streams):
        return _split_streams(config, several, columns)
    if isinstance(found, Mapping):
        return _split_several(config, found, columns)
    images = _images(config, found, config.name, columns)
    names = _class_names(found, columns) or number_names(images.labels)
    _check_labels(images.labels, len(names), config.name)
    return Whole(images, names, None, notes=_notes(config))


# Random access


def _split_several(config: DataConfig, found: Mapping[str, object], columns: Columns) -> Splits:
    if not {"train", "test"} <= set(found):
        raise ValueError(
            f"{config.name} must have train and test among its splits, got {', '.join(found)}"
        )
    wanted = [split for split in ("train", "validation", "test") if split in found]
    made = {
        split: _images(config, found[split], f"{config.name}/{split}", columns) for split in wanted
    }
    train, test = made["train"], made["test"]
    if "validation" not in made:
        train, validation = hold_out_validation(train, config.validation, seed=config.seed)
        notes = tenth_held_out(config.validation)
    elif config.validation is not None:
        raise ValueError(
            f"validation must be left out where {config.name} has such a split, "
            f"got {config.validation}"
        )
    else:
        validation, notes = made["validation"], ()
    _check_alike(config, *((images.shape, images.labels is None) for images in made.values()))
    names = {split: _class_names(found[split], columns) for split in made}
    joined = _join(config, names) or number_names(*(images.labels for images in made.values()))
    for split, images in made.items():
        _check_labels(images.labels, len(joined), f"{config.name}/{split}")
    return Splits(train, validation, test, joined, None, notes=(*notes, *_notes(config)))


def _notes(config: DataConfig) -> tuple[str, ...]:
    size = config.size
    note = f"largest centered square of each picture resized to {size} x {size}"
    return () if size is None else (note,)


def _images(config: DataConfig, found: object, where: str, columns: Columns) -> Images:
    if not isinstance(found, _library().Dataset):
        raise TypeError(
            f"{where} must be a datasets.Dataset or IterableDataset, got {type(found).__name__}"
        )
    dataset = cast(MapStyleDataset, found)
    used = _present(columns, dataset.column_names, where)
    if not len(dataset):
        raise NextPixelError(f"{where}: must hold at least one image, got none")
    pixels = LazyPixels(
        ColumnReader(dataset, where, used.image, Form(config.size, config.channels))
    )
    return Images(pixels, None if used.label is None else _labels(dataset, where, used.label))


def _labels(dataset: MapStyleDataset, where: str, column: str) -> Tensor:
    labels = dataset.with_format("numpy").select_columns([column])[:][column]
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise NextPixelError(f"{where}: its column {column!r} must hold integers, one an image")
    if int(labels.min()) < 0:
        row = int(labels.argmin())
        raise NextPixelError(f"{where}: labels must be from 0, got {labels[row]} in row {row}")
    return torch.from_numpy(labels.astype(np.int64))


def _check_labels(labels: Tensor | None, classes: int, where: str) -> None:
    if labels is not None and int(labels.max()) >= classes:
        row = int(labels.argmax())
        raise NextPixelError(
            f"{where}: labels must be below {classes}, the number of its names, "
            f"got {int(labels[row])} in row {row}"
        )


# Streams


def _streamed(found: object) -> object:
    """The same set without random access, a shard a file."""
    if isinstance(found, Mapping):
        return {name: _streamed(split) for name, split in found.items()}
    whole = cast(MapStyleDataset, found)
    return whole.to_iterable_dataset(num_shards=max(1, min(len(whole.cache_files), len(whole))))


def _split_streams(
    config: DataConfig, found: Mapping[str, object], columns: Columns
) -> StreamSplits:
    if config.limit is not None:
        raise ValueError(
            f"limit must be left out for a stream, got {config.limit}; validation says how many "
            "images are held out, and the run's steps how many are trained on"
        )
    if "train" not in found:
        raise ValueError(f"{config.name} must have train among its splits, got {', '.join(found)}")
    train = _stream(config, found["train"], f"{config.name}/train", columns)
    first, taken, streams = _First(config, train), {}, {"train": train}
    for split in ("validation", "test"):
        if split in found:
            streams[split] = _stream(config, found[split], f"{config.name}/{split}", columns)
            other = _First(config, streams[split])
            taken[split] = other.take(exactly=False)
            first.fingerprints |= other.fingerprints
        else:
            taken[split] = first.take(exactly=True)
    _check_alike(config, *((stream.shape, not stream.has_labels) for stream in streams.values()))
    names = _join(config, {split: stream.class_names for split, stream in streams.items()})
    labels = (images.labels for images in taken.values())
    return StreamSplits(
        train,
        frozenset(first.fingerprints),
        class_names=names or number_names(*labels),
        **taken,
    )


def _stream(config: DataConfig, found: object, where: str, columns: Columns) -> ImageStream:
    rows = cast(IterableDataset, found).with_format(None)
    used = _present(columns, list(_first_row(rows, where)), where)
    feature = (rows.features or {}).get(used.image)
    if getattr(feature, "decode", False):  # decoded later, and only what this process trains on
        rows = rows.cast_column(used.image, replace(feature, decode=False))  # type: ignore[type-var]
    if rows.column_names is not None:
        rows = rows.select_columns([column for column in used if column])
    return ImageStream(
        rows,
        where,
        _first_row(rows, where),
        used,
        form=Form(config.size, config.channels),
        decoder=_library().Image().decode_example,
        class_names=_class_names(rows, used),
    )


def _first_row(rows: IterableDataset, where: str) -> Row:
    first = next_row(lambda: iter(rows), where, 0)
    if first is None:
        raise NextPixelError(f"{where}: must hold at least one image, got none")
    return first


class _First:
    """Takes the first images of a stream into memory."""

    def __init__(self, config: DataConfig, stream: ImageStream) -> None:
        self.stream, self.fingerprints = stream, set[bytes]()
        self.count = HELD_OUT if config.validation is None else config.validation
        self.rows: Iterator[Row] = iter(stream.rows)
        self.read = 0
        require(
            2 * self.count * math.prod(stream.shape),
            f"holding {self.count} images of {stream.where}",
            "give a smaller validation",
        )

    def take(self, *, exactly: bool) -> Images:
        """The next images that were not taken yet.

        Args:
            exactly: Whether fewer than asked for are an error: they are to be trained on as well.
        """
        pixels: list[Pixels] = []
        labels: list[int] = []
        while len(pixels) < self.count and (row := self._next()) is not None:
            fingerprint = self.stream.fingerprint(row, self.read)
            if fingerprint not in self.fingerprints:
                self.fingerprints.add(fingerprint)
                pixels.append(np.array(self.stream.pixels(row, self.read)))
                labels.append(self.stream.label(row, self.read))
            self.read += 1
        if not pixels or (exactly and len(pixels) < self.count):
            raise NextPixelError(
                f"{self.stream.where}: must have more images than are held out for validation and "
                f"test, {self.count} each, got {self.read}; give a smaller validation"
            )
        found = torch.tensor(labels) if self.stream.has_labels else None
        return Images(torch.from_numpy(np.stack(pixels)), found)

    def _next(self) -> Row | None:
        return next_row(lambda: self.rows, self.stream.where, self.read)


# Both


def _check_alike(config: DataConfig, *found: tuple[tuple[int, ...], bool]) -> None:
    """Refuse splits whose shapes differ, or of which some have labels."""
    if len(set(found)) > 1:
        raise NextPixelError(
            f"{config.name}: its splits must have images of one shape, and labels all or none, "
            f"got {', '.join(str(shape) for shape, _ in found)}"
        )


def _present(columns: Columns, found: Sequence[str], where: str) -> Columns:
    """The columns that there are; only labels under their usual name may be missing."""
    has_labels = columns.label in found
    for column in (columns.image, *(() if columns.label == _COLUMNS.label else (columns.label,))):
        if column is not None and column not in found:
            has = ", ".join(found) or "none"
            raise ValueError(f"{where} must have a column {column!r}, it has {has}")
    return columns if has_labels else Columns(columns.image, None)


def _class_names(found: object, columns: Columns) -> tuple[str, ...]:
    """Names of the classes, where the type of the column says them."""
    features = getattr(found, "features", None) or {}
    return tuple(getattr(features.get(columns.label), "names", None) or ())


def _join(config: DataConfig, names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the classes of all splits, since a label must mean the same in each."""
    named = {split: found for split, found in names.items() if found}
    if len(set(named.values())) > 1:
        each = " and ".join(f"{', '.join(found)} in {split}" for split, found in named.items())
        raise NextPixelError(f"{config.name}: its splits must name their classes alike, got {each}")
    return next(iter(named.values()), ())


def _library() -> ModuleType:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise NextPixelError(
            "data sets of Hugging Face need the library datasets, which is not installed; "
            "pip install 'nextpixel[datasets]'"
        ) from error


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Say in one line what the library raises, which may be anything."""
    try:
        yield
    except (NextPixelError, MemoryError):
        raise
    except Exception as error:
        raise NextPixelError(f"{what}: {type(error).__name__}: {error}") from error
