"""The likelihood of a set, shared out over the processes of a run."""

from nextpixel.data import Split
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from nextpixel.runtime.distributed import Ranks


def nats_over(ranks: Ranks, model: PixelModel, images: Split, condition: Value | None) -> float:
    """Mean surprise of an image, in nats: that of `evaluate`, to the bit.

    Args:
        ranks: The processes.
        model: The model.
        images: The images.
        condition: What the model is told of each.
    """
    return -log_probs(model, images, condition, ranks=ranks).mean().item()
