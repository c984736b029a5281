"""Optimisers and learning-rate schedules, as a `TrainConfig` names them."""

import math

import torch
from torch import nn

from nextpixel.models import PixelModel
from nextpixel.training.config import TrainConfig
from nextpixel.training.muon import Muon


def make_optimizers(model: PixelModel, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Optimisers that together update every parameter once.

    Each keeps its peak learning rate as "peak" in its parameter groups.
    """
    parameters = list(model.parameters())
    optimizers: list[torch.optim.Optimizer] = []
    rate = config.learning_rate
    if config.optimizer == "muon":
        kernels = model.kernels()
        optimizers.append(Muon(kernels, lr=rate, weight_decay=config.weight_decay))
        chosen = {id(kernel) for kernel in kernels}
        parameters = [parameter for parameter in parameters if id(parameter) not in chosen]
        rate = config.adam_learning_rate
    optimizers.append(_adam(parameters, rate, config))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def _adam(parameters: list[nn.Parameter], rate: float, config: TrainConfig) -> torch.optim.Adam:
    # fused: one pass over each parameter, for small layers on CPUs several times faster
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, lr=rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
    return torch.optim.Adam(parameters, lr=rate, betas=config.betas, fused=True)


def rate_factor(config: TrainConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate to use.

    Args:
        config: Its schedule, decay and warm-up.
        step: Updates done.
        progress: Share of the run that is over, 0 to 1.

    Returns:
        A factor of 0 to 1.

    Example:
        >>> rate_factor(TrainConfig(schedule="linear"), step=100, progress=0.25)
        0.75
    """
    progress = min(1.0, progress)
    factor = {
        "constant": 1.0,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "exponential": config.decay**step,
    }[config.schedule]
    return factor * min(1.0, (step + 1) / config.warmup) if config.warmup else factor


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
