"""`nextpixel serve`: the playground in a browser."""

import contextlib
import importlib.util
import os
import signal
import sys
from typing import Annotated

from cyclopts import Parameter

from nextpixel.errors import NextPixelError

NEEDED = ("fastapi", "uvicorn", "python_multipart")


def serve(
    *models: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> None:
    """Serve the playground.

    Args:
        *models: Folders of models, or names of shipped ones; by default all shipped models.
        host: Where to listen; the default can be reached from this machine only.
        port: Where to listen; 0 takes a free one.
        open_: Open the page in a browser.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NextPixelError(
            f"the playground needs {', '.join(missing)}: pip install 'nextpixel[web]'"
        )
    from nextpixel.playground.catalog import Catalog
    from nextpixel.playground.server import serve as run

    try:
        run(Catalog(models), host=host, port=port, browse=open_)
    except KeyboardInterrupt:
        _leave()


def _leave() -> None:
    """End the process now: there is nothing to save, and to take down torch costs a second more."""
    print("nextpixel: interrupted", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(128 + signal.SIGINT)
