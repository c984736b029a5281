"""The processes of one job: what they share out, add up, agree on and leave to the first.

Every process holds the whole model. In training it takes its share of each batch, and gradients are
summed over the processes before the optimisers see them, so that all make the same update and stay
equal to the bit. In evaluation and sampling it takes its share of the images, and leaves zeros for
the others, so that the sum over the processes is the whole, on each of them.

torchrun names the processes in their environment. It ends them with SIGTERM when one has failed or
it is asked to stop itself. Killed outright it leaves them behind, in sessions of their own, where
no terminal reaches them: hence `following_torchrun`. One process alone communicates nothing.

Knows no model and no data.
"""

import os
import pickle
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nextpixel.errors import LostTouch, NextPixelError, shared_with_all

Outcome = TypeVar("Outcome")

TIMEOUT = timedelta(hours=1)
"""How long a process waits for the others: the first may be drawing previews meanwhile."""

_JOIN_TIMEOUT = timedelta(minutes=5)
"""How long a process tries to reach the others at all: torchrun may be gone already."""

POLL_SECONDS = 0.5
"""Seconds after which a process looks again whether torchrun lives."""

_is_alone: ContextVar[bool] = ContextVar("is_alone", default=False)


class Processes:
    """The processes of a job, and which of them this one is.

    Args:
        rank: Number of this process, from zero.
        world_size: How many there are; with more than one, torch's default process group connects
            them.

    Example:
        >>> one = Processes()
        >>> one.is_first, one.maximum(0.5, 0), one.first(lambda: "said once")
        (True, [0.5, 0], 'said once')
    """

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    @classmethod
    def current(cls) -> "Processes":
        """Those of torch's default process group; this process alone if there is none.

        Also this process alone within `alone`, and so in what `each` and `first` call.
        """
        if dist.is_available() and dist.is_initialized() and not _is_alone.get():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The share of this process in a sequence; the shares of all processes are all of it.

        Example:
            >>> [Processes(rank, 3).share(10) for rank in range(3)]
            [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
        """
        size = self.world_size
        return slice(count * self.rank // size, count * (self.rank + 1) // size)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum of a tensor of equal shape over all processes, in place; the same bits on each."""
        if self.world_size > 1:
            with _one_line_errors():
                dist.all_reduce(values)
        return values

    def maximum(self, *values: float) -> list[float]:
        """The largest of each number over all processes: what all of them act by."""
        if self.world_size == 1:
            return list(values)
        found = torch.tensor(values, dtype=torch.float64)
        with _one_line_errors():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return [float(value) for value in found]

    def all_gather(self, value: Outcome) -> list[Outcome]:
        """What each process gives, plain values or small tensors, by rank."""
        if self.world_size == 1:
            return [value]
        found: list[Outcome] = [value] * self.world_size
        with _one_line_errors():
            dist.all_gather_object(found, value)
        return found

    def each(self, call: Callable[[], Outcome]) -> Outcome:
        """What a call gives in this process; where it fails in one, it fails in every process.

        The call works for this process alone: one that has failed would never meet the others.
        """
        if self.world_size == 1:
            return call()
        outcome, error = _caught(call)
        _raise_first(self.all_gather(error))
        return outcome  # type: ignore[return-value]

    def first(self, call: Callable[[], Outcome]) -> Outcome:
        """What a call gives in the first process; where it fails there, it fails in every one."""
        if self.world_size == 1:
            return call()
        sent: list[tuple[Outcome | None, Exception | None] | None] = [None]
        if self.is_first:
            sent[0] = _caught(call)
        with _one_line_errors():
            dist.broadcast_object_list(sent, src=0)
        assert sent[0] is not None
        outcome, error = sent[0]
        _raise_first([error])
        return outcome  # type: ignore[return-value]

    def check_equal(self, arguments: Mapping[str, object]) -> None:
        """Refuse arguments that differ between processes, of which each would do a share.

        Args:
            arguments: Tensors, tuples of them, models or None, by name.

        Raises:
            ValueError: In every process, with the names of those that differ.
        """
        if self.world_size == 1:
            return
        found = self.all_gather({name: _checksum(value) for name, value in arguments.items()})
        names = [name for name in arguments if len({sums[name] for sums in found}) > 1]
        if names:
            raise shared_with_all(
                ValueError(
                    f"{' and '.join(names)} must be the same in every process, since each takes a "
                    "share of the work; nextpixel.runtime.distributed.alone lets one work alone"
                )
            )

    def broadcast(self, model: nn.Module) -> None:
        """Give every process the weights and buffers of the first."""
        if self.world_size > 1:
            with _one_line_errors(), torch.no_grad():
                for tensor in model.state_dict().values():
                    content = tensor.contiguous()
                    dist.broadcast(content, src=0)
                    tensor.copy_(content)

    def average_buffers(self, model: nn.Module) -> None:
        """Replace buffers of real numbers (statistics of batch norm) by their mean."""
        if self.world_size > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.all_reduce(buffer.detach().clone()) / self.world_size)


