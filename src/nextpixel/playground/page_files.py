"""The files of the page: read and packed once, sent packed, and not sent again while unchanged."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

from fastapi.responses import Response

TYPES = {
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


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Args:
        content: Its bytes.
        packed: The same by gzip.
        kind: Its type.
    """

    content: bytes
    packed: bytes
    kind: str

    def answer(self, headers: Mapping[str, str]) -> Response:
        """The file for who sent these headers, or only that it is what they have."""
        packs = takes_gzip(headers.get("accept-encoding", "")) and (
            len(self.packed) < len(self.content)
        )
        content = self.packed if packs else self.content
        sent = {"Cache-Control": "no-cache", "ETag": tag(content), "Vary": "Accept-Encoding"}
        if has(headers.get("if-none-match", ""), sent["ETag"]):
            return Response(status_code=304, headers=sent)
        if packs:
            sent["Content-Encoding"] = "gzip"
        return Response(content, media_type=self.kind, headers=sent)


def read_all() -> dict[str, PageFile]:
    """The files of the page by name: what is not here is not served."""
    folder = resources.files("nextpixel.playground") / "static"
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        ending = "." + file.name.rpartition(".")[2]
        if file.is_file() and ending in TYPES:
            content = file.read_bytes()
            packed = gzip.compress(content, mtime=0)
            found[file.name] = PageFile(content, packed, TYPES[ending])
    return found


def tag(content: bytes) -> str:
    """The ETag of bytes: others have another.

    Example:
        >>> tag(b"x")
        '"2d711642b726b044"'
    """
    return f'"{sha256(content).hexdigest()[:16]}"'


def has(known: str, tag: str) -> bool:
    """Whether a header If-None-Match names a tag.

    Example:
        >>> has('"a", W/"b"', '"b"'), has("*", '"b"'), has("", '"b"')
        (True, True, False)
    """
    names = {name.strip().removeprefix("W/") for name in known.split(",")}
    return bool(names & {tag, "*"})


def takes_gzip(accepted: str) -> bool:
    """Whether a header Accept-Encoding allows gzip.

    Example:
        >>> [takes_gzip(text) for text in ("gzip, br", "br;q=1, gzip; q=0.5", "gzip;q=0", "*", "")]
        [True, True, False, True, False]
    """
    weights = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "")
    weight = weights.get("gzip", weights.get("*", "q=0"))
    return not re.fullmatch(r"q=0(\.0*)?", weight)
