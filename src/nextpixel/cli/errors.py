"""What the command line says of an error: one line on standard error, and an exit status.

Of several processes that meet the same error, one says it. What all of them raise alike is the
first one's to say, and they leave it the time. Anything else is said by whichever comes first, so
that an error of one process alone is never lost in the silence of the others.
"""

import os
import signal
import sys
import time
import zlib
from pathlib import Path

from cyclopts import CycloptsError

from nextpixel.errors import RAISED_BY_ALL, LostTouch, NextPixelError

_BROKEN_PIPE = 128 + 13  # a number, since not every system has the signal
_GRACE = 10.0
"""Seconds that the other processes leave the first to say what went wrong: torchrun ends them all
as soon as one has failed."""


def answer(error: BaseException) -> int:
    """Say what went wrong, in one line, and give the exit status for it."""
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return _BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        if _rank() == 0:
            print("nextpixel: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    status, text = _words(error)
    if RAISED_BY_ALL in getattr(error, "__notes__", ()):
        if _rank() == 0:
            _say(text)
        else:
            time.sleep(_GRACE)
    elif _says_first("lost touch" if isinstance(error, LostTouch) else text):
        _say(text, alone=status != 2)
    return status


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in one line, like an error, without the place in our code that gave it."""
    if _rank() == 0:
        print(f"nextpixel: warning: {message}", file=sys.stderr)


def _rank() -> int:
    """Number of this process among those that torchrun has started; 0 without it."""
    word = os.environ.get("RANK", "")
    return int(word) if "WORLD_SIZE" in os.environ and word.isdecimal() else 0


def _says_first(text: str) -> bool:
    """Whether no other process that was started on this machine has said a text before.

    torchrun has a folder for each attempt, where each process has a place for its errors; the first
    to say a text leaves a mark there. Without such a folder each process prints its own.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if os.environ.get("WORLD_SIZE", "1") == "1" or not place:
        return True
    try:
        (Path(place).parents[1] / f"said-{zlib.crc32(text.encode()):08x}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _words(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and what to say of it."""
    if isinstance(error, NextPixelError | OSError | MemoryError):
        return 1, str(error) or type(error).__name__
    if isinstance(error, CycloptsError | ValueError | TypeError):
        return 2, str(error)
    return 1, f"{type(error).__name__}: {error} (--debug shows where)"


def _say(text: str, *, alone: bool = False) -> None:
    where = f" in process {_rank()}" if alone and _rank() else ""
    print(f"nextpixel: error{where}: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _forget_stdout() -> None:
    """Whoever read our output has left, and Python must not report it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
