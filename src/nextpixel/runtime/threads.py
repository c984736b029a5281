"""Work spread over threads, each of which runs torch on one core.

torch's own threads wait for each other after every operation. For small layers that costs as much
as the work, and far more when another process wants a core. Images are independent of each other,
so here each thread takes a share of them through the whole network, and they meet once.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Threads:
    """Threads that share out a list of jobs.

    Whether gradients are recorded is a thread's own affair in torch: jobs enter
    `torch.inference_mode` themselves.

    Args:
        count: Threads; None takes as many as torch would use. One thread works in place.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None
        if self.count > 1:
            self._pool = ThreadPoolExecutor(
                self.count, "nextpixel", initializer=torch.set_num_threads, initargs=(1,)
            )

    def map(self, job: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcomes of a job for each item, in order.

        Example:
            >>> list(Threads(2).map(abs, [-1, 2, -3]))
            [1, 2, 3]
        """
        return map(job, items) if self._pool is None else self._pool.map(job, items)

    def in_turns(self, job: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """As `map`, with no more begun than there are threads: memory stays flat.

        Example:
            >>> list(Threads(2).in_turns(abs, iter([-1, 2, -3])))
            [1, 2, 3]
        """
        rest = iter(items)
        while group := list(islice(rest, self.count)):
            yield from list(self.map(job, group))

    def alone(self) -> AbstractContextManager[None]:
        """With several threads, keep torch's own out of what runs between their jobs.

        After each operation they wait by spinning, on the cores that the jobs need.
        """
        return nullcontext() if self._pool is None else one_core()


@contextmanager
def one_core() -> Iterator[None]:
    """Let torch use one thread in the calling thread for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
