"""Particles along the scan: images that are drawn together, weighted by known pixels, resampled.

All particles of an image share what is known of it. Where a level is known, each particle's weight
is multiplied by its probability; once the weights have become too unequal, particles are drawn
anew by them (systematic resampling), with all that is kept of their past.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextpixel.engine.cpu import kernels
from nextpixel.engine.cpu.executor import open_blocks, prepared
from nextpixel.engine.lowering import check_predictions
from nextpixel.models import PixelModel
from nextpixel.nn import Embedding
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.threads import Threads

ENOUGH = 0.5
"""Share of the particles below which the effective number leads to resampling."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """The particles of one image at the end of the scan.

    Attributes:
        levels: Int64, (P, C, H, W).
        log_weights: Nats, float64, (P,), of which the largest is about 0.
        log_evidence: Estimate of the log-probability of the known levels, nats; its exponential
            has no bias.
        effective: The least effective number of particles before any step.
        resampled: How often they were drawn anew.
    """

    levels: Tensor
    log_weights: Tensor
    log_evidence: float
    effective: float
    resampled: int


def clouds(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    embedding: Embedding,
) -> list[Cloud]:
    """Carry particles of some images through the scan.

    Args:
        model: In evaluation mode, with compiled steps, on the CPU.
        levels: (B, C, H, W), any level where not `known`.
        known: Boolean, of that shape.
        uniforms: Float64, (B, P + 1, C, H, W): for drawing, and the last of each for resampling.
        embedding: Conditions, one for each of the B images.

    Raises:
        NextPixelError: If memory is too small, or a prediction is no finite number.
    """
    threads = Threads()
    made = prepared(model)

    @torch.inference_mode()  # which holds in one thread only
    def carry(image: int) -> Cloud:
        one = slice(image, image + 1)
        count = uniforms.shape[1] - 1
        images = levels[one].long().expand(count, -1, -1, -1).clone().numpy()
        masks = known[one].expand(count, -1, -1, -1).contiguous().numpy()
        parts = tuple(part[one].expand(count, *part.shape[1:]) for part in embedding.parts)
        draws, turns = uniforms[image, :-1].contiguous().numpy(), uniforms[image, -1].numpy()
        (block,) = open_blocks(made, images, masks, draws, Embedding(parts), 1)
        weights, counts = np.zeros(count), np.array([0.0, count, 0.0])
        carry_cloud(made.plan, block, weights, np.ascontiguousarray(turns), counts)
        evidence, effective, resampled = counts
        kept = torch.from_numpy(images), torch.from_numpy(weights)
        return Cloud(*kept, float(evidence), float(effective), int(resampled))

    found = list(threads.map(carry, range(len(levels))))
    check_predictions(model, torch.tensor([cloud.log_evidence for cloud in found]))
    return found


@compiled
def _log_mean(weights: NDArray[np.float64]) -> float:
    """Log of the mean of e to these powers."""
    largest = weights.max()
    return float(largest + np.log(np.exp(weights - largest).mean()))


@compiled
def _effective(weights: NDArray[np.float64]) -> float:
    """How many equal weights are worth as much as these."""
    p = np.exp(weights - weights.max())
    return float(p.sum() ** 2 / (p * p).sum())


@compiled
def _ancestors(weights: NDArray[np.float64], uniform: float) -> NDArray[np.int64]:
    """Systematic resampling: for each particle the one it goes on from; those that go on, stay."""
    count = len(weights)
    p = np.exp(weights - weights.max())
    reached = np.cumsum(p) / p.sum()
    children = np.zeros(count, np.int64)
    at = 0
    for n in range(count):
        while at < count - 1 and reached[at] <= (n + uniform) / count:
            at += 1
        children[at] += 1
    found = np.full(count, -1)
    for n in range(count):
        if children[n] > 0:
            found[n] = n
            children[n] -= 1
    at = 0
    for n in range(count):
        if found[n] < 0:
            while children[at] == 0:
                at += 1
            found[n] = at
            children[at] -= 1
    return found


@compiled
def _resample(plan, block, weights, uniform):
    """Let particles go on from those drawn by their weights."""
    size = plan.size
    for n, source in enumerate(_ancestors(weights, uniform)):
        if source != n:
            block.state[n * size : (n + 1) * size] = block.state[
                source * size : (source + 1) * size
            ]
            block.levels[n] = block.levels[source]
            block.log_p[n] = block.log_p[source]
    weights[:] = 0.0


@compiled
def carry_cloud(plan, block, weights, uniforms, counts):
    """Carry the particles of one image through the scan.

    `counts` becomes the log-evidence, the least effective number, and the times of resampling.
    """
    count = len(weights)
    colors, height, width = plan.shape
    before = np.zeros(count)
    truncation = (1.0, len(plan.shown), 1.0)
    for row in range(height):
        kernels.turn_to(plan, block, row)
        for first in range(0, count, kernels.SHARED):
            kernels.begin_row(plan, block, first, min(first + kernels.SHARED, count), row)
        for column in range(width):
            for color in range(colors):
                before[:] = block.log_p
                for first in range(0, count, kernels.SHARED):
                    last = min(first + kernels.SHARED, count)
                    kernels.predict(plan, block, first, last, row, column, color)
                    kernels.choose(plan, block, truncation, first, last, row, column, color)
                    kernels.write(plan, block, first, last, row, column, color)
                if not block.known[0, color, row, column]:
                    continue
                for n in range(count):
                    weights[n] += block.log_p[n] - before[n]
                effective = _effective(weights)
                counts[1] = min(counts[1], effective)
                if effective < ENOUGH * count:
                    counts[0] += _log_mean(weights)
                    _resample(plan, block, weights, uniforms[color, row, column])
                    counts[2] += 1
    counts[0] += _log_mean(weights)