@contextmanager
def alone() -> Iterator[None]:
    """Let `Processes.current` be this process alone for a while: it shares no work and never waits.

    Example:
        >>> with alone():
        ...     Processes.current().world_size
        1
    """
    before = _is_alone.set(True)
    try:
        yield
    finally:
        _is_alone.reset(before)


@contextmanager
def joined(device: torch.device | None = None) -> Iterator[Processes]:
    """Join the processes that `torchrun` has started with this one, and leave them at the end.

    Until then the death of torchrun is a SIGTERM to this process.

    Args:
        device: Where this process computes, see `runtime.device`; None: the CPU. gloo connects
            tensors of the CPU, nccl those of CUDA devices.

    Raises:
        NextPixelError: If the others cannot be reached.
    """
    if launched() == 1 or dist.is_initialized():
        yield Processes.current()
        return
    with following_torchrun():
        with _one_line_errors():
            _join(backend_for(device))
        try:
            yield Processes.current()
        finally:
            dist.destroy_process_group()


def launched() -> int:
    """How many processes torchrun has started, on all machines; 1 without it."""
    word = os.environ.get("WORLD_SIZE", "")
    return int(word) if word.isdecimal() else 1


def _join(backend: str) -> None:
    store, rank, world_size = next(dist.rendezvous("env://", timeout=_JOIN_TIMEOUT))  # type: ignore[attr-defined]
    store.set_timeout(TIMEOUT)
    store = dist.PrefixStore("nextpixel", store)  # type: ignore[attr-defined]
    how = {"rank": rank, "world_size": world_size, "timeout": TIMEOUT}
    dist.init_process_group(backend, store=store, **how)


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


@contextmanager
def following_torchrun() -> Iterator[None]:
    """Send this process SIGTERM when torchrun is gone, as torchrun would have."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(os.getppid(), over), name="torchrun", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(parent: int, over: threading.Event) -> None:
    while not over.wait(POLL_SECONDS):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _checksum(value: object) -> int:
    """Of the shapes, types and contents of tensors, in tuples or in a model."""
    if isinstance(value, nn.Module):
        weights = value.state_dict().values()
        value = tuple(weight for weight in weights if weight.is_floating_point())
    if isinstance(value, tuple):
        return zlib.crc32(repr([_checksum(part) for part in value]).encode())
    if not isinstance(value, Tensor):
        return 0
    content = value.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return zlib.crc32(content.numpy().data, zlib.crc32(f"{value.shape}{value.dtype}".encode()))


def _caught(call: Callable[[], Outcome]) -> tuple[Outcome | None, Exception | None]:
    try:
        with alone():
            return call(), None
    except Exception as error:  # sent to every process, which raises it
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
def _one_line_errors() -> Iterator[None]:
    """Say in one line that another process is gone: torch's own text is many."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LostTouch(
            "lost touch with the other processes of the run; if it was training, --resume goes on "
            f"from the last resume point ({reason})"
        ) from error
