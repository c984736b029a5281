"""The folder of one run: which files it has, and whether it may be used."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextpixel import checkpoint
from nextpixel.data import Dataset
from nextpixel.models import PixelModel
from nextpixel.training.board import Board
from nextpixel.training.config import TrainConfig
from nextpixel.training.identity import differences, identity_of
from nextpixel.training.lock import locked
from nextpixel.training.points import PREVIOUS, STATE, check_state, read_state, write_state
from nextpixel.training.record import Metrics, write_metrics


class Run:
    """Files of a run; without a folder, nothing is written.

    Args:
        folder: Where, or None.
        model: The model; its settings identify the run.
        data: Its name, protocol and images identify the run.
        config: Its settings identify the run, but for `identity.FREE_TO_CHANGE`.
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
        self.last_is_whole = True  # the last resume point, as far as is known
        self.tensorboard = config.tensorboard
        self.identity = identity_of(model, data, config, processes)

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
        saved, found = read_state(self.folder)
        self.last_is_whole = found == STATE
        known = json.loads(saved["identity"])
        other = differences(known, self.identity, allow_resize=allow_resize)
        if other:
            raise ValueError(f"{self.folder} holds another run: {other}")
        state: dict[str, Any] = saved["state"]
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Write the resume point."""
        if self.folder is not None:
            content = {"identity": json.dumps(self.identity), "state": state}
            write_state(self.folder, content, keep=self.last_is_whole)
            self.last_is_whole = True

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
    return any(
        (folder / name).exists() for name in (STATE, PREVIOUS, "metrics.csv", checkpoint.CONFIG)
    )
