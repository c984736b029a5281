"""The playground in a browser, for pictures and for the tests of the page. No script."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nextpixel

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NEEDED = ("playwright", "fastapi", "uvicorn")


def missing() -> str:
    """What this needs and is not here, in words; empty if all is."""
    packages = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return ", ".join([*packages, *([] if CHROMIUM else ["chromium"])])


@contextmanager
def serving(*models: str) -> Iterator[str]:
    """The address of `nextpixel serve` on a free port, while it runs."""
    source = Path(nextpixel.__file__).parents[1]
    paths = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "nextpixel", "serve", *models, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert "http://" in line, line
        yield next(word for word in line.split() if word.startswith("http://")).rstrip("/")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


@contextmanager
def browsing(folder: str | Path, **options: Any) -> Iterator["BrowserContext"]:  # noqa: ANN401
    """A browser with a profile of its own in a folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder), executable_path=CHROMIUM, args=list(ARGUMENTS), **options
        )
        try:
            yield context
        finally:
            context.close()
