"""The figures of a run while it goes on: `metrics.csv`, with a row per evaluation.

Rows written after the last resume point are taken back on resuming, so that the file ends as that
of a run that was never stopped (but for what the clock says).
"""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from nextpixel.checkpoint import replace_file


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
