"""What a run is asked, checked before anything is written, and the first images of it."""

import os

import torch
from torch import Tensor

from nextpixel.data import Dataset, Split
from nextpixel.data.splits import rng_of
from nextpixel.errors import NextPixelError, check_kind
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import Value, take
from nextpixel.runtime.distributed import Processes
from nextpixel.training.config import TrainConfig
from nextpixel.training.gradient import missing_compiler
from nextpixel.training.update import ConditionOf


def check_kinds(model: object, data: object, config: object, out: object) -> None:
    """Refuse arguments of other types, and say what makes those that are wanted.

    Raises:
        TypeError: Naming the argument.
    """
    check_model(model)
    made = "npx.load_data(name) reads one, and npx.from_tensors(levels, ...) makes one of tensors"
    check_kind("data", data, Dataset, f"a data set with all its parts; {made}")
    made = "npx.TrainConfig(**settings) makes one"
    check_kind("config", config, TrainConfig | None, f"a TrainConfig; {made}")
    check_kind("out", out, str | os.PathLike | None, "a path")


def check(
    model: PixelModel,
    data: Dataset,
    config: TrainConfig,
    processes: Processes,
    condition_of: ConditionOf,
) -> None:
    """Refuse what cannot be trained, before anything is written.

    Raises:
        ValueError: If the images are not the model's, do not give it its condition, or cannot be
            shared out.
        TypeError: If the condition has another type.
        NextPixelError: If a compiler is asked for that is not there.
    """
    model.check_weights()
    _check_data(model, data, config)
    _check_condition(model, data, condition_of)
    _check_batch_size(config, processes)
    _check_compiler(model, config)


def _check_data(model: PixelModel, data: Dataset, config: TrainConfig) -> None:
    if (data.shape, data.level_count) != (model.shape, model.levels):
        raise ValueError(
            f"model must be built for the data's shape {data.shape} and {data.level_count} levels, "
            f"got shape {model.shape} and {model.levels} levels"
        )
    if not len(data.validation):
        raise ValueError("data must have validation images, by which weights are chosen, got none")
    if config.test_images and not len(data.test):
        raise ValueError(f"test_images must be 0 for data without any, got {config.test_images}")


def first_images(
    model: PixelModel, data: Dataset, count: int, condition_of: ConditionOf
) -> tuple[Tensor, Value | None]:
    """The first images to train on, or of a stream those to choose by, and their conditions."""
    images = data.train if isinstance(data.train, Split) else data.validation
    first, device = torch.arange(len(images))[:count], next(model.parameters()).device
    levels = images.draw(first, rng_of("check"))
    condition = condition_of(levels, None if images.labels is None else images.labels[first])
    return levels.to(device), take(condition, slice(None), device)


def _check_condition(model: PixelModel, data: Dataset, condition_of: ConditionOf) -> None:
    first = first_images(model, data, 1, condition_of)
    with evaluation_mode(model), torch.inference_mode():
        model(*first)


def _check_batch_size(config: TrainConfig, processes: Processes) -> None:
    size = processes.world_size
    if config.batch_size % (size * config.accumulate):
        raise ValueError(
            f"batch_size must be a multiple of processes x accumulate = {size} x "
            f"{config.accumulate}, got {config.batch_size}"
        )


def _check_compiler(model: PixelModel, config: TrainConfig) -> None:
    missing = missing_compiler(next(model.parameters()).device) if config.compile else None
    if missing is not None:
        raise NextPixelError(
            f"train.compile needs {missing}; install one, or leave the setting out"
        )
