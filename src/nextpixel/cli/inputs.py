"""What commands read: models, masks, conditions; and checks of files they write.

Several processes of torchrun carry out a command together, each on its device, as a team.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.cli.images import data_of
from nextpixel.data.sources.pictures import ENDINGS, read_picture
from nextpixel.errors import NextPixelError, nearest
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
