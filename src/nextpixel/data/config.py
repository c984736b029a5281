"""What to load, in plain values: the `data` section of a recipe, a config file and a checkpoint.

This module imports no torch, so that the command line can show its options at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from nextpixel.errors import check_keywords, nearest

PROTOCOLS = ("threshold", "dynamic", "quantized", "levels")
"""How levels are made of pixels; see `nextpixel.data.protocols`."""

CHANNELS = ("first", "last")
"""Where colors are in arrays of images: (N, C, H, W) or (N, H, W, C)."""

FLIPS = ("horizontal", "dihedral")
"""How training images are mirrored and turned; see `nextpixel.data.crops`."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A data set, and how its levels are made.

    Args:
        name: A named set, the path of a folder, a `.npy` file or an IDX file, or hf:OWNER/NAME of
            the Hugging Face Hub.
        levels: K, 2 to 65,536; None means the set's own number (256 where it has 8-bit pixels,
            65,536 where they have 16), or 2 where `protocol` is `threshold` or `dynamic`.
        protocol: `threshold`, `dynamic`, `quantized` or `levels`; None means by the data: `levels`
            where the source has levels, else `threshold` at 2 levels and `quantized` above.
        size: Cut the largest centered square of a folder's pictures, and resize it to size x size.
        validation: Number of images held out of the training images; None means the set's own.
        limit: Keep only the first so many images of each split, for quick runs.
        seed: Of splits, of generated sets and of the fixed test draw of `dynamic`.
        folder: Where a set that is not shipped lies.
        streaming: Read a set of Hugging Face's `datasets` as a stream: from a folder of its files
            or from the Hub, without storing it. Training images come one after another; the first
            ones, 1000 or as many as `validation` says, are held out, and as many for the test.
        buffer: Images of a stream that are shuffled together; None means 1000, and 1 none.
        offset: What is added to the numbers of NumPy and FITS files, as 32768 to those of int16.
        channels: Where the colors are in NumPy files, and in arrays of Hugging Face's `datasets`:
            `first`, (N, C, H, W), or `last`, (N, H, W, C); None means as the sizes say it.
        crop: Train on random crop x crop parts of images, which may differ in size, and validate
            and test on fixed tiles of that size.
        crops: Of `crop`: how many parts an epoch draws of each training image; None means one. More
            let batches be larger than the number of images.
        flip: `horizontal`: mirror half of the training images; `dihedral`: turn and mirror them at
            random, in one of eight ways.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is out of range or the protocol is unknown.

    Example:
        >>> DataConfig(name="mnist", levels=2).seed
        0
        >>> DataConfig(name="mnist", levels=1)
        Traceback (most recent call last):
        ValueError: levels must be 2 to 65536, got 1
    """

    name: str
    levels: int | None = None
    protocol: str | None = None
    size: int | None = None
    validation: int | None = None
    limit: int | None = None
    seed: int = 0
    folder: str | None = None
    streaming: bool = False
    buffer: int | None = None
    offset: int = 0
    channels: str | None = None
    crop: int | None = None
    crops: int | None = None
    flip: str | None = None

    def __post_init__(self) -> None:
        check_number("levels", self.levels, 2, 65536)
        for name in ("size", "validation", "limit", "buffer", "crop", "crops"):
            check_number(name, getattr(self, name), 1, None)
        check_number("seed", self.seed, 0, None)
        if not isinstance(self.streaming, bool):
            raise TypeError(f"streaming must be true or false, got {self.streaming!r}")
        if self.buffer is not None and not self.streaming:
            raise ValueError(f"buffer must be left out without streaming, got {self.buffer}")
        if self.streaming and (self.crop is not None or self.flip is not None):
            raise ValueError("crop and flip must be left out with streaming")
        if self.crops is not None and self.crop is None:
            raise ValueError(f"crops must be left out without crop, got {self.crops}")
        check_number("offset", self.offset, -(2**31), 2**31)
        _check_choice("channels", self.channels, CHANNELS)
        _check_choice("flip", self.flip, FLIPS)
        if self.protocol is not None and self.protocol not in PROTOCOLS:
            hint = nearest(self.protocol, PROTOCOLS)
            raise ValueError(f"protocol must be a known one, got {self.protocol!r}: {hint}")


class DataOptions(TypedDict, total=False):
    """Options of `DataConfig` but for the name, for functions that take them as keywords."""

    levels: int | None
    protocol: str | None
    size: int | None
    validation: int | None
    limit: int | None
    seed: int
    folder: str | Path | None
    streaming: bool
    buffer: int | None
    offset: int
    channels: str | None
    crop: int | None
    crops: int | None
    flip: str | None


def make_config(name: str, options: Mapping[str, object]) -> DataConfig:
    """A config of a name and of `DataOptions`.

    Raises:
        TypeError: If an option is unknown or of a wrong type.
        ValueError: If an option is out of range.

    Example:
        >>> make_config("mnist", {"level": 2})
        Traceback (most recent call last):
        TypeError: unknown option 'level'; did you mean 'levels'?
    """
    check_keywords(options, DataOptions.__annotations__)
    values: dict[str, Any] = dict(options)
    if isinstance(values.get("folder"), Path):
        values["folder"] = str(values["folder"])
    return DataConfig(name=name, **values)


def check_number(name: str, value: object, least: int, most: int | None) -> None:
    """Refuse what is no integer from `least` to `most`; None is one.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is out of range.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} must be {allowed}, got {value}")


def _check_choice(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(known)}, got {value!r}: {nearest(value, known)}"
        )


def to_path(name: str) -> Path:
    """The path that a user's word means; a leading `~/` is the home folder."""
    path = Path(name)
    return path.expanduser() if path.parts[:1] == ("~",) else path
