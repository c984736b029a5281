"""What commands read: models, data sets, images, masks, conditions; and checks of files they write.

Several processes of torchrun carry out a command together, each on its device, as a team.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.config import build as build_config
from nextpixel.data import Dataset, load_config
from nextpixel.data.config import DataConfig
from nextpixel.data.sources.folder import ENDINGS, list_pictures, read_picture
from nextpixel.errors import NextPixelError, nearest
from nextpixel.images import depth_of, level_dtype, quantize
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition, Value
from nextpixel.runtime.device import choose_device
from nextpixel.runtime.distributed import Processes, joined

Result = TypeVar("Result")

SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True)
class Team:
    """The processes of a command, and the device of this one."""

    processes: Processes
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self.processes.is_first

    def first(self, work: Callable[[], Result]) -> Result:
        """What the first process alone finds, or fails at, for all of them."""
        return self.processes.first(work)

    def each(self, work: Callable[[], Result]) -> Result:
        """What every process finds for itself; where one fails, all do."""
        return self.processes.each(work)

    def load(self, folder: str) -> PixelModel:
        """Read a model onto this process's device.

        Raises:
            ValueError: If there is none.
            NextPixelError: If its files are damaged.
        """
        return self.each(lambda: npx.load(folder).to(self.device))

    def say(self, text: str) -> None:
        """Print, by the first process alone."""
        if self.is_first:
            print(text)


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes of torchrun, if it has started this one, while a command is carried out.

    Args:
        device: "auto", "cpu" or "cuda".

    Raises:
        ValueError: If there is no such device.
        NextPixelError: If the other processes cannot be reached.
    """
    chosen = choose_device(device)
    with joined(chosen) as processes:
        yield Team(processes, chosen)


def check_count(name: str, count: int | None) -> None:
    """Refuse a number of things below 1; None is no number.

    Raises:
        ValueError: Naming the option.
    """
    if count is not None and count < 1:
        raise ValueError(f"{name} must be at least 1, got {count}")


def warn_of_cost(method: str, model: PixelModel) -> None:
    """Say what "recompute" costs, before it does."""
    if method == "recompute":
        _, height, width = model.shape
        warnings.warn(
            f"method recompute runs the network for each of {height * width} pixels; the engine "
            "draws the same images at about the cost of one run",
            stacklevel=2,
        )


