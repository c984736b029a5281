"""What a run leaves behind while it goes on: metrics, resume points, models.

`metrics.csv` has a row per evaluation. `resume/state.pt` has all that an exact resume needs:
weights, average, optimisers, position in the data, best so far. Rows written after the last resume
point are taken back on resuming, so that the file ends as that of a run that was never stopped
(but for what the clock says).
"""

import csv
import io
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from nextpixel.checkpoint import replace_file
from nextpixel.errors import NextPixelError

STATE = Path("resume") / "state.pt"


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
        gradient_norm: Mean norm of the gradient since the last row, before it was clipped.
        images_per_second: Training images a second since the last row, evaluation included.
        seconds_left: Estimate of the time until the run is over.
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


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write a resume point; the previous one stays until this one is complete.

    Raises:
        NextPixelError: If it cannot be written.
    """
    content = io.BytesIO()
    torch.save(state, content)
    replace_file(folder / STATE, content.getvalue())


def check_state(folder: Path) -> None:
    """Refuse a folder without a resume point.

    Raises:
        NextPixelError: If there is none.
    """
    if not (folder / STATE).is_file():
        raise NextPixelError(f"{folder} holds no run to resume: it has no {STATE}")


def read_state(folder: Path) -> dict[str, Any]:
    """Read the resume point of a run.

    Raises:
        NextPixelError: If there is none or it is damaged.
    """
    check_state(folder)
    path = folder / STATE
    try:
        _check_sums(path)
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a foreign pickle can raise anything
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NextPixelError(f"{path} is damaged: {first}") from error
    if not isinstance(state, dict) or state.keys() != {"identity", "state"}:
        raise NextPixelError(f"{path} is no resume point of nextpixel")
    return state


def _check_sums(path: Path) -> None:
    # torch writes a zip archive with checksums, but does not look at them.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


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
