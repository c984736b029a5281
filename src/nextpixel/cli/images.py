"""The images that commands read: one reader of files, folders and named sets, for all of them.

What a path holds is decided where training decides it (`nextpixel.data.load`), and its numbers
become levels as they did when the model was trained. A file or folder of the user's is measured
whole, but for images that the model may have been trained on: see `read_part`.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from nextpixel import checkpoint
from nextpixel.codec.chunks import label_classes
from nextpixel.config import build as build_config
from nextpixel.data import Dataset, Split, load_config
from nextpixel.data import names as named_sets
from nextpixel.data.config import DataConfig, to_path
from nextpixel.data.dataset import Source, make_part
from nextpixel.data.huggingface.streams import StreamSplits
from nextpixel.data.load import load_source
from nextpixel.data.sources.arrays import channels_for
from nextpixel.data.sources.folder import Wanted
from nextpixel.data.splits import Whole
from nextpixel.models import PixelModel
from nextpixel.order import Shape


@dataclass(frozen=True)
class Part:
    """Images of a file, a folder or a named set, all or some of them.

    Attributes:
        images: Of the model's colors and levels, of any sizes.
        split: "all", "train", "validation" or "test".
        total: How many images all parts have; None of a named set, of a stream, and in tiles.
        trained: Whether the model was trained on the same data.
    """

    images: Split
    split: str
    total: int | None
    trained: bool

    def describe(self) -> str:
        """Which part it is, for people; empty where it is all, or of a named set."""
        if self.split == "all" or self.total is None:
            return ""
        count, source = len(self.images), self.images.name.rpartition("/")[0]
        why = ", on which the model was trained" if self.trained else ""
        return (
            f"the {self.split} part of {source}{why}: {count:,} of {self.total:,} images; "
            "--split all takes all of them"
        )


def read_part(
    folder: str,
    model: PixelModel,
    name: str | None,
    split: str | None = None,
    *,
    files: str | None = None,
    first: int | None = None,
    measured: bool = True,
) -> Part:
    """The images to measure a model on, or to draw from.

    Args:
        folder: The model's folder, whose `config.json` says what it was trained on.
        model: The model.
        name: A data set or a path; None takes what it was trained on, made the same way.
        split: "all", "train", "validation" or "test". None: the test part of a named set, of what
            has one of its own, and of what the model was trained on; all of any other file.
        files: Folder of a data set that is not shipped; None takes that of the training.
        first: Only the first so many.
        measured: Whether it is for figures, which images that were trained on would flatter.

    Raises:
        ValueError: If there is no such data set, or its images are not the model's.
        NextPixelError: If a file cannot be read.
    """
    trained = _trained_on(folder)
    own = name is None or _is_same(name, trained.get("name"))
    config = _data_config(folder, model, name)
    config = config if files is None else replace(config, folder=files)
    held_out = measured and own
    undivided = split == "all" or (split is None and not held_out)
    first_read = first if undivided and config.crop is None else None
    wanted = Wanted(first_read, model.colors, any_size=True)
    source = load_source(config, wanted)
    if split is None:
        whole = isinstance(source, Whole) and not held_out and config.name not in named_sets()
        split = "all" if whole else "test"
    images = by_name(make_part(config, source, split), source.class_names, folder, model)
    if images.shape[0] != model.colors:
        check_shape(images.shape, images.name, model)
    part = Part(images, split, _count(config, source), own)
    return part if first is None else replace(part, images=images.take(first))


def _count(config: DataConfig, source: Source) -> int | None:
    if config.name in named_sets() or config.crop is not None or isinstance(source, StreamSplits):
        return None
    if isinstance(source, Whole):
        return len(source.images)
    return sum(map(len, (source.train, source.validation, source.test)))


def data_of(folder: str, model: PixelModel, name: str | None) -> Dataset:
    """The data set that a model was trained on, or another one, in its splits.

    Raises:
        ValueError: If there is no such data set, or its images are not the model's.
        NextPixelError: If a file cannot be read.
    """
    data = load_config(_data_config(folder, model, name))
    check_shape(data.shape, data.name, model)
    return data


def check_shape(shape: Shape, name: str, model: PixelModel) -> None:
    """Refuse images of another shape than the model's.

    Raises:
        ValueError: Naming both.
    """
    if shape != model.shape:
        raise ValueError(
            f"images must have shape {model.shape} for this model, got {shape} of {name}"
        )


def by_name(images: Split, found: Sequence[str], folder: str, model: PixelModel) -> Split:
    """Images whose labels are those that their classes had when the model was trained.

    Args:
        images: Labelled by the place of a class in `found`.
        found: Names of their classes.
        folder: The model's folder, which keeps names that are more than numbers.
        model: The model.

    Raises:
        ValueError: If a class has a name that none of the training had.
    """
    named = _trained_on(folder).get("class_names")
    names = named or list(map(str, range(label_classes(model))))
    other = [name for name in found if name not in names]
    numbers_only = list(found) == list(map(str, range(len(found))))
    if images.labels is None or numbers_only or not label_classes(model):
        return images
    if other and not named:
        taken = ", ".join(f"{name} as {number}" for number, name in enumerate(found[:4]))
        more = ", ..." if len(found) > 4 else ""
        warnings.warn(
            f"the model keeps no names of classes: those of {images.name} are taken in their "
            f"order, {taken}{more}",
            stacklevel=2,
        )
        return images
    if other:
        raise ValueError(
            f"classes must be some of those that the model was trained on, {', '.join(names)}, "
            f"got {other[0]!r} of {images.name}"
        )
    numbers = torch.tensor([names.index(name) for name in found])
    return replace(images, labels=numbers[images.labels])


def _trained_on(folder: str) -> Mapping[str, Any]:
    return checkpoint.read_config(checkpoint.find(folder)).get("data") or {}


def _is_same(name: str, trained: str | None) -> bool:
    """Whether two names are of the same data."""
    if trained is None or name == trained:
        return name == trained
    if trained in named_sets() or name in named_sets():
        return False
    return to_path(name).resolve() == to_path(trained).resolve()


def _data_config(folder: str, model: PixelModel, name: str | None) -> DataConfig:
    trained, path = _trained_on(folder), checkpoint.find(folder)
    if name is not None and not _is_same(name, trained.get("name")):
        kept = _kept(trained, name, model.levels)
        kept["channels"] = channels_for(to_path(name), model.colors)
        return DataConfig(name=name, levels=model.levels, **kept)
    if "name" not in trained:
        raise ValueError(f"data must be given, since {path} does not say what it was trained on")
    known = {field.name for field in fields(DataConfig)}
    kept = {key: value for key, value in trained.items() if key in known}
    config = build_config(DataConfig, kept, f"{path / checkpoint.CONFIG}: data")
    return replace(config, name=name or config.name, limit=None, levels=model.levels)


def _kept(trained: Mapping[str, Any], name: str, levels: int) -> dict[str, Any]:
    """What of a model's own data also holds for other data: how numbers of many levels are read."""
    deep = levels > 256 and trained.get("protocol") == "quantized"
    kept = {"offset": trained.get("offset") or 0}
    if name not in named_sets():  # of a file that was moved: what was held out in training
        kept["seed"] = trained.get("seed") or 0
    else:
        kept["crop"] = trained.get("crop")
    return kept | ({"protocol": "quantized"} if deep else {})


def offset_of(folder: str) -> int:
    """What is added to the numbers of files, as of those that a model was trained on."""
    return int(_trained_on(folder).get("offset") or 0)


def note_of_name(folder: str, name: str | None) -> str:
    """A doubt to be said: a model was trained on a file of this name, in another place."""
    trained = _trained_on(folder).get("name")
    if name is None or trained is None or {name, trained} & set(named_sets()):
        return ""
    if _is_same(name, trained) or Path(name).name != Path(trained).name:
        return ""
    return (
        f"the model was trained on {trained}; if {name} holds the same images, --split test "
        "measures those alone that training left out"
    )
