"""A refusal, with figures, of what a device's memory cannot hold."""

from pathlib import Path

import torch

from nextpixel.errors import NextPixelError

MEGABYTE = 10**6


def free_memory(device: torch.device) -> int | None:
    """Bytes that a device can still give; None where that is not known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    table = Path("/proc/meminfo")
    if device.type != "cpu" or not table.exists():
        return None
    fields = dict(line.split(":") for line in table.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def check_memory(needed: int, device: torch.device, what: str) -> None:
    """Refuse what would not fit.

    Args:
        needed: Bytes.
        device: Where.
        what: What needs them, for the message.

    Raises:
        NextPixelError: With the bytes that are needed and those that are free.
    """
    free = free_memory(device)
    if free is not None and needed > free:
        raise NextPixelError(
            f"{what} need {needed // MEGABYTE:,} MB of memory on {device}, which has "
            f"{free // MEGABYTE:,} MB free; take fewer images at a time, or smaller ones"
        )
