"""Optimisers, learning-rate schedules and the average of weights, as a `TrainConfig` names them.

Muon is momentum whose update is replaced by the nearest orthogonal matrix. Each kernel is read as a
matrix (outputs, everything else). Its momentum G = U S V' is replaced by an approximation of U V',
so that all directions of a layer learn at the same speed.

References: Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein (2024), Muon: an optimizer for
    hidden layers in neural networks. https://kellerjordan.github.io/posts/muon/
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nextpixel.models import PixelModel
from nextpixel.training.config import TrainConfig

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial a x + b x^3 + c x^5: steep at zero, and near one on (0, 1]."""


def make_optimizers(model: PixelModel, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Optimisers that together update every parameter once.

    Each keeps its peak learning rate as "peak" in its parameter groups; see also `set_rates`.
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


def fallen_to(config: TrainConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate that the schedule has come down to, warm-up apart, 0 to 1.

    Args:
        config: Its schedule and decay.
        step: Updates done.
        progress: Share of the run that is over, 0 to 1.
    """
    progress = min(1.0, progress)
    return {
        "constant": 1.0,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "exponential": config.decay**step,
    }[config.schedule]


def rate_factor(config: TrainConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate to use, 0 to 1; arguments as of `fallen_to`.

    Example:
        >>> rate_factor(TrainConfig(schedule="linear"), step=100, progress=0.25)
        0.75
    """
    factor = fallen_to(config, step, progress)
    return factor * min(1.0, (step + 1) / config.warmup) if config.warmup else factor


def check_rate(config: TrainConfig, step: int, share: float, last: float) -> None:
    """Refuse to go on at a higher rate than a schedule had come to, its warm-up apart.

    So it would with more steps or minutes than before: less of the run is then over.

    Args:
        config: Settings from now on.
        step: Updates done.
        share: Share of the run that is over now, 0 to 1.
        last: Share of the peak rate that it had come down to at the last update.

    Raises:
        ValueError: If the rate would rise.

    Example:
        >>> longer = TrainConfig(schedule="linear", steps=80)
        >>> check_rate(longer, step=40, share=0.5, last=0.025)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: steps and minutes must be those that the run had, since schedule 'linear' ...
    """
    factor = fallen_to(config, step, share)
    if factor > last + _SAME_RATE:
        raise ValueError(
            f"steps and minutes must be those that the run had, since schedule {config.schedule!r} "
            f"has lowered the learning rate to {last:.3f} of its peak, and with "
            f"steps={config.steps}, minutes={config.minutes} it would rise again to {factor:.3f}; "
            "a warm restart lets it (--warm-restart, warm_restart=True), or begin another run"
        )


_SAME_RATE = 1e-9
"""How far two shares of a peak rate may be apart by rounding."""


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float, fallen: float = 1.0) -> None:
    """Set every learning rate to a share of its peak, and note that without the warm-up."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"], group["fallen"] = group["peak"] * factor, fallen


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Push all singular values of a matrix towards one, to between about 0.7 and 1.2.

    An iteration makes S(g) x of x, with g = x x' and S(g) = a + b g + c g^2. Its own g is S g S, so
    all of them take place among small square matrices, and x is multiplied once.

    Args:
        matrix: Shape (rows, columns).
        iterations: Of the Newton-Schulz polynomial.

    Returns:
        Nearly U V' where `matrix` is U S V', of the same shape.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + torch.finfo(x.dtype).tiny)
    a, b, c = COEFFICIENTS
    one = product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    square = x @ x.T
    for _ in range(iterations):
        factor = a * one + b * square + c * square @ square
        product, square = factor @ product, factor @ square @ factor
    result: Tensor = product @ x
    return result.T if tall else result


class Muon(torch.optim.Optimizer):
    """Muon for kernels; other parameters need another optimiser.

    Args:
        parameters: Kernels of two or more dimensions; the first is the outputs.
        lr: Learning rate: an update moves each kernel by about `lr` times the root of its smaller
            side.
        momentum: Decay of the running sum of gradients.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every kernel that has a gradient."""
        del closure
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._update(kernel, kernel.grad, group)

    def _update(self, kernel: Tensor, gradient: Tensor, group: dict[str, float]) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        momentum: Tensor = state["momentum"]
        momentum.mul_(group["momentum"]).add_(gradient)
        nesterov = gradient + group["momentum"] * momentum
        matrix = nesterov.flatten(1)
        rows, columns = matrix.shape
        scale = max(1.0, rows / columns) ** 0.5
        kernel.mul_(1 - group["lr"] * group["weight_decay"])
        kernel.add_(orthogonalize(matrix).view(kernel.shape), alpha=-group["lr"] * scale)


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
