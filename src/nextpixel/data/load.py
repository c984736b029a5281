"""Names and paths of data sets, and `load_data`, which turns one into levels.

A named set is one entry of `_NAMED`; a path goes to the reader of its kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

from nextpixel.data import huggingface
from nextpixel.data.config import DataConfig, DataOptions, make_config, to_path
from nextpixel.data.dataset import Dataset, Source, Split, make_dataset, make_part
from nextpixel.data.huggingface.columns import Columns
from nextpixel.data.huggingface.streams import StreamSplits
from nextpixel.data.sources import arrays, cifar, folder, idx, mnist, photons, shapes
from nextpixel.data.sources.folder import ALL, Wanted
from nextpixel.data.sources.pictures import ENDINGS
from nextpixel.errors import NextPixelError, check_kind, nearest


@dataclass(frozen=True)
class _Source:
    load: Callable[..., Source]
    line: str = ""
    takes: tuple[str, ...] = ()  # options that only some sources know
    of_pictures: bool = False  # whether `load` takes `Wanted`


_NAMED = {
    "mnist": _Source(
        mnist.load_mnist,
        "handwritten digits, 1x28x28, 8-bit, 60,000 + 10,000 images, 10 classes; CC BY-SA 3.0",
    ),
    "digits": _Source(
        mnist.load_digits,
        "small handwritten digits, 1x8x8, 17 levels, 1,797 images, 10 classes; CC BY 4.0",
    ),
    "shapes": _Source(
        shapes.load_shapes,
        "filled shapes, 1x20x20, 2 levels, 6,000 + 1,000 + 1,000 images, 4 classes; generated",
    ),
    "color-shapes": _Source(
        shapes.load_color_shapes,
        "colored shapes, 3x20x20, 4 levels, 6,000 + 1,000 + 1,000 images, 4 classes; generated",
    ),
    "color-mnist": _Source(
        mnist.load_color_mnist,
        "MNIST in color, 3x28x28, 4 levels, 60,000 + 10,000 images, 10 classes; CC BY-SA 3.0",
    ),
    "photons": _Source(
        photons.load_photons,
        "photon and read noise over a field, 2x24x40, 16-bit, 2,000 + 200 + 400 images; generated",
    ),
    "cifar10": _Source(
        cifar.load_cifar10,
        "small photographs, 3x32x32, 8-bit, 50,000 + 10,000 images, 10 classes; from your folder",
        takes=("folder",),
    ),
    "fashion-mnist": _Source(
        mnist.load_fashion,
        "clothes, 1x28x28, 8-bit, 60,000 + 10,000 images, 10 classes; MIT; from your folder",
        takes=("folder",),
    ),
    "photographs": _Source(
        folder.load_photographs,
        "photographs of any size, 3 colors, 8-bit, 30 + 7 images; free; from your folder",
        takes=("folder",),
    ),
}

_STREAMS = ("size", "streaming", "buffer", "channels")
_ARRAYS = ("channels",)

OWN = {
    "FILE.npy": "your images, (N, H, W), (N, C, H, W) or (N, H, W, C); may be larger than memory",
    "FILE.npz": "the same by the name `levels`, with `labels` if there are some",
    "FILE": "your images as an IDX file, packed or not",
    "FOLDER": "of pictures (also TIFF, FITS), of .npy or IDX files, or saved by `datasets`",
    "hf:OWNER/NAME": "a set of the Hugging Face Hub; needs pip install 'nextpixel[datasets]'",
}
"""What may be given in place of a name, and a line about each."""


def names() -> list[str]:
    """Names of the data sets.

    Example:
        >>> names()  # doctest: +NORMALIZE_WHITESPACE
        ['mnist', 'digits', 'shapes', 'color-shapes', 'color-mnist', 'photons', 'cifar10',
         'fashion-mnist', 'photographs']
    """
    return list(_NAMED)


def describe(name: str) -> str:
    """One line about a named set: what, size, licence.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> describe("digits")
        'small handwritten digits, 1x8x8, 17 levels, 1,797 images, 10 classes; CC BY 4.0'
    """
    if name not in _NAMED:
        raise ValueError(f"name must be a known data set, got {name!r}: {nearest(name, _NAMED)}")
    return _NAMED[name].line


def load_data(name: str | Path, **options: Unpack[DataOptions]) -> Dataset:
    """Load a data set.

    Args:
        name: A named set, the path of a folder, a `.npy` file or an IDX file, or hf:OWNER/NAME.
        **options: Those of `DataConfig`: `levels`, `protocol`, `size`, `validation`, `limit`,
            `seed`, `folder`, `streaming`, `buffer`, `offset`, `channels`, `crop`, `crops`, `flip`.

    Raises:
        TypeError: If an option is unknown or of a wrong type.
        ValueError: If the name is unknown, or an option does not fit the data.
        NextPixelError: If a file is missing, damaged or foreign.

    Example:
        >>> data = load_data("digits", limit=100)
        >>> len(data.test), data.shape, data.level_count, data.protocol, data.classes
        (100, (1, 8, 8), 17, 'levels', 10)
    """
    check_kind("name", name, str | Path, "the name of a data set or a path")
    return load_config(make_config(str(name), options))


def from_datasets(
    dataset: object,
    *,
    name: str = "datasets",
    image: str = "image",
    label: str = "label",
    **options: Unpack[DataOptions],
) -> Dataset:
    """Use a set of Hugging Face's `datasets`; nothing is copied, images are decoded as needed.

    Args:
        dataset: A `datasets.Dataset`, split 80/10/10 by the seed; or a `DatasetDict` with `train`,
            `test` and perhaps `validation`. Or an `IterableDataset`, or several by name, of which
            `train` is read one image after another; validation and test are the first images of
            the streams of that name, or else of `train`, and are left out of training.
        name: What to call it.
        image: Column of pictures, or of arrays of 8-bit pixels.
        label: Column of labels; a set without it has none.
        **options: `levels`, `protocol`, `size`, `channels`, `limit` and `seed` as for `DataConfig`;
            `validation`, the number of images held out (of a stream, 1000 if not given, and as many
            for the test); `buffer`, images of a stream that are shuffled together: 1000 if not
            given, and 1 none.

    Raises:
        TypeError: If it is no such set, or an option is unknown or of a wrong type.
        ValueError: If a column is missing, or an option does not fit.
        NextPixelError: If the library is not installed, or an image cannot be decoded.
    """
    for option in ("folder", "streaming"):
        if option in options:
            raise TypeError(f"{option} must be left out for a set in hand")
    buffer = options.get("buffer")
    config = make_config(name, {"streaming": buffer is not None, **options})
    splits = huggingface.load_splits(config, dataset, Columns(image, label))
    if buffer is not None and not isinstance(splits, StreamSplits):
        raise ValueError(f"buffer must be left out for a set with random access, got {buffer}")
    return make_dataset(config, splits)


def load_config(config: DataConfig) -> Dataset:
    """Load the data set that a `DataConfig` describes; see `load_data`."""
    return make_dataset(config, load_source(config))


def load_images(name: str | Path, **options: Unpack[DataOptions]) -> Split:
    """Load all images of a file or a folder, in its order, to measure and not to train on.

    Args:
        name: As for `load_data`; a set with splits of its own gives them one after another.
        **options: As for `load_data`.

    Returns:
        One part, of at least one image. With `crop` its images are whole tiles of that size.

    Raises:
        TypeError, ValueError, NextPixelError: As `load_data` does.

    Example:
        >>> len(load_images("digits")), len(load_data("digits").test)
        (1797, 179)
    """
    config = make_config(str(name), options)
    return make_part(config, load_source(config), "all")


def load_source(config: DataConfig, wanted: Wanted = ALL) -> Source:
    """What the source of a `DataConfig` holds, before levels are made of it.

    Args:
        config: The set.
        wanted: What is asked of pictures.

    Raises:
        ValueError: If the name is unknown, or an option does not fit the source.
        NextPixelError: If a file is missing, damaged or foreign.
    """
    source = _source(config.name)
    for option in ("size", "folder", "streaming", "buffer", "channels"):
        value = getattr(config, option)
        if value not in (None, False) and option not in source.takes:
            raise ValueError(f"{option} must be left out for {config.name}, got {value!r}")
    return source.load(config, wanted=wanted) if source.of_pictures else source.load(config)


def _source(name: str) -> _Source:
    if name in _NAMED:
        return _NAMED[name]
    if name.startswith(huggingface.PREFIX):
        return _Source(huggingface.load_named, takes=_STREAMS)
    path = to_path(name)
    if name and path.exists():
        return _KINDS[kind_of(path)](path)
    if name in OWN:  # what a recipe says that has no set of its own
        raise ValueError(
            f"name must be a folder or a file of your own, got the mere word {name!r}: give it by "
            "--data, as in --data holiday/"
        )
    if len(path.parts) > 1 or path.suffix or name.startswith("~"):
        raise ValueError(f"name must be a data set or a path, got {name!r}: no such file or folder")
    raise ValueError(
        f"name must be a known data set or a path, got {name!r}: {nearest(name, _NAMED)}"
    )


Kind = Literal["npy", "npz", "idx", "picture", "mnist", "cifar10", "saved", "arrays", "pictures"]
"""Of a path: a file of one of the first four kinds, or a folder."""


def kind_of(path: Path) -> Kind:
    """What a file or folder holds, by its name and by what lies in it; see docs/files.md.

    Raises:
        NextPixelError: If it is nothing that is read.
    """
    return _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)


def _kind_of_folder(path: Path) -> Kind:
    if idx.find_set(path) is not None:
        return "mnist"
    if cifar.holds_cifar10(path):
        return "cifar10"
    if huggingface.holds_saved(path):
        return "saved"
    return "arrays" if arrays.find_arrays(path) and not folder.holds_pictures(path) else "pictures"


def _kind_of_file(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return "npy" if suffix == ".npy" else "npz"
    if suffix in ENDINGS:
        return "picture"
    if idx.is_idx(path):
        return "idx"
    raise NextPixelError(
        f"{path}: no kind of data that is read: give a picture ({', '.join(ENDINGS)}), a "
        "folder of pictures, a .npy, a .npz or an IDX file"
    )


_KINDS: dict[Kind, Callable[[Path], _Source]] = {
    "npy": lambda path: _numbers(partial(arrays.load_array, path=path)),
    "npz": lambda path: _numbers(partial(arrays.load_zipped, path=path)),
    "idx": lambda path: _Source(lambda _: idx.load_file(path)),
    "picture": lambda path: _pictures(partial(folder.load_picture, path=path)),
    "mnist": lambda path: _Source(partial(idx.load_set, folder=path)),
    "cifar10": lambda path: _Source(partial(cifar.load_folder, folder=path)),
    "saved": lambda path: _Source(partial(huggingface.load_saved, folder=path), takes=_STREAMS),
    "arrays": lambda path: _Source(
        partial(arrays.load_arrays, paths=arrays.find_arrays(path)), takes=_ARRAYS
    ),
    "pictures": lambda path: _pictures(partial(folder.load_folder, folder=path)),
}


def _numbers(load: Callable[..., Source]) -> _Source:
    return _Source(load, takes=_ARRAYS)


def _pictures(load: Callable[..., Source]) -> _Source:
    return _Source(load, takes=("size",), of_pictures=True)
