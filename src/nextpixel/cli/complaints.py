"""What the command line says of an error: one line on standard error, and an exit status.

Of several processes that meet the same error, one says it. What all of them were told of is the
first one's to say, and they leave it the time. Anything else is said by whichever comes first, so
that an error of one process alone is never lost in the silence of the others.
"""

import os
import signal
import sys
import time

from cyclopts import CycloptsError

from nextpixel.errors import TOLD_TO_ALL, LostTouch, NextPixelError
from nextpixel.runtime import launcher

_BROKEN_PIPE = 128 + 13  # a number, since not every system has the signal
_COURTESY = 10.0
"""Seconds that the other processes of a launcher leave the first to say what went wrong: the
launcher ends them all as soon as one has failed."""


def answer(error: BaseException) -> int:
    """Say what went wrong, in one line, and give the exit status for it."""
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return _BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        if launcher.number() == 0:
            print("nextpixel: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    status, text = _words(error)
    if TOLD_TO_ALL in getattr(error, "__notes__", ()):
        if launcher.number() == 0:
            _complain(text)
        else:
            time.sleep(_COURTESY)
    elif launcher.says_first("lost touch" if isinstance(error, LostTouch) else text):
        _complain(text, alone=status != 2)
    return status


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in one line, like an error, without the place in our code that gave it."""
    if launcher.number() == 0:
        print(f"nextpixel: warning: {message}", file=sys.stderr)


def _words(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and what to say of it."""
    if isinstance(error, NextPixelError | OSError | MemoryError):
        return 1, str(error) or type(error).__name__
    if isinstance(error, CycloptsError | ValueError | TypeError):
        return 2, str(error)
    return 1, f"{type(error).__name__}: {error} (--debug shows where)"


def _complain(text: str, *, alone: bool = False) -> None:
    where = f" in process {launcher.number()}" if alone and launcher.number() else ""
    print(f"nextpixel: error{where}: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _forget_stdout() -> None:
    """Whoever read our output has left: do not let Python complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
