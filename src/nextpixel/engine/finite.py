"""Refusals of what is no finite number: weights before a scan, predictions behind it."""

from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel


def check_weights(model: PixelModel) -> None:
    """Refuse weights that are no finite numbers.

    Raises:
        NextPixelError: Naming the first.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise NextPixelError(f"the weights {name} of {model.name} are not all finite numbers")


def check_predictions(model: PixelModel, log_prob: Tensor) -> None:
    """Refuse log-probabilities, shape (B,), that are no finite numbers.

    Raises:
        NextPixelError: Naming the model.
    """
    if not bool(log_prob.isfinite().all()):
        raise NextPixelError(f"{model.name} predicts what is no number: its outputs overflow")
