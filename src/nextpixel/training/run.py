"""The folder of one run: which files it has, and whether it may be used."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextpixel import checkpoint
from nextpixel.data import Dataset, Split
from nextpixel.models import PixelModel
from nextpixel.training.board import Board
from nextpixel.training.config import TrainConfig
from nextpixel.training.lock import locked
from nextpixel.training.record import (
    STATE,
    Metrics,
    check_state,
    read_state,
    write_metrics,
    write_state,
)

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

SIZES = {"processes": 1, "train.accumulate": 1}
"""What shares a batch out, and what it was before resume points had it: another number rounds
differently, so it may change only where that is allowed."""


class Run:
    """Files of a run; without a folder, nothing is written.

    Args:
        folder: Where, or None.
        model: The model; its settings identify the run.
        data: Its name, protocol and images identify the run.
        config: Its settings identify the run, but for `FREE_TO_CHANGE`.
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
        self.description = {**description, "protocol": data.protocol}
        self.training = asdict(config)
        self.board: Board | None = None
        self.tensorboard = config.tensorboard
        self.identity = {"processes": processes, **_identity(model, data, config)}

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
            self.board = Board(self.folder)
        with locked(self.folder):
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
        saved = read_state(self.folder)
        identity = {**SIZES, **json.loads(saved["identity"])}
        for name, value in self.identity.items():
            if identity.get(name) == value or (allow_resize and name in SIZES):
                continue
            remedy = "; allow_resize goes on, not bit for bit" if name in SIZES else ""
            raise ValueError(
                f"{self.folder} holds another run: its {name} is {identity.get(name)!r}, "
                f"this one's is {value!r}{remedy}"
            )
        state: dict[str, Any] = saved["state"]
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Write the resume point."""
        if self.folder is not None:
            write_state(self.folder, {"identity": json.dumps(self.identity), "state": state})

    def write_metrics(self, rows: list[Metrics]) -> None:
        """Write `metrics.csv`."""
        if self.folder is not None:
            write_metrics(self.folder / "metrics.csv", rows)

    def log(self, row: Metrics) -> None:
        """Add a row to TensorBoard, if that was asked for."""
        if self.board is not None:
            self.board.add(row)

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


def holds_run(folder: Path) -> bool:
    """Whether a folder has the files of a run or a model in it."""
    return any((folder / name).exists() for name in (STATE, "metrics.csv", checkpoint.CONFIG))


def _identity(model: PixelModel, data: Dataset, config: TrainConfig) -> dict[str, Any]:
    options = {f"model.{name}": value for name, value in asdict(model.config).items()}
    settings = {
        f"train.{name}": value
        for name, value in asdict(config).items()
        if name not in FREE_TO_CHANGE
    }
    identity: dict[str, Any] = {
        "resume format": FORMAT,
        "model": model.name,
        **options,
        "number type": str(next(model.parameters()).dtype),
        "data": data.name,
        "protocol": data.protocol,
        "levels": data.level_count,
        "training set": _mark(data.train),
        "validation set": _mark(data.validation),
        **settings,
    }
    as_saved: dict[str, Any] = json.loads(json.dumps(identity))
    return as_saved


def _mark(split: Split) -> str:
    """What tells the images of a split from others."""
    return f"{len(split)} images with checksum {split.checksum():08x}"
