"""Where a run stands and how it ended, for whoever shows it; and the clock that both read."""

import time
from dataclasses import dataclass

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

    def share(self, step: int) -> float:
        """Share of the run that is over: by steps, or by the clock where that is further."""
        by_steps = step / self.config.steps
        if self.config.minutes is None:
            return by_steps
        return max(by_steps, self.seconds / (60 * self.config.minutes))
