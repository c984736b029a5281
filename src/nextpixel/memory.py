"""Memory: what there is, and a refusal in place of a machine that swaps or a killed process."""

import os
from pathlib import Path

from nextpixel.errors import NextPixelError

_INFO = Path("/proc/meminfo")


def available() -> int | None:
    """Bytes that can be had now; None where the system does not say."""
    try:
        for line in _INFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def require(needed: int, what: str, remedy: str) -> None:
    """Refuse a job that does not fit.

    Args:
        needed: Bytes.
        what: What needs them.
        remedy: What to do about it.

    Raises:
        NextPixelError: If fewer are available.
    """
    there = available()
    if there is not None and needed > there:
        raise NextPixelError(
            f"{what} needs {_size(needed)} of memory, and {_size(there)} are available; {remedy}"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
