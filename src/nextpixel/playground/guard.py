"""What holds for every request: known hosts, bounded bodies, patience with limits, safe headers.

A page of another site can make a browser ask this server, under a name of its own that it points at
127.0.0.1: so the Host header must be one of ours. Anything else that could ask is refused as well:
an Origin of another host may not post.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nextpixel.playground.limits import Limits
from nextpixel.playground.problems import answer

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OWN = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")
FILES = ("/api/upload", "/api/compress", "/api/decompress")
"""Addresses that take files; the others take JSON."""


class Guard:
    """Stands around an application.

    Args:
        app: The application.
        host: What the server was told to listen on.
        limits: How much a request may ask for.
    """

    def __init__(self, app: ASGIApp, host: str, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.hosts = {*OWN, host.lower()}
        self.any_number = host in EVERYWHERE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sender = _Sender(send, self.limits.send_seconds)
        headers = Headers(scope=scope)
        refused = self._refuse(scope, headers)
        if refused is not None:
            status, detail = refused
            await answer(status, detail)(scope, receive, sender)
            return
        reader = _Reader(receive, self._most(scope["path"]), self.limits.read_seconds)
        with suppress(_TooSlow):
            await self.app(scope, reader, sender)

    def _refuse(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and reason, if a request is not to be looked at."""
        if not self.is_own(headers.get("host", "")):
            return 421, "the Host of a request must be this server's own address"
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in ("GET", "HEAD"):
            if not self.is_own(urlsplit(origin).netloc if "//" in origin else ""):
                return 403, "a page of another site may not use this server"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most(scope["path"]):
            return 413, _too_large(self._most(scope["path"]))
        return None

    def is_own(self, netloc: str) -> bool:
        """Whether a Host header, with or without its port, is this server's.

        Example:
            >>> from nextpixel.playground.limits import LIMITS
            >>> guard = Guard(None, "127.0.0.1", LIMITS)
            >>> [guard.is_own(host) for host in ("localhost:8000", "[::1]:8000", "evil.example")]
            [True, True, False]
        """
        try:
            name = urlsplit(f"//{netloc}").hostname or ""
        except ValueError:
            return False
        return name in self.hosts or (self.any_number and _is_number(name))

    def _most(self, path: str) -> int:
        return self.limits.upload_bytes if path in FILES else self.limits.json_bytes


class _TooSlow(Exception):
    """The client does not take what it is sent."""


class _Reader:
    """Receives a request, no more of it than allowed, and not forever."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self.receive, self.most, self.seconds = receive, most, seconds
        self.read, self.whole = 0, False

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is the client's leaving, which may take as long as it likes
            return await self.receive()
        try:
            async with asyncio.timeout(self.seconds):
                message = await self.receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request did not come whole in time") from error
        self.read += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        if self.read > self.most:
            raise HTTPException(413, _too_large(self.most))
        return message


class _Sender:
    """Sends an answer with our headers, to clients that take it."""

    def __init__(self, send: Send, seconds: float) -> None:
        self.send, self.seconds = send, seconds

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        try:
            async with asyncio.timeout(self.seconds):
                await self.send(message)
        except TimeoutError as error:
            raise _TooSlow from error


def _too_large(most: int) -> str:
    return f"a request must have at most {most / 2**20:g} MiB"


def _is_number(name: str) -> bool:
    """Whether a host is a numeric address, which no name server can point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
