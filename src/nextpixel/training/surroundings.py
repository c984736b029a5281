"""What a run borrows from the process, and gives back: the number of threads and two signals."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch


class StopRequest:
    """Whether Ctrl-C or SIGTERM has asked the run to stop.

    Args:
        patient: Whether to go on until all processes agree, however often this one is asked: a
            launcher passes on what the terminal has sent to all of them, and kills in the end.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.signal = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: only remember, so that an update is never cut in two."""
        del frame
        if not self.patient:
            self.act()  # asked twice: stop now, the last resume point stands
        self.signal = number

    def act(self) -> None:
        """Stop as the signal asked to, if one did.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After SIGTERM, with status 128 + 15.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal:
            raise SystemExit(128 + self.signal)


@contextmanager
def surroundings(threads: int | None, *, patient: bool = False) -> Iterator[StopRequest]:
    """Use so many threads, and turn signals into a request; restore both afterwards."""
    stop = StopRequest(patient=patient)
    threads_before = torch.get_num_threads()
    watched = [signal.SIGINT, signal.SIGTERM]
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in watched} if in_main_thread else {}
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        for number in handlers:
            signal.signal(number, stop.note)
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        torch.set_num_threads(threads_before)
