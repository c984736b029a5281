"""A real server and a real browser for the tests of the page, and what the page must never do."""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from browser import browsing, missing, serving

__all__ = ["Watch", "browsing", "missing", "serving", "until"]
REFUSED = "Failed to load resource: "
"""How the browser itself reports refusals and failures, such as those that tests ask for."""


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


def until(found, seconds=120):
    """Wait until a function finds something, and give that."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return value
