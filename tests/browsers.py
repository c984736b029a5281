"""A real server and a real browser for the tests of the page, and what the page must never do."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nextpixel

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
REFUSED = "Failed to load resource: "
"""How the browser itself speaks of refusals and failures, such as those that tests ask for."""


def missing():
    """What a test in a browser lacks here, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        return "the playground's own packages are not installed"
    return None if CHROMIUM else "there is no chromium on this machine"


@contextmanager
def serving(*models):
    """The address of `nextpixel serve` on a free port, while it runs."""
    source = Path(nextpixel.__file__).parents[1]
    paths = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "nextpixel", "serve", *models, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    try:
        line = process.stdout.readline()
        assert "http://" in line, line
        yield next(word for word in line.split() if word.startswith("http://")).rstrip("/")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@contextmanager
def browsing(folder, **options):
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


class Watch:
    """Listens to a page: requests to other hosts, and words on the console."""

    def __init__(self, page, address):
        self.own = urlsplit(address).netloc
        self.hosts, self.complaints = set(), []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _request(self, request):
        if urlsplit(request.url).scheme not in ("blob", "data"):
            self.hosts.add(urlsplit(request.url).netloc)

    def _console(self, message):
        if message.type == "error" and not message.text.startswith(REFUSED):
            self.complaints.append(message.text)


def until(found, seconds=30):
    """Wait until a function finds something, and give that."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return value
