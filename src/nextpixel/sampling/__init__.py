"""Sampling: one loop over the steps; what to write and how to predict are its arguments."""

from nextpixel.sampling.completion import complete
from nextpixel.sampling.draw import sample
from nextpixel.sampling.options import METHODS, SamplingOptions
from nextpixel.sampling.particles import Particles, complete_by_particles
from nextpixel.sampling.region import RegionLogProb, log_prob_of
from nextpixel.sampling.scan import Recompute, State, scan

__all__ = [
    "METHODS", "Particles", "Recompute", "RegionLogProb", "SamplingOptions", "State", "complete",
    "complete_by_particles", "log_prob_of", "sample", "scan",
]  # fmt: skip
