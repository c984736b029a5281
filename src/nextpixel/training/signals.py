"""Ctrl-C and SIGTERM as requests to stop a run after the update at hand."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether Ctrl-C or SIGTERM has asked the run to stop.

    Args:
        patient: Whether to go on until all processes agree, however often this one is asked:
            torchrun passes on what the terminal has sent to all of them, and kills in the end.
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
def stop_requests(*, patient: bool = False) -> Iterator[StopRequest]:
    """Turn signals into a request for a while; outside the main thread there are none."""
    stop = StopRequest(patient=patient)
    watched = [signal.SIGINT, signal.SIGTERM]
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in watched} if in_main_thread else {}
    try:
        for number in handlers:
            signal.signal(number, stop.note)
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
