"""Where a process computes: the CPU, or a CUDA device of its own. Knows no model and no data."""

import os

import torch

DEVICES = ("auto", "cpu", "cuda")


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
