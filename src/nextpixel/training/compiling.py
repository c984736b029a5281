"""The training pass, compiled by torch: for GPUs, on request.

Each size of a batch is compiled for itself, so that what is computed does not depend on which size
came first.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable

import torch

from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import Value

Predict = Callable[[torch.Tensor, Value | None], Distribution]

_COMPILERS = ("g++", "clang++", "cl")


def missing_compiler(device: torch.device) -> str | None:
    """What `torch.compile` lacks on this machine for a device, in words, or None."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "Triton, which is not installed"
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    if any(shutil.which(name) for name in wanted):
        return None
    return f"a C++ compiler ({' or '.join(wanted)}), and there is none"


def predictor(model: PixelModel) -> Predict:
    """The model as a compiled function.

    Raises:
        NextPixelError: When it is called, if torch cannot compile it.
    """
    compiled: Predict = torch.compile(model, dynamic=False)

    def predict(levels: torch.Tensor, condition: Value | None) -> Distribution:
        try:
            return compiled(levels, condition)
        except torch._dynamo.exc.TorchDynamoException as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NextPixelError(
                f"torch cannot compile the training pass ({first}); leave train.compile out"
            ) from error

    return predict
