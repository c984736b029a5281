"""Heads: network outputs -> a distribution over the levels of every sub-pixel."""

from nextpixel.heads.base import Distribution, Head
from nextpixel.heads.bernoulli import Bernoulli, BernoulliHead
from nextpixel.heads.categorical import Categorical, CategoricalHead

__all__ = [
    "Bernoulli",
    "BernoulliHead",
    "Categorical",
    "CategoricalHead",
    "Distribution",
    "Head",
    "head_for",
]


def head_for(levels: int) -> Head:
    """The exact head for K levels: one logit for two levels, a softmax for more."""
    return BernoulliHead() if levels == 2 else CategoricalHead(levels)
