"""The likelihood of a set, shared out over the processes of a run."""

import torch

from nextpixel.data import Split
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.training.ranks import Ranks

BATCH = 100


def nats_over(ranks: Ranks, model: PixelModel, images: Split, condition: Value | None) -> float:
    """Mean surprise of an image, in nats: that of `evaluate`, to the bit.

    Args:
        ranks: Each takes every so manieth batch; the batches are those of one process.
        model: The model.
        images: The images.
        condition: What the model is told of each.
    """
    if condition is None:
        condition = model.condition_of(images.levels, images.labels)
    own = torch.arange(len(images)) // BATCH % ranks.world == ranks.rank
    found = torch.zeros(len(images), dtype=torch.float64)
    if own.any():
        told = take(condition, own, torch.device("cpu"))
        found[own] = log_probs(model, images.levels[own], told, batch_size=BATCH)
    return -ranks.sum(found).mean().item()
