"""An exponential moving average of the weights: less noise than the last weights have."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model that follows it; `average.update_parameters(model)` after each update.

    The decay rises to its value over the first updates, as (1 + n) / (10 + n) does, so that the
    random start is soon forgotten. Buffers (statistics of batch norm) are averaged like the
    weights.

    Args:
        model: The model; its weights are the start.
        decay: Share of the average that each update keeps, 0 to 1.
    """

    @torch.no_grad()
    def blend(averages: tuple[Tensor, ...], current: tuple[Tensor, ...], count: Tensor) -> None:
        done = float(count)
        share = 1 - min(decay, (1 + done) / (10 + done))
        for average, value in zip(averages, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, share)
            else:
                average.copy_(value)

    return AveragedModel(model, multi_avg_fn=blend, use_buffers=True)  # type: ignore[arg-type]
