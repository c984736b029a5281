"""The processes of one job, each a rank: what they share, add up, agree on and leave to the first.

Every rank holds the whole model. In training it takes its share of each batch, and gradients are
summed over ranks before the optimisers see them, so that all make the same update and stay equal to
the bit. In evaluation and sampling it takes its share of the images, and leaves zeros for the
others, so that the sum over ranks is the whole, on each of them.
A world of one rank communicates nothing. Knows no model and no data.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nextpixel.errors import LostTouch, NextPixelError, shared_with_all
from nextpixel.runtime.launcher import followed, processes

Outcome = TypeVar("Outcome")

PATIENCE = timedelta(hours=1)
"""How long a rank waits for the others: the first may be drawing previews meanwhile."""

_JOINING = timedelta(minutes=5)
"""How long a process tries to reach the others at all: their launcher may be gone already."""


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

    def share(self, count: int) -> slice:
        """This rank's share of things in a row; the shares of all ranks are all of them.

        Example:
            >>> [Ranks(rank, 3).share(10) for rank in range(3)]
            [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
        """
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)

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

    def gather(self, value: Outcome) -> list[Outcome]:
        """What each rank gives, plain values or small tensors, in the order of the ranks."""
        if self.world == 1:
            return [value]
        found: list[Outcome] = [value] * self.world
        with _together():
            dist.all_gather_object(found, value)
        return found

    def each(self, call: Callable[[], Outcome]) -> Outcome:
        """What a call gives on this rank; where it fails on one, it fails on every rank.

        The call must not wait for other ranks: one that has failed would never come.
        """
        if self.world == 1:
            return call()
        outcome, error = _caught(call)
        errors: list[Exception | None] = [None] * self.world
        with _together():
            dist.all_gather_object(errors, error)
        _raise_first(errors)
        return outcome  # type: ignore[return-value]

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
        _raise_first([error])
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
def joined(device: torch.device | None = None) -> Iterator[Ranks]:
    """Join the processes that a launcher such as `torchrun` started, and leave them at the end.

    Until then the death of the launcher is a SIGTERM to this process, see `runtime.launcher`.

    Args:
        device: Where this process computes, see `runtime.device`; None: the CPU. gloo connects
            tensors of the CPU, nccl those of CUDA devices.

    Raises:
        NextPixelError: If the others cannot be reached.
    """
    if processes() == 1 or dist.is_initialized():
        yield Ranks.current()
        return
    with followed():
        with _together():
            _join(backend_for(device))
        try:
            yield Ranks.current()
        finally:
            dist.destroy_process_group()


def _join(backend: str) -> None:
    store, rank, world = next(dist.rendezvous("env://", timeout=_JOINING))  # type: ignore[attr-defined]
    store.set_timeout(PATIENCE)
    store = dist.PrefixStore("nextpixel-ranks", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)


def backend_for(device: torch.device | None) -> str:
    """What connects processes that compute on such devices; a CUDA device becomes the current one.

    Example:
        >>> backend_for(torch.device("cpu"))
        'gloo'
    """
    if device is None or device.type != "cuda":
        return "gloo"
    torch.cuda.set_device(device)
    return "cpu:gloo,cuda:nccl" if dist.is_nccl_available() else "gloo"


def _caught(call: Callable[[], Outcome]) -> tuple[Outcome | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:  # told to every rank, which raises it
        return None, _portable(error)


def _portable(error: Exception) -> Exception:
    """An error that other processes can be sent: itself, if it can be copied, else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class makes of it
        return NextPixelError(f"{type(error).__name__}: {error}")
    return error


def _raise_first(errors: Sequence[Exception | None]) -> None:
    """Raise the error of the lowest rank that has met one."""
    for error in errors:
        if error is not None:
            raise shared_with_all(error)


@contextmanager
def _together() -> Iterator[None]:
    """Say in one line that another process is gone: torch's own text is many."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LostTouch(
            "lost touch with the other processes of the run; if it was training, --resume goes on "
            f"from the last resume point ({reason})"
        ) from error
