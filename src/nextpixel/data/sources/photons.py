r"""Photons over a smooth field: 16-bit images whose entropy is known.

Every image shows the same field; what differs is noise. A pixel where the field is :math:`\lambda`
counts a Poisson number n of photons, each worth `GAIN` units; reading it out adds noise of
deviation `READ`, and the sum over `BLACK` is rounded:

.. math:: v = \operatorname{round}(\text{BLACK} + \text{GAIN}\,n + \text{READ}\,z),\quad
    n \sim \operatorname{Poisson}(\lambda),\ z \sim N(0, 1).

So each pixel has a distribution that can be written down, and no model codes the set in fewer bits
than `entropy_bits`, up to chance.

References: Janesick (2007), Photon Transfer, sections 2 and 3: shot noise and read noise.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.data.config import DataConfig
from nextpixel.data.splits import Images, Splits, rng_of

SHAPE = (2, 24, 40)
COUNTS = {"train": 2000, "validation": 200, "test": 400}
BLACK, GAIN, READ = 1000, 8, 30.0
LEVELS = 65536


def load_photons(config: DataConfig) -> Splits:
    """The set whose field and noise `config.seed` fixes; levels 0..65535, (N, 2, 24, 40)."""
    field = photon_field(config.seed)
    parts = {
        part: Images(expose(field, count, rng_of(config.seed, "photons", part)), None)
        for part, count in COUNTS.items()
    }
    return Splits(parts["train"], parts["validation"], parts["test"], (), LEVELS)


def photon_field(seed: int) -> Tensor:
    """Expected photons of each pixel, float64, (2, 24, 40): 400 to 3000, a few slow waves."""
    colors, height, width = SHAPE
    rng = rng_of(seed, "photons", "field")
    rows = torch.linspace(0, 1, height).double()[:, None]
    columns = torch.linspace(0, 1, width).double()[None]
    total = torch.zeros(SHAPE, dtype=torch.float64)
    for _ in range(4):
        waves = torch.rand(colors, 3, generator=rng).double()
        for color, (down, across, phase) in enumerate(waves.tolist()):
            total[color] += torch.sin(2 * math.pi * (down * rows + across * columns + phase))
    low, high = total.amin((1, 2), keepdim=True), total.amax((1, 2), keepdim=True)
    return 400 + 2600 * (total - low) / (high - low)


def expose(field: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Images of a field, int32, (count, 2, 24, 40)."""
    many = field.expand(count, -1, -1, -1)
    photons = torch.poisson(many, generator=rng)
    noise = torch.randn(many.shape, generator=rng, dtype=torch.float64)
    values = BLACK + GAIN * photons + READ * noise
    return values.round().clamp(0, LEVELS - 1).to(torch.int32)


def entropy_bits(field: Tensor) -> float:
    """Entropy of a sub-pixel, mean over a field of expected photons, in bits, summed exactly."""
    found = [_entropy(rate) for rate in field.flatten().tolist()]
    return sum(found) / len(found) / math.log(2)


def log_probabilities(rate: float) -> tuple[int, Tensor]:
    """The lowest level that matters where so many photons are expected, and log-probabilities.

    What lies beyond, ten deviations of either noise away, has a probability below 1e-20.
    """
    far = 10 * math.sqrt(rate)
    photons = torch.arange(max(0, int(rate - far)), int(rate + far), dtype=torch.float64)
    counted = (photons * math.log(rate) - rate - torch.lgamma(photons + 1)).exp()
    spaced = torch.zeros(len(photons), GAIN, dtype=torch.float64)
    spaced[:, 0] = counted  # each photon is worth so many levels
    reach = int(10 * READ)
    edges = (torch.arange(-reach, reach + 2, dtype=torch.float64) - 0.5) / READ
    read = torch.special.ndtr(edges).diff()
    levels = F.conv1d(spaced.view(1, 1, -1), read.view(1, 1, -1), padding=2 * reach)
    return int(BLACK + GAIN * photons[0]) - reach, levels[0, 0].log()


def _entropy(rate: float) -> float:
    """Nats of a pixel; negative infinity times zero is zero."""
    return float(torch.special.entr(log_probabilities(rate)[1].exp()).sum())
