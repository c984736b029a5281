"""Sampling: one loop over the steps; what to write and how to predict are its arguments."""

from nextpixel.sampling.completion import complete
from nextpixel.sampling.draw import sample
from nextpixel.sampling.options import METHODS, SamplingOptions
from nextpixel.sampling.scan import Recompute, State, scan

__all__ = ["METHODS", "Recompute", "SamplingOptions", "State", "complete", "sample", "scan"]
