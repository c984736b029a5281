"""Streams of Hugging Face's `datasets`: what does not fit on the disk, or has no random access.

Images to choose by and to report on must be the same each time, so the first of a stream are taken
into memory for that, and are never trained on.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from nextpixel.data.column import Pixels
from nextpixel.data.config import DataConfig
from nextpixel.data.flow import Flow
from nextpixel.data.parts import Images, StreamParts, number_names
from nextpixel.data.shards import Row, RowStream, read_row
from nextpixel.errors import NextPixelError
from nextpixel.runtime.memory import require

HELD = 1000
"""Images taken for validation, and as many for the test, where nothing is said."""

BUFFER = 1000
"""Images that are shuffled together, where nothing is said."""


def load_streams(
    config: DataConfig, found: Mapping[str, object], image: str, label: str, decoder: type
) -> StreamParts:
    """Make parts of one stream, or of several by name.

    Args:
        config: Its `size` and `validation` are used.
        found: `train`, perhaps `validation` and `test`; what is missing is taken from `train`.
        image: Column of pictures, or of arrays of 8-bit pixels.
        label: Column of labels; a set without it has none.
        decoder: `datasets.Image`.

    Raises:
        ValueError: If there is no `train`, or a column or an option is wrong.
        NextPixelError: If a stream cannot be read, or is too short.
    """
    if config.limit is not None:
        raise ValueError(
            f"limit must be left out for a stream, got {config.limit}; validation says how many "
            "images are held out, and the run's steps how many are trained on"
        )
    if "train" not in found:
        raise ValueError(f"{config.name} must have train among its splits, got {', '.join(found)}")
    train = _flow(config, found["train"], f"{config.name}/train", image, label, decoder)
    held = _Held(config, train)
    flows = {part: found[part] for part in ("validation", "test") if part in found}
    taken = {}
    for part in ("validation", "test"):
        if part in flows:
            where = f"{config.name}/{part}"
            other = _Held(config, _flow(config, flows[part], where, image, label, decoder))
            taken[part] = other.take(part, exactly=False)
            held.marks |= other.marks
        else:
            taken[part] = held.take(part, exactly=True)
    validation, test = taken["validation"], taken["test"]
    _check_alike(config, train, validation, test)
    names = train.class_names or number_names(validation.labels, test.labels)
    return StreamParts(train, frozenset(held.marks), validation, test, names)


def _flow(
    config: DataConfig, found: object, where: str, image: str, label: str, decoder: type
) -> Flow:
    rows = cast(RowStream, found).with_format(None)
    first = read_row(lambda: next(iter(rows), None), where, 0)
    if first is None:
        raise NextPixelError(f"{where}: must hold at least one image, got none")
    if image not in first:
        columns = ", ".join(first)
        raise ValueError(f"{where} must have a column {image!r}, it has {columns or 'none'}")
    used = (image, label if label in first else None)
    feature = (rows.features or {}).get(image)
    if getattr(feature, "decode", False):  # decoded later, and only what this process trains on
        rows = rows.cast_column(image, replace(feature, decode=False))  # type: ignore[type-var]
    if rows.column_names is not None:
        rows = rows.select_columns([column for column in used if column])
    names = getattr((rows.features or {}).get(label), "names", None) or ()
    first = read_row(lambda: next(iter(rows), None), where, 0)
    assert first is not None
    return Flow(
        rows,
        where,
        first,
        used,
        size=config.size,
        decoder=decoder().decode_example,
        class_names=tuple(names),
    )


class _Held:
    """Takes the first images of a stream into memory."""

    def __init__(self, config: DataConfig, flow: Flow) -> None:
        self.flow, self.marks = flow, set[bytes]()
        self.count = HELD if config.validation is None else config.validation
        self.rows: Iterator[Row] = iter(flow.rows)
        self.read = 0
        require(
            2 * self.count * math.prod(flow.shape),
            f"holding {self.count} images of {flow.where}",
            "give a smaller validation",
        )

    def take(self, part: str, *, exactly: bool) -> Images:
        """The next images that were not taken yet.

        Args:
            part: What for.
            exactly: Whether fewer than asked for are an error: they are to be trained on as well.
        """
        pixels: list[Pixels] = []
        labels: list[int] = []
        while len(pixels) < self.count and (row := self._next()) is not None:
            mark = self.flow.mark(row, self.read)
            if mark not in self.marks:
                self.marks.add(mark)
                pixels.append(np.array(self.flow.pixels(row, self.read)))
                labels.append(self.flow.label(row, self.read))
            self.read += 1
        if not pixels or (exactly and len(pixels) < self.count):
            raise NextPixelError(
                f"{self.flow.where}: must have more images than are held out for validation and "
                f"test, {self.count} each, got {self.read}; give a smaller validation"
            )
        found = torch.tensor(labels) if self.flow.has_labels else None
        return Images(torch.from_numpy(np.stack(pixels)), found)

    def _next(self) -> Row | None:
        return read_row(lambda: next(self.rows, None), self.flow.where, self.read)


def _check_alike(config: DataConfig, train: Flow, *parts: Images) -> None:
    shapes = [train.shape, *(part.shape for part in parts)]
    labelled = {train.has_labels, *(part.labels is not None for part in parts)}
    if len(set(shapes)) > 1 or len(labelled) > 1:
        raise NextPixelError(
            f"{config.name}: its splits must have images of one shape, and labels all or none, "
            f"got {', '.join(map(str, shapes))}"
        )
