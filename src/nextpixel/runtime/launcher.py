"""The launcher, such as `torchrun`, that started this process with others: its words and its death.

A launcher names its processes in their environment, and makes a folder for their errors. It ends
them with SIGTERM when one has failed or it is asked to stop itself. Killed outright it leaves
them behind, in sessions of their own, where no terminal reaches them: hence `followed`.
"""

import os
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERVAL = 0.5
"""Seconds between looks at whether the launcher lives."""


def processes() -> int:
    """How many processes the launcher has started, on all machines; 1 without a launcher."""
    return _read("WORLD_SIZE", 1)


def number() -> int:
    """Of this process among them, from zero."""
    return _read("RANK", 0) if "WORLD_SIZE" in os.environ else 0


def says_first(text: str) -> bool:
    """Whether no other process that was started on this machine has said a text before.

    torchrun has a folder for each attempt, where each process has a place for its errors; the first
    to say a text leaves a mark there. Without such a folder each process speaks for itself.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if processes() == 1 or not place:
        return True
    try:
        (Path(place).parents[1] / f"said-{zlib.crc32(text.encode()):08x}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def followed() -> Iterator[None]:
    """Send this process SIGTERM when its launcher is gone, as the launcher would have."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(os.getppid(), over), name="launcher", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(parent: int, over: threading.Event) -> None:
    while not over.wait(INTERVAL):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _read(name: str, otherwise: int) -> int:
    word = os.environ.get(name, "")
    return int(word) if word.isdecimal() else otherwise
