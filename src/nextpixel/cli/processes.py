"""A command that several processes of torchrun carry out together, each on its device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.runtime.device import choose_device
from nextpixel.runtime.distributed import Processes, joined


@dataclass(frozen=True)
class Team:
    """The processes of a command, and the device of this one."""

    processes: Processes
    device: torch.device

    def load(self, folder: str) -> PixelModel:
        """Read a model onto this process's device.

        Raises:
            ValueError: If there is none.
            NextPixelError: If its files are damaged.
        """
        return self.processes.each(lambda: npx.load(folder).to(self.device))


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes of torchrun, if it has started this one, while a command is carried out.

    Args:
        device: "auto", "cpu" or "cuda".

    Raises:
        ValueError: If there is no such device.
        NextPixelError: If the other processes cannot be reached.
    """
    chosen = choose_device(device)
    with joined(chosen) as processes:
        yield Team(processes, chosen)
