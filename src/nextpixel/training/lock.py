"""A folder is written by one run at a time.

The operating system holds the lock for the process and lets it go when the process ends, however it
ends: a run that was killed leaves nothing to clean up. The file stays; it holds the number of the
process that has or had the lock.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nextpixel.errors import NextPixelError

if sys.platform != "win32":
    import fcntl

LOCK = Path("resume") / "lock"


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Keep other runs out of a folder for a while; None: there is nothing to keep.

    Raises:
        ValueError: If another run has it.
        NextPixelError: If the file cannot be written.
    """
    if folder is None or sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise NextPixelError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"{folder} is being written by another run (process {file.read().strip() or '?'}); "
                "wait for it to end, or choose another folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
