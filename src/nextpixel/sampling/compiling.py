"""Compiled functions, kept on the disk between starts where there is a place for it."""

import hashlib
import warnings
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

from numba import njit

inlined = njit(nogil=True, error_model="numpy", forceinline=True)
"""Compile a function as part of those that call it."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the result on the disk if possible."""
    try:
        made: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:  # no folder to keep it in
        _tell(str(error))
        return njit(nogil=True, error_model="numpy")(function)
    kept = made._cache
    kept._cache_file._source_stamp = _stamp(function.__code__.co_filename)
    kept.save_overload = _forgiving(kept.save_overload)
    return made  # type: ignore[no-any-return]


def _forgiving(save: Callable[..., None]) -> Callable[..., None]:
    """Compiled code that cannot be kept, as on a full disk, can still be run."""

    @wraps(save)
    def attempt(*given: Any) -> None:  # noqa: ANN401 - numba's own
        try:
            save(*given)
        except OSError as error:
            _tell(str(error))

    return attempt


@cache
def _warn(kind: str) -> None:
    """Say it once a process."""
    warnings.warn(kind, stacklevel=5)


def _tell(reason: str) -> None:
    where = reason.split(" for file ")[-1]
    _warn(
        f"compiled code cannot be kept ({where}), so each start takes some 15 s more; set "
        "NUMBA_CACHE_DIR to a folder that can be written"
    )


@cache
def _stamp(file: str) -> str:
    """What compiled code was made from: its file and all files here; numba minds the first only."""
    digest = hashlib.sha256()
    for path in sorted({Path(file), *Path(__file__).parent.glob("*.py")}):
        digest.update(path.read_bytes())
    return digest.hexdigest()
