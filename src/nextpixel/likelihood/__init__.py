"""Exact likelihoods of whole sets: nats per image, bits per dimension, and how sure they are.

Every image counts once, whatever the batches are; nothing is dropped. The model is evaluated in
evaluation mode, and the protocol that made the levels is part of the result, since figures of
different protocols cannot be compared.
"""

from nextpixel.likelihood.measure import compare, evaluate, mean_and_error, surprise_map
from nextpixel.likelihood.scoring import (
    check_images,
    evaluation_mode,
    part_log_probs,
    part_masks,
    read_orders,
)
from nextpixel.likelihood.sizes import log_probs

__all__ = [
    "check_images",
    "compare",
    "evaluate",
    "evaluation_mode",
    "log_probs",
    "mean_and_error",
    "part_log_probs",
    "part_masks",
    "read_orders",
    "surprise_map",
]
