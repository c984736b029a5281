"""Figures of a run: how far it is, how it ended, `metrics.csv`, and the same for TensorBoard.

`metrics.csv` has a row per evaluation. Rows written after the last resume point are taken back on
resuming, so that the file ends as that of a run that was never stopped (but for what the clock
says).
"""

import csv
import io
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nextpixel.checkpoint import replace_file
from nextpixel.errors import NextPixelError
from nextpixel.training.config import TrainConfig


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it.

    Attributes:
        step: Updates done.
        share: Share of the run that is over, 0 to 1.
        images: Training images seen.
        seconds: Wall-clock time of training.
        nats: Running mean of the training loss, nats per image.
        skipped: Updates left out so far, of those that count as done; see `TrainConfig.spike`.
    """

    step: int
    share: float
    images: int
    seconds: float
    nats: float
    skipped: int = 0

    @property
    def images_per_second(self) -> float:
        """Mean speed of the run."""
        return self.images / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Estimate from the share that is over."""
        return self.seconds * (1 - self.share) / max(self.share, 1e-9)


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        steps: Updates done.
        images: Training images seen.
        seconds: Wall-clock time of training.
        best_step: Updates after which the kept weights were measured.
        best_nats: Their likelihood on the validation images, nats per image.
        skipped: Updates left out, of `steps`; see `TrainConfig.spike`.
    """

    steps: int
    images: int
    seconds: float
    best_step: int
    best_nats: float
    skipped: int = 0


class Clock:
    """Time of training, earlier legs included, and the share of the run that is over.

    It counts seconds that have passed; setting the time of day changes nothing.

    Args:
        config: Its `steps` and `minutes` are the whole.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.start()

    def start(self, before: float = 0.0) -> None:
        """Count from now on, after so many seconds of earlier legs."""
        self.before, self.started = before, time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of training so far."""
        return self.before + time.monotonic() - self.started

    def share(self, step: int, seconds: float | None = None) -> float:
        """Share of the run that is over: by steps, or by the clock where that is further.

        Args:
            step: Updates done.
            seconds: Of training until then; None: until now.
        """
        by_steps = step / self.config.steps
        if self.config.minutes is None:
            return by_steps
        passed = self.seconds if seconds is None else seconds
        return max(by_steps, passed / (60 * self.config.minutes))


@dataclass(frozen=True)
class Metrics:
    """One row of `metrics.csv`; likelihoods in nats per image.

    Attributes:
        step: Updates done.
        epoch: Passes over the training images that were over before the last update.
        seconds: Wall-clock time of training so far.
        images: Training images seen so far.
        learning_rate: Of the last update.
        train_nats: Mean training loss since the last row, in training mode: batch norm and dropout
            make it something else than a likelihood.
        validation_nats: Likelihood of validation images.
        test_nats: Likelihood of test images, for the curve alone; empty if none were asked for.
        gradient_norm: Mean norm of the gradient since the last row, before it was clipped; without
            updates that were left out.
        images_per_second: Training images a second since the last row, evaluation included.
        seconds_left: Estimate of the time until the run is over.
        skipped: Updates left out so far; see `TrainConfig.spike`.
    """

    step: int
    epoch: int
    seconds: float
    images: int
    learning_rate: float
    train_nats: float
    validation_nats: float
    test_nats: float | None = None
    gradient_norm: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    skipped: int = 0


def write_metrics(path: Path, rows: list[Metrics]) -> None:
    """Write `metrics.csv` whole.

    Raises:
        NextPixelError: If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Metrics)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    replace_file(path, text.getvalue().encode())


def speeds(rows: list[Metrics], images: int, seconds: float, share: float) -> dict[str, float]:
    """What the clock says: images a second since the last row, and seconds left.

    Args:
        rows: The rows so far.
        images: Seen in all.
        seconds: Of training so far.
        share: Of the run that is done.
    """
    before = (rows[-1].images, rows[-1].seconds) if rows else (0, 0.0)
    share = min(1.0, share)
    return {
        "images_per_second": round((images - before[0]) / max(seconds - before[1], 1e-9), 2),
        "seconds_left": round(seconds * (1 - share) / max(share, 1e-9), 1),
    }


class TensorBoard:
    """Event files in the `tensorboard` folder of a run, made with its first figures.

    Args:
        folder: Of the run.

    Raises:
        NextPixelError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise NextPixelError(
                "train.tensorboard needs TensorBoard, which is not installed; "
                "pip install 'nextpixel[log]', or leave the setting out"
            ) from error
        self.folder = folder / "tensorboard"
        self.purge_from = 0  # figures of later steps, by a run that was stopped, are taken back
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def add(self, row: Metrics) -> None:
        """Write a row.

        Raises:
            NextPixelError: If it cannot be written.
        """
        try:
            if self._writer is None:
                self._writer = self._make(str(self.folder), purge_step=self.purge_from)
            for name, value in vars(row).items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, row.step)
            self._writer.flush()
        except OSError as error:
            raise NextPixelError(f"cannot write {self.folder}: {error.strerror}") from error
