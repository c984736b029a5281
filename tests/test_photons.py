"""The set of photons: its entropy is that of the distribution that its images are drawn from."""

import math

import pytest
import torch

from nextpixel.data import load_data
from nextpixel.data.sources import photons


def test_probabilities_of_a_pixel_sum_to_one():
    for rate in (400.0, 1234.5, 3000.0):
        assert photons.log_probabilities(rate)[1].exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_the_surprise_of_its_images_is_its_entropy():
    """Within four standard errors, over 2,000 images of a corner of the field."""
    field = photons.photon_field(0)[:, :2, :3]
    images = photons.expose(field, 2000, torch.Generator().manual_seed(5)).long()
    surprise, entropy = torch.zeros(2000).double(), 0.0
    for place in [(c, r, k) for c in range(2) for r in range(2) for k in range(3)]:
        low, log_p = photons.log_probabilities(float(field[place]))
        surprise -= log_p[images[(slice(None), *place)] - low] / math.log(2)
        entropy += float(torch.special.entr(log_p.exp()).sum()) / math.log(2)
    error = surprise.std() / math.sqrt(2000)
    assert abs(surprise.mean().item() - entropy) < 4 * error


def test_it_is_near_that_of_a_gaussian_of_the_same_spread():
    field = photons.photon_field(0).flatten()[::97]
    spread = (photons.GAIN**2 * field + photons.READ**2 + 1 / 12).sqrt()
    gauss = (spread * math.sqrt(2 * math.pi * math.e)).log2().mean().item()
    assert photons.entropy_bits(field) == pytest.approx(gauss, abs=1e-3)


def test_the_set_follows_from_its_seed():
    data = load_data("photons", limit=3)
    assert (data.shape, data.level_count, data.protocol) == ((2, 24, 40), 65536, "levels")
    assert torch.equal(data.train.levels, load_data("photons", limit=3).train.levels)
    assert not torch.equal(data.train.levels, load_data("photons", limit=3, seed=1).train.levels)
    assert 1000 < data.train.levels.min() < data.train.levels.max() < 40000