def check_out(path: Path, endings: tuple[str, ...], option: str = "out") -> None:
    """Refuse a file that cannot be written, before any work is done.

    Args:
        path: The file.
        endings: Of its name, one of which it must have.
        option: What errors call it.

    Raises:
        ValueError: If its name has another ending.
        NextPixelError: If its folder cannot be made or written.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(f"{option} must end in {' or '.join(endings)}, got {str(path)!r}")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written; it is made when something is written.

    Raises:
        NextPixelError: If it cannot.
    """
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            raise NextPixelError(f"cannot write {folder}: {there} is a file, no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError
    except PermissionError as error:
        raise NextPixelError(f"cannot write {folder}: no permission") from error


def data_of(folder: str, model: PixelModel, name: str | None, files: str | None = None) -> Dataset:
    """The data set to measure a model on.

    Args:
        folder: The model's folder, whose `config.json` says what it was trained on.
        model: The model.
        name: Another data set or path; None takes the one it was trained on, made the same way.
        files: Folder of a data set that is not shipped; None takes that of the training.

    Raises:
        ValueError: If there is no such data set, or its images are not the model's.
        NextPixelError: If a file cannot be read.
    """
    config = _data_config(folder, model, name)
    data = load_config(config if files is None else replace(config, folder=files))
    if data.shape != model.shape:
        raise ValueError(
            f"data must have images of shape {model.shape} for this model, "
            f"got {data.shape} of {data.name}"
        )
    return data


def _data_config(folder: str, model: PixelModel, name: str | None) -> DataConfig:
    path = checkpoint.find(folder)
    trained = checkpoint.read_config(path).get("data") or {}
    if name is not None and name != trained.get("name"):
        return DataConfig(name=name, levels=model.levels, **_kept(trained, model.levels))
    if "name" not in trained:
        raise ValueError(f"data must be given, since {path} does not say what it was trained on")
    known = {field.name for field in fields(DataConfig)}
    kept = {key: value for key, value in trained.items() if key in known}
    config = build_config(DataConfig, kept, f"{path / checkpoint.CONFIG}: data")
    return replace(config, limit=None, levels=model.levels)


def read_images(
    source: str, folder: str, model: PixelModel, count: int
) -> tuple[Tensor, list[int] | None]:
    """The first images of a picture, a folder of pictures, a `.npy` or a data set's test images.

    Args:
        source: Path, or name of a data set.
        folder: The model's folder.
        model: Its shape and K are those asked for.
        count: How many at most.

    Returns:
        Levels, shape (N, C, H, W), and the labels of a data set that has some.

    Raises:
        ValueError: If there is no such source; the model itself checks shape and range.
        NextPixelError: If a file cannot be read.
    """
    check_count("images-count", count)
    path = Path(source)
    if path.suffix.lower() == ".npy":
        images = _read_array(
            path, model.levels, offset_of(folder), pixels=has_pixels(folder, model)
        )
    elif path.suffix.lower() in ENDINGS:
        images = _read_pictures([path], model, pixels=has_pixels(folder, model))
    elif path.is_dir():
        pictures = [picture for picture, _ in list_pictures(path)][:count]
        images = _read_pictures(pictures, model, pixels=has_pixels(folder, model))
    else:
        test = data_of(folder, model, source).test.take(count)
        return test.levels, None if test.labels is None else test.labels.tolist()
    return images[:count], None


def _kept(trained: Mapping[str, Any], levels: int) -> dict[str, Any]:
    """What of a model's own data also holds for other data: how numbers of many levels are read."""
    deep = levels > 256 and trained.get("protocol") == "quantized"
    kept = {"offset": trained.get("offset") or 0, "crop": trained.get("crop")}
    return kept | ({"protocol": "quantized"} if deep else {})


def has_pixels(folder: str, model: PixelModel) -> bool:
    """Whether a model of many levels was trained on pixels of 16 bits that were quantised."""
    data = checkpoint.read_config(checkpoint.find(folder))["data"]
    return model.levels > 256 and data.get("protocol") == "quantized"


def offset_of(folder: str) -> int:
    """What is added to the numbers of files, as of those that a model was trained on."""
    offset = checkpoint.read_config(checkpoint.find(folder))["data"].get("offset", 0)
    return int(offset or 0)


def _read_array(path: Path, levels: int, offset: int, *, pixels: bool) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise NextPixelError(f"{path}: cannot be read as an array: {error}") from error
    whole = isinstance(array, np.ndarray) and array.dtype.kind in "biu" and array.ndim in (3, 4)
    array = array.astype(np.int64) + offset if whole and array.dtype.kind != "b" else array
    if not whole or not array.size or array.min() < 0 or array.max() > 65535:
        raise NextPixelError(
            f"{path}: must hold levels or pixels, integers 0 to 65535 of shape (N, H, W) or "
            "(N, C, H, W)"
        )
    images = torch.from_numpy(array.astype(np.int32))
    images = images.unsqueeze(1) if images.ndim == 3 else images
    highest = int(images.max())
    if pixels:
        images = quantize(images, levels, 16)
    elif highest >= levels:
        images = quantize(images, levels, depth_of(highest + 1))
    return images.to(level_dtype(levels))


def _read_pictures(paths: list[Path], model: PixelModel, *, pixels: bool) -> Tensor:
    return torch.stack([_read_picture(path, model, pixels=pixels) for path in paths])


def _read_picture(path: Path, model: PixelModel, *, pixels: bool) -> Tensor:
    colors, height, width = model.shape
    read = read_picture(path, None)
    depth, values = 8 * read.dtype.itemsize, torch.from_numpy(read.astype(np.int32))
    found = (1 if values.ndim == 2 else values.shape[2], *values.shape[:2])
    fits = found[0] in ((1, colors) if colors == 3 else (colors,))
    if found[1:] != (height, width) or not fits:
        raise ValueError(f"{path} must have shape {model.shape} for this model, got {found}")
    planes = values.permute(2, 0, 1) if values.ndim == 3 else values.expand(colors, -1, -1)
    if model.levels > 256 and not pixels and int(planes.max()) < model.levels:
        return planes.to(level_dtype(model.levels))
    return quantize(planes, model.levels, depth)


def read_known(known: str, model: PixelModel, option: str = "known") -> Tensor:
    """Which pixels are known: half of the image, or the white ones of a mask picture.

    Args:
        known: "top", "bottom", "left", "right", or the path of a picture of the image's size.
        model: Its shape is the image's.
        option: What errors call it.

    Returns:
        Boolean, shape (H, W).

    Raises:
        ValueError: If it is neither, or of another size.
        NextPixelError: If the picture cannot be read.
    """
    _, height, width = model.shape
    if known in SIDES:
        mask = torch.zeros(height, width, dtype=torch.bool)
        rows = {"top": slice(height // 2), "bottom": slice(height // 2, None)}
        columns = {"left": slice(width // 2), "right": slice(width // 2, None)}
        mask[rows.get(known, slice(None)), columns.get(known, slice(None))] = True
        return mask
    if Path(known).suffix.lower() not in ENDINGS:
        text = f"{option} must be {', '.join(SIDES)} or the path of a mask picture, got {known!r}"
        raise ValueError(f"{text}; {nearest(known, SIDES)}")
    pixels = torch.tensor(read_picture(Path(known), None))
    if pixels.shape[:2] != (height, width):
        raise ValueError(
            f"{option} must be {width} x {height} pixels for this model, "
            f"got {pixels.shape[1]} x {pixels.shape[0]} in {known}"
        )
    return (pixels >= 128) if pixels.ndim == 2 else (pixels >= 128).all(2)


def write_array(levels: Tensor, path: Path) -> None:
    """Write levels as a `.npy`: of uint8, or of uint16 where there are more than 256.

    Raises:
        NextPixelError: If the file cannot be written.
    """
    buffer = BytesIO()
    kind = np.uint8 if levels.dtype == torch.uint8 else np.uint16
    np.save(buffer, levels.numpy().astype(kind), allow_pickle=False)
    checkpoint.replace_file(path, buffer.getvalue())


def condition_for(
    folder: str, model: PixelModel, count: int, labels: Sequence[int] | None = None
) -> Value | None:
    """The condition of `count` images to draw.

    Args:
        folder: The model's folder; of an auto-encoder, the codes are those of the first test images
            of the data set it was trained on.
        model: The model.
        count: How many images.
        labels: Labels to go through in turn; None goes through all classes.

    Returns:
        One entry an image, or None for a model that takes no condition.

    Raises:
        ValueError: If labels are given to a model that takes none, or the model takes what the
            command line cannot give.
    """
    if codes_its_images(model):
        refuse_labels(labels)
        return codes_of(model, data_of(folder, model, None).test.levels[:count], count)
    return labels_for(model, count, labels)


def own_labels(model: PixelModel, labels: Sequence[int] | None) -> Sequence[int] | None:
    """The labels that images came with, for a model that takes such labels."""
    conditions = model.conditioner.conditions
    if not labels or not conditions or not isinstance(conditions[0], ClassCondition):
        return None
    return labels if max(labels) < conditions[0].classes else None


def labels_for(model: PixelModel, count: int, labels: Sequence[int] | None) -> Value | None:
    """`count` labels, going through the given ones, or all classes, in turn.

    Raises:
        ValueError: As `condition_for`.
    """
    conditions = model.conditioner.conditions
    if not conditions:
        refuse_labels(labels)
        return None
    if len(conditions) > 1 or not isinstance(conditions[0], ClassCondition):
        raise ValueError(
            f"model takes {model.conditioner.describe()}, which only the Python functions can give"
        )
    chosen = list(labels) if labels else list(range(conditions[0].classes))
    _check_labels(chosen, conditions[0])
    return torch.tensor([chosen[image % len(chosen)] for image in range(count)])


def _check_labels(labels: Sequence[int], condition: ClassCondition) -> None:
    least, most = -1 if condition.dropout else 0, condition.classes - 1
    wrong = [label for label in labels if not least <= label <= most]
    if wrong:
        unknown = ", or -1 for unknown" if condition.dropout else ""
        raise ValueError(f"label must be 0..{most}{unknown}, got {wrong[0]}")


def codes_of(model: PixelModel, levels: Tensor, count: int) -> Value | None:
    """Codes of images, gone through in turn until there are `count`."""
    with evaluation_mode(model), torch.inference_mode():
        images = levels[torch.arange(count) % len(levels)]
        return model.own_condition(images.to(next(model.parameters()).device))


def codes_its_images(model: PixelModel) -> bool:
    """Whether a model makes its condition of images by itself."""
    device = next(model.parameters()).device
    blank = torch.zeros(1, *model.shape, dtype=torch.int64, device=device)
    return model.own_condition(blank) is not None


def refuse_labels(labels: Sequence[int] | None) -> None:
    """Refuse labels for a model that takes none.

    Raises:
        ValueError: If there are any.
    """
    if labels:
        raise ValueError("label must be left out: the model takes no class labels")
