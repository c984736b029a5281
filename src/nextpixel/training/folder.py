"""The folder of one run: which files it has, and whether it may be used.

A folder is written by one run at a time. The operating system holds the lock for the process and
lets it go when the process ends, however it ends: a run that was killed leaves nothing to clean up.
The file stays; it holds the number of the process that has or had the lock.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextpixel import checkpoint
from nextpixel.data import Dataset, Split
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition
from nextpixel.training.config import TrainConfig
from nextpixel.training.metrics import Metrics, TensorBoard, write_metrics
from nextpixel.training.resume import (
    PREVIOUS,
    STATE,
    check_state,
    differences,
    fingerprint_of,
    read_state,
    write_state,
)

if sys.platform != "win32":
    import fcntl

WITHOUT_IMAGES = "classes_without_images"
"""Key of the data in `config.json`: classes of the model that no training image had."""
LOCK = Path("resume") / "lock"
RECIPE = "recipe.yaml"
"""All that `nextpixel train --resume` needs to know of a run."""


class RunFolder:
    """Files of a run; without a folder, nothing is written.

    Args:
        folder: Where, or None.
        model: The model; its settings are in the run's fingerprint.
        data: Its name, protocol, images and labels are in it too.
        config: So are its settings, but for `resume.FREE_TO_CHANGE`.
        description: Of the data, for `config.json`.
        processes: How many share each batch.
    """

    def __init__(
        self,
        folder: str | Path | None,
        model: PixelModel,
        data: Dataset,
        config: TrainConfig,
        description: dict[str, Any],
        *,
        processes: int = 1,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.description = {**description, "protocol": data.protocol, **_names_of(data)}
        self.training = asdict(config)
        self.board: TensorBoard | None = None
        self.last_is_whole = True  # the last resume point, as far as is known
        self.tensorboard = config.tensorboard
        self.fingerprint = fingerprint_of(model, data, config, processes)

    @contextmanager
    def claimed(self, *, resume: bool) -> Iterator[None]:
        """Have the folder for this run alone.

        Args:
            resume: Whether a run is expected to be there, or must not be.

        Raises:
            ValueError: If the folder holds another run or is being written by one, or there is no
                folder to resume.
            NextPixelError: If there is no resume point, or the folder cannot be written.
        """
        if resume and self.folder is None:
            raise ValueError("out must be the folder of a run to resume, got none")
        if self.folder is not None and resume:
            check_state(self.folder)
        elif self.folder is not None and self.folder.exists() and holds_run(self.folder):
            raise ValueError(
                f"{self.folder} already holds a run; resume it, or choose another folder"
            )
        if self.folder is not None and self.tensorboard:
            self.board = TensorBoard(self.folder)
        with _removed_if_in_vain(self.folder), locked(self.folder):
            yield

    def read(self, *, allow_resize: bool = False) -> dict[str, Any]:
        """The resume point.

        Args:
            allow_resize: Whether it may be of another number of processes or passes.

        Raises:
            ValueError: If it is another run's.
            NextPixelError: If it is missing or damaged.
        """
        if self.folder is None:
            raise ValueError("out must be the folder of a run to resume, got none")
        saved, found = read_state(self.folder)
        self.last_is_whole = found == STATE
        known = json.loads(saved["identity"])
        other = differences(known, self.fingerprint, allow_resize=allow_resize)
        if other:
            own = f"; `nextpixel train --resume {self.folder}` keeps its settings"
            hint = own if (self.folder / RECIPE).is_file() else ""
            raise ValueError(f"{self.folder} holds another run: {other}{hint}")
        state: dict[str, Any] = saved["state"]
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Write the resume point."""
        if self.folder is not None:
            content = {"identity": json.dumps(self.fingerprint), "state": state}
            write_state(self.folder, content, keep=self.last_is_whole)
            self.last_is_whole = True

    def write_recipe(self, text: str | None) -> None:
        """Write the recipe of the run, if there is one."""
        if self.folder is not None and text is not None:
            checkpoint.replace_file(self.folder / RECIPE, text.encode())

    def write_metrics(self, rows: list[Metrics]) -> None:
        """Write `metrics.csv`, and the last row to TensorBoard, if that was asked for."""
        if self.folder is not None:
            write_metrics(self.folder / "metrics.csv", rows)
        if self.board is not None:
            self.board.add(rows[-1])

    def take_back(self, rows: list[Metrics], *, after: int) -> None:
        """Leave these rows of `metrics.csv`, and no figures of TensorBoard after a step."""
        if self.folder is not None:
            write_metrics(self.folder / "metrics.csv", rows)
        if self.board is not None:
            self.board.purge_from = after + 1

    def write_model(self, model: PixelModel, figures: dict[str, Any]) -> None:
        """Write the best weights: the folder itself is the model."""
        if self.folder is not None:
            self._save(model, self.folder, figures)

    def write_last(self, model: PixelModel, figures: dict[str, Any]) -> None:
        """Write the last weights."""
        if self.folder is not None:
            self._save(model, self.folder / "last", figures)

    def _save(self, model: PixelModel, folder: Path, figures: dict[str, Any]) -> None:
        checkpoint.save(model, folder, data=self.description, training={**self.training, **figures})


def classes_without_images(model: PixelModel, data: Dataset) -> dict[str, list[int]]:
    """What to describe of data where a class of a class-conditional model has no training image."""
    labels = data.train.labels if isinstance(data.train, Split) else None
    conditions = model.conditioner.conditions
    if labels is None or len(conditions) != 1 or not isinstance(conditions[0], ClassCondition):
        return {}
    unseen = sorted(set(range(conditions[0].classes)) - set(labels.tolist()))
    return {WITHOUT_IMAGES: unseen} if unseen else {}


def _names_of(data: Dataset) -> dict[str, list[str]]:
    """Names that are kept with the model: of levels, and of classes that are not mere numbers."""
    numbers = tuple(map(str, range(data.classes)))
    classes = () if data.class_names == numbers else data.class_names
    found = {"level_names": data.level_names, "class_names": classes}
    return {key: list(names) for key, names in found.items() if names}


def holds_run(folder: Path) -> bool:
    """Whether a folder has the files of a run or a model in it."""
    return any(
        (folder / name).exists() for name in (STATE, PREVIOUS, "metrics.csv", checkpoint.CONFIG)
    )


@contextmanager
def _removed_if_in_vain(folder: Path | None) -> Iterator[None]:
    """Remove the folders that a run made which failed before its first resume point."""
    places = () if folder is None else (folder / LOCK, folder / LOCK.parent, folder)
    made = [place for place in (*places, *(folder or Path()).parents) if not place.exists()]
    try:
        yield
    except BaseException:
        if folder is not None and not holds_run(folder):
            for place in made:
                with suppress(OSError):  # of another's files, or never made
                    place.rmdir() if place.is_dir() else place.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Keep other runs out of a folder for a while; None: there is nothing to keep.

    Raises:
        ValueError: If another run has it.
        NextPixelError: If the file cannot be written.
    """
    if folder is None or sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise NextPixelError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"{folder} is being written by another run (process {file.read().strip() or '?'}); "
                "wait for it to end, or choose another folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
