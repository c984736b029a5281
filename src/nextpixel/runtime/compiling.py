"""Compiled functions, kept on the disk between starts where there is a place for it."""

import hashlib
import sys
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
    kept._cache_file._source_stamp = _stamp(function)
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


def _stamp(function: Callable[..., Any]) -> str:
    """What compiled code was made from: all files that may be part of it; numba minds one only."""
    digest = hashlib.sha256()
    for folder in sorted(_folders(function)):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _folders(function: Callable[..., Any]) -> set[Path]:
    """Where a function lies, where this file does, and where what its file imports does."""
    used = (getattr(value, "__module__", None) for value in function.__globals__.values())
    package = __name__.split(".")[0] + "."
    names = {name for name in used if isinstance(name, str) and name.startswith(package)}
    modules = (sys.modules[name] for name in {function.__module__, __name__, *names})
    return {Path(module.__file__).parent for module in modules if module.__file__}
