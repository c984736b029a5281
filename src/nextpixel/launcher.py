"""The launcher, such as `torchrun`, that started this process with others: its words and its death.

A launcher names its processes in their environment, and keeps a store in which they can meet. It
ends them with SIGTERM when one has failed or it is asked to stop itself. Killed outright it leaves
them behind, in sessions of their own, where no terminal reaches them: hence `followed`.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

INTERVAL = 0.5
"""Seconds between looks at whether the launcher lives."""

_PATIENCE = timedelta(seconds=5)
"""How long its store may take to answer."""


def processes() -> int:
    """How many processes the launcher has started, on all machines; 1 without a launcher."""
    return _read("WORLD_SIZE", 1)


def number() -> int:
    """Of this process among them, from zero."""
    return _read("RANK", 0) if "WORLD_SIZE" in os.environ else 0


def says_first(text: str) -> bool:
    """Whether no other process on this machine has said a text before, by the launcher's store.

    Where there is no store any more, each process speaks for itself.
    """
    if processes() == 1:
        return True
    place = [os.environ.get(name, "") for name in ("TORCHELASTIC_RESTART_COUNT", "GROUP_RANK")]
    try:
        return _count("/".join(["nextpixel", *place, text])) == 1
    except (OSError, RuntimeError):
        return True


def _count(key: str) -> int:
    """How many processes have counted so far, this one included."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    where = os.environ.get("MASTER_ADDR", ""), _read("MASTER_PORT", 0)
    socket.create_connection(where, _PATIENCE.total_seconds()).close()  # torch would complain aloud
    store = TCPStore(*where, is_master=False, timeout=_PATIENCE, wait_for_workers=False)
    return int(store.add(key, 1))


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
