"""Names and paths of data sets, and `load_data`, which turns one into levels.

A named set is one entry of `_SETS`; a path goes to the reader of its kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nextpixel.data import idx, shipped
from nextpixel.data.config import DataConfig
from nextpixel.data.dataset import Dataset, Split
from nextpixel.data.parts import Images, Parts
from nextpixel.data.protocols import resolve
from nextpixel.errors import NextPixelError, nearest

Loader = Callable[[DataConfig], Parts]


@dataclass(frozen=True)
class _Set:
    load: Loader
    line: str


_SETS = {
    "mnist": _Set(
        shipped.load_mnist,
        "handwritten digits, 1x28x28, 8-bit, 60,000 + 10,000 images, 10 classes; CC BY-SA 3.0",
    ),
    "digits": _Set(
        shipped.load_digits,
        "small handwritten digits, 1x8x8, 17 levels, 1,797 images, 10 classes; CC BY 4.0",
    ),
}


def names() -> list[str]:
    """Names of the data sets.

    Example:
        >>> names()[:2]
        ['mnist', 'digits']
    """
    return list(_SETS)


def describe(name: str) -> str:
    """One line about a named set: what, size, licence.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> describe("digits")
        'small handwritten digits, 1x8x8, 17 levels, 1,797 images, 10 classes; CC BY 4.0'
    """
    if name not in _SETS:
        raise ValueError(f"name must be a known data set, got {name!r}: {nearest(name, _SETS)}")
    return _SETS[name].line


def load_data(
    name: str | Path,
    *,
    levels: int | None = None,
    protocol: str | None = None,
    size: int | None = None,
    validation: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
) -> Dataset:
    """Load a data set; the options are those of `DataConfig`.

    Raises:
        TypeError: If an option is of a wrong type.
        ValueError: If the name is unknown, or an option does not fit the data.
        NextPixelError: If a file is missing, damaged or foreign.

    Example:
        >>> data = load_data("digits", limit=100)
        >>> len(data.test), data.shape, data.level_count, data.protocol, data.classes
        (100, (1, 8, 8), 17, 'levels', 10)
    """
    config = DataConfig(
        name=str(name),
        levels=levels,
        protocol=protocol,
        size=size,
        validation=validation,
        limit=limit,
        seed=seed,
        folder=None if folder is None else str(folder),
    )
    return load_config(config)


def load_config(config: DataConfig) -> Dataset:
    """Load the data set that a `DataConfig` describes; see `load_data`."""
    return _to_dataset(config, _loader(config.name)(config))


def _loader(name: str) -> Loader:
    if name in _SETS:
        return _SETS[name].load
    path = Path(name).expanduser()
    if path.exists():
        return _path_loader(path)
    if len(path.parts) > 1 or path.suffix or name.startswith(("~", ".")):
        raise ValueError(
            f"name must be a data set or an existing path, got {name!r}: no such file or folder"
        )
    raise ValueError(
        f"name must be a known data set or an existing path, got {name!r}: {nearest(name, _SETS)}"
    )


def _path_loader(path: Path) -> Loader:
    if path.is_dir():
        files = idx.find_set(path)
        if files is not None:
            return lambda config: idx.load_set(config, files)
    return lambda config: idx.load_file(config, path)


def _to_dataset(config: DataConfig, parts: Parts) -> Dataset:
    level_count, protocol = resolve(config, parts.level_count)

    def split(part: str, images: Images) -> Split:
        name = f"{config.name}/{part}"
        whole = Split(name, images.pixels, images.labels, level_count, protocol, config.seed)
        return whole if config.limit is None else whole.take(config.limit)

    return Dataset(
        config.name,
        split("train", parts.train),
        split("validation", parts.validation),
        split("test", parts.test),
        parts.class_names,
    )
