"""Training: `fit` a model to a data set, and go on exactly where a stopped run was."""

from nextpixel.training.config import TrainConfig
from nextpixel.training.loop import Progress, Result, fit

__all__ = ["Progress", "Result", "TrainConfig", "fit"]
