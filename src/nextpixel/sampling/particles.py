"""Completion where known pixels come after missing ones: sequential Monte Carlo along the scan.

Each particle is a completion that is drawn as far as the scan has come. A known level weights it by
its probability, so that particles live on which lead to what is known; as their number grows, what
is drawn comes from p(missing | known), and the mean weight estimates p(known) without bias.

References:
    Doucet, Johansen (2011), A Tutorial on Particle Filtering and Smoothing, section 3.
    Kitagawa (1996), Monte Carlo Filter and Smoother, on systematic resampling.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextpixel.engine.cpu import executor
from nextpixel.engine.cpu.particles import Cloud, clouds
from nextpixel.errors import NextPixelError, check_count
from nextpixel.images import Mask, level_dtype
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import Mixture, PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import Value
from nextpixel.sampling.draw import check_room, draw_uniforms
from nextpixel.sampling.known import condition_of_known, expanded

PARTICLES = 64
"""Of an image, unless another number is stated."""


@dataclass(frozen=True, eq=False)
class Particles:
    """Weighted completions of some images.

    Attributes:
        levels: `images.level_dtype(K)`, (B, P, C, H, W).
        log_weights: Nats, float64, (B, P).
        log_evidence: Estimates of log p(known), nats, float64, (B,).
        effective: The least effective number of particles on the way, float64, (B,).
        resampled: How often particles were drawn anew by their weights, int64, (B,).
    """

    levels: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    effective: Tensor
    resampled: Tensor

    def draw(self, rng: torch.Generator | None = None) -> Tensor:
        """One completion of each image, by the weights, (B, C, H, W)."""
        chosen = torch.multinomial(self.log_weights.softmax(1), 1, generator=rng)
        return self.levels[torch.arange(len(chosen)), chosen[:, 0]]


@torch.inference_mode()
def complete_by_particles(
    model: PixelModel,
    levels: Tensor,
    known: Mask,
    *,
    count: int = PARTICLES,
    rng: torch.Generator | None = None,
    condition: Value | None = None,
) -> Particles:
    """Weighted completions of images, of which any part is known.

    Args:
        model: The model; its mode is restored afterwards.
        levels: Integers 0..K-1, shape (B, C, H, W), any where not `known`.
        known: Boolean, of a shape that broadcasts to (B, C, H, W).
        count: Particles P of each image; they go through the scan as samples do.
        rng: Source of the uniforms, on the CPU; None: torch's global generator.
        condition: As in `complete`.

    Raises:
        TypeError: If `levels` are no integers or `known` is not boolean.
        NextPixelError: If the model has no compiled steps, is not on the CPU, or is a mixture.
        ValueError: If `count` is below 2, or shapes or ranges are not the model's.
    """
    check_model(model)
    check_count("particles", count, 2)
    model.check_weights()
    model.check(levels)
    known = expanded(known, levels)
    _check_compiled(model)
    if condition is None:
        condition = condition_of_known(model, levels, known)
    check_room(len(levels) * (count + 1), model.shape)
    uniforms = draw_uniforms(len(levels) * (count + 1), model.shape, rng)
    with evaluation_mode(model):
        embedding = model.condition(condition, len(levels))
        each = torch.unflatten(uniforms, 0, (len(levels), count + 1))
        found = clouds(model, levels, known, each, embedding)
    return _joined(found, level_dtype(model.levels))


def _check_compiled(model: PixelModel) -> None:
    if isinstance(model, Mixture):
        raise NextPixelError(
            "particles are carried by one net, not by a mixture: complete without them, or by one "
            "of its nets"
        )
    device = next(model.parameters()).device
    try:
        lacking = executor.lack(model)
    except NotImplementedError:
        lacking = f"{model.name} has no program"
    if model.any_order:
        lacking = f"{model.name} needs none: it visits what is known first"
    if device.type != "cpu":
        lacking = f"the model is on {device}, and they run on the CPU"
    if lacking:
        raise NextPixelError(f"particles need the compiled step engine: {lacking}")


def _joined(found: list[Cloud], dtype: torch.dtype) -> Particles:
    return Particles(
        torch.stack([cloud.levels for cloud in found]).to(dtype),
        torch.stack([cloud.log_weights for cloud in found]),
        torch.tensor([cloud.log_evidence for cloud in found], dtype=torch.float64),
        torch.tensor([cloud.effective for cloud in found], dtype=torch.float64),
        torch.tensor([cloud.resampled for cloud in found]),
    )
