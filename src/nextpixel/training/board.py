"""TensorBoard: the figures of `metrics.csv` once more, for those who watch several runs."""

from pathlib import Path
from typing import Any

from nextpixel.errors import NextPixelError
from nextpixel.training.record import Metrics


class Board:
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
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def add(self, row: Metrics) -> None:
        """Write a row; figures of later steps, by a run that was stopped, are taken back.

        Raises:
            NextPixelError: If they cannot be written.
        """
        try:
            if self._writer is None:
                self._writer = self._make(str(self.folder), purge_step=row.step)
            for name, value in vars(row).items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, row.step)
            self._writer.flush()
        except OSError as error:
            raise NextPixelError(f"cannot write {self.folder}: {error.strerror}") from error
