"""Data sets as levels: named sets and files, splits, and seeded batches that can be resumed.

The names below are imported when first used, so that `data.config` alone costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextpixel.data.batches import Batches as Batches
    from nextpixel.data.config import DataConfig as DataConfig
    from nextpixel.data.dataset import Dataset as Dataset
    from nextpixel.data.dataset import Split as Split
    from nextpixel.data.huggingface.streams import Stream as Stream
    from nextpixel.data.load import describe as describe
    from nextpixel.data.load import from_datasets as from_datasets
    from nextpixel.data.load import load_config as load_config
    from nextpixel.data.load import load_data as load_data
    from nextpixel.data.load import load_images as load_images
    from nextpixel.data.load import names as names
    from nextpixel.data.tensors import from_tensors as from_tensors

_HOMES = {
    "Batches": "batches",
    "DataConfig": "config",
    "Dataset": "dataset",
    "Split": "dataset",
    "Stream": "huggingface.streams",
    "describe": "load",
    "from_datasets": "load",
    "from_tensors": "tensors",
    "load_config": "load",
    "load_data": "load",
    "load_images": "load",
    "names": "load",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
