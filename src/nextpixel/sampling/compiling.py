"""Compiled functions, kept on the disk between starts where there is a place for it."""

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

inlined = njit(nogil=True, error_model="numpy", forceinline=True)
"""Compile a function as part of those that call it."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the result on the disk if possible."""
    try:
        made: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:  # no folder to keep it in
        warnings.warn(f"compiled code is not kept, so each start compiles: {error}", stacklevel=2)
        made = njit(nogil=True, error_model="numpy")(function)
    else:
        made._cache._cache_file._source_stamp = _stamp()  # type: ignore[attr-defined]
    return made


def _stamp() -> str:
    """What compiled code was made from: all files here, where numba itself minds one only."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
