"""Training: `fit` a model to a data set, and go on exactly where a stopped run was.

The names below are imported when first used, so that `training.config` alone costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextpixel.training.config import TrainConfig as TrainConfig
    from nextpixel.training.loop import fit as fit
    from nextpixel.training.metrics import Progress as Progress
    from nextpixel.training.metrics import Result as Result

_HOMES = {"Progress": "metrics", "Result": "metrics", "TrainConfig": "config", "fit": "loop"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
