"""Where a process computes, the CPU or a CUDA device of its own, and what memory there is.

A job that does not fit is refused, in place of a machine that swaps or a killed process.
"""

import os
from pathlib import Path

import torch

from nextpixel.errors import NextPixelError, check_kind

DEVICES = ("auto", "cpu", "cuda")


def check_rng(rng: object) -> None:
    """Refuse what is no source of random numbers on the CPU; None is torch's global generator.

    Raises:
        TypeError: If it is no generator.
        ValueError: If it is on another device: the same numbers are drawn wherever a model is.
    """
    made = "torch.Generator().manual_seed(0) makes one"
    check_kind("rng", rng, torch.Generator | None, f"a torch.Generator or None; {made}")
    if rng is not None and rng.device.type != "cpu":  # type: ignore[attr-defined]
        raise ValueError(f"rng must be on the CPU, got one elsewhere; {made}")


def choose_device(name: str = "auto") -> torch.device:
    """The device of this process; of those that torchrun starts on a machine, each its own.

    Args:
        name: "cpu", "cuda", or "auto": CUDA where torch finds it, else the CPU.

    Returns:
        The CPU, or the CUDA device with this process's number on its machine.

    Raises:
        ValueError: If there is no such device, or there are fewer than processes.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return torch.device("cpu")
    if count == 0:
        raise ValueError(
            "device must be cpu or auto on this machine, got 'cuda': torch finds no CUDA device"
        )
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes > count:
        raise ValueError(
            f"processes on a machine must be at most its CUDA devices, {count}, got {processes}; "
            "start fewer, or choose device cpu"
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


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
