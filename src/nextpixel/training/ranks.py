"""The processes of one run, each a rank: what they add up, agree on and leave to the first.

Every rank holds the whole model and takes its share of each batch. Gradients are summed over ranks
before the optimisers see them, so that all ranks make the same update and stay equal to the bit.
A world of one rank communicates nothing. Knows no model and no data.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nextpixel.errors import NextPixelError

Outcome = TypeVar("Outcome")

PATIENCE = timedelta(hours=1)
"""How long a rank waits for the others: the first may be drawing previews meanwhile."""


class Ranks:
    """This process among those of its run.

    Args:
        rank: Its number, from zero.
        world: How many there are; with more than one, torch's default process group connects them.

    Example:
        >>> alone = Ranks()
        >>> alone.is_first, alone.largest(0.5, 0), alone.first(lambda: "said once")
        (True, [0.5, 0], 'said once')
    """

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

    @classmethod
    def current(cls) -> "Ranks":
        """The ranks of torch's default process group, or this process alone if there is none."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum of a tensor of equal shape over all ranks, in place; the same bits on each."""
        if self.world > 1:
            with _together():
                dist.all_reduce(values)
        return values

    def largest(self, *values: float) -> list[float]:
        """The largest of each number over all ranks: what all of them act by."""
        if self.world == 1:
            return list(values)
        found = torch.tensor(values, dtype=torch.float64)
        with _together():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return [float(value) for value in found]

    def first(self, call: Callable[[], Outcome]) -> Outcome:
        """What a call gives on the first rank; where it fails there, it fails on every rank."""
        if self.world == 1:
            return call()
        said: list[tuple[Outcome | None, Exception | None] | None] = [None]
        if self.is_first:
            said[0] = _caught(call)
        with _together():
            dist.broadcast_object_list(said, src=0)
        assert said[0] is not None
        outcome, error = said[0]
        if error is not None:
            raise error
        return outcome  # type: ignore[return-value]

    def copy_first(self, model: nn.Module) -> None:
        """Give every rank the weights and buffers of the first."""
        if self.world > 1:
            with _together(), torch.no_grad():
                for tensor in model.state_dict().values():
                    content = tensor.contiguous()
                    dist.broadcast(content, src=0)
                    tensor.copy_(content)

    def average_buffers(self, model: nn.Module) -> None:
        """Replace buffers of real numbers (statistics of batch norm) by their mean over ranks."""
        if self.world > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.sum(buffer.detach().clone()) / self.world)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that a launcher such as `torchrun` started, and leave them at the end.

    gloo connects tensors of the CPU; nccl those of GPUs, where there are any.

    Raises:
        NextPixelError: If the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield Ranks.current()
        return
    backend = "gloo"
    if torch.cuda.is_available() and dist.is_nccl_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    with _together():
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Ranks.current()
    finally:
        dist.destroy_process_group()


def _caught(call: Callable[[], Outcome]) -> tuple[Outcome | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:  # told to every rank, which raises it
        return None, error


@contextmanager
def _together() -> Iterator[None]:
    """Say in one line that another process is gone: torch's own text is many."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NextPixelError(
            f"lost touch with the other processes of the run; resuming it goes on from the last "
            f"resume point ({reason})"
        ) from error
