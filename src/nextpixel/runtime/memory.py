"""Memory: what there is, and a refusal in place of a machine that swaps or a killed process."""

import os
from pathlib import Path

import torch

from nextpixel.errors import NextPixelError

CPU = torch.device("cpu")
_TABLE = Path("/proc/meminfo")


def available(device: torch.device = CPU) -> int | None:
    """Bytes that a device can still give; None where that is not known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    try:
        for line in _TABLE.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def require(needed: int, what: str, remedy: str, device: torch.device = CPU) -> None:
    """Refuse a job that does not fit.

    Args:
        needed: Bytes.
        what: What needs them.
        remedy: What to do about it.
        device: Where.

    Raises:
        NextPixelError: If fewer are available.
    """
    there = available(device)
    if there is not None and needed > there:
        raise NextPixelError(
            f"{what} needs {_size(needed)} of memory, and {_size(there)} are available; {remedy}"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
