"""What `fit` refuses before anything is written."""

from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.data import Dataset, Split
from nextpixel.data.seeds import rng_of
from nextpixel.errors import NextPixelError
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.runtime.distributed import Ranks
from nextpixel.training.compiling import missing_compiler
from nextpixel.training.config import TrainConfig

ConditionOf = Callable[[Tensor, Tensor | None], Value | None]


def check_shares(config: TrainConfig, ranks: Ranks) -> None:
    """Refuse a batch that cannot be shared out evenly.

    Raises:
        ValueError: If processes x passes do not divide it.
    """
    parts = ranks.world * config.accumulate
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size must be a multiple of processes x accumulate = {ranks.world} x "
            f"{config.accumulate}, got {config.batch_size}"
        )


def check_compiler(config: TrainConfig, model: PixelModel) -> None:
    """Refuse to compile where that cannot work.

    Raises:
        NextPixelError: If a compiler is asked for that is not there.
    """
    missing = missing_compiler(next(model.parameters()).device) if config.compile else None
    if missing is not None:
        raise NextPixelError(
            f"train.compile needs {missing}; install one, or leave the setting out"
        )


def check_data(model: PixelModel, data: Dataset, condition_of: ConditionOf) -> None:
    """Refuse images that are not the model's, or do not give it its condition.

    Raises:
        ValueError: If they are not, or do not.
        TypeError: If the condition has another type.
    """
    if (data.shape, data.level_count) != (model.shape, model.levels):
        raise ValueError(
            f"model must be built for the data's shape {data.shape} and {data.level_count} levels, "
            f"got shape {model.shape} and {model.levels} levels"
        )
    images = data.train if isinstance(data.train, Split) else data.validation
    first = torch.arange(len(images))[:1]
    levels = images.draw(first, rng_of("check"))
    told = condition_of(levels, None if images.labels is None else images.labels[first])
    with evaluation_mode(model), torch.inference_mode():
        model(levels.to(next(model.parameters()).device), told)
