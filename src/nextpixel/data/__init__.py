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
    from nextpixel.data.sources import describe as describe
    from nextpixel.data.sources import from_datasets as from_datasets
    from nextpixel.data.sources import load_config as load_config
    from nextpixel.data.sources import load_data as load_data
    from nextpixel.data.sources import names as names
    from nextpixel.data.stream import Stream as Stream

_HOMES = {
    "Batches": "batches",
    "DataConfig": "config",
    "Dataset": "dataset",
    "Split": "dataset",
    "Stream": "stream",
    "describe": "sources",
    "from_datasets": "sources",
    "load_config": "sources",
    "load_data": "sources",
    "names": "sources",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
