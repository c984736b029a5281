"""What all addresses of the playground share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from nextpixel.playground.answers import Streams
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.desk import Desk
from nextpixel.playground.limits import LIMITS, Limits
from nextpixel.playground.shelf import Shelf

Outcome = TypeVar("Outcome")
ASIDE = 2
"""Files that are read or written at a time, beside the engine."""
STATIC = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Endings of the page's files, and their types."""


@dataclass
class Playground:
    """All that the addresses share.

    Attributes:
        catalog: The models there are.
        limits: How much a request may ask for.
        shelf: Models and images, loaded.
        desk: The line for the engine.
        streams: The streams that are open.
        aside: Bounds the work beside the engine.
        files: The page's files, by name: what is not here is not served.
    """

    catalog: Catalog
    limits: Limits = LIMITS
    warm: bool = False
    shelf: Shelf = field(init=False)
    desk: Desk = field(init=False)
    streams: Streams = field(init=False)
    aside: CapacityLimiter = field(init=False)
    files: dict[str, tuple[bytes, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.catalog)
        self.desk = Desk(self.limits.waiting, self.shelf.warm if self.warm else None)
        self.streams = Streams(self.limits.streams)
        self.files = read_static()

    async def beside(self, work: Callable[[], Outcome]) -> Outcome:
        """Do work that needs no model, in a thread of its own."""
        return await to_thread.run_sync(work, limiter=self.aside)


def read_static() -> dict[str, tuple[bytes, str]]:
    """The page's files and their types, by name, from the package."""
    folder = resources.files("nextpixel.playground") / "static"
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        ending = "." + file.name.rpartition(".")[2]
        if file.is_file() and ending in STATIC:
            found[file.name] = (file.read_bytes(), STATIC[ending])
    return found
