"""Which requests are refused, and in which words: `{"detail": ..., "field": ...}`, never a path.

What holds for every request is checked by the guard around the application: known hosts, bounded
bodies, time limits, safe headers. A page of another site can make a browser ask this server, under
a name of its own that it points at 127.0.0.1: so the Host header must be one of ours, and only a
page of that very origin (scheme, host and port) may post.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nextpixel.playground.wording import field_name, sentence

if TYPE_CHECKING:
    from nextpixel.playground.schemas import Limits

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
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ALL_INTERFACES = ("0.0.0.0", "::")
DEFAULT_PORTS = {"http": 80, "https": 443}
FILE_ROUTES = ("/api/upload", "/api/compress", "/api/decompress")
"""Routes that take files; the others take JSON."""


class Problem(BaseModel):
    """What an error says."""

    detail: str
    field: str | None = None


class Refusal(Exception):
    """A request that is not answered, and why.

    Args:
        detail: One plain sentence.
        field: The part of the request that caused it.
        status: Of the answer.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        detail: str,
        field: str | None = None,
        *,
        status: int = 422,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.field, self.status = detail, field, status
        self.headers = dict(headers or {})


def add_handlers(app: FastAPI) -> None:
    """Answer every error of an application in the same form."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def answer(
    status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    content = {"detail": detail, "field": field}
    return JSONResponse(content, status, dict(headers) if headers else None)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return answer(error.status, error.detail, error.field, error.headers)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), None, error.headers)


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    del error  # its text may name files; uvicorn shows it on the server's own terminal
    return answer(500, "the server failed at this; its terminal says how")


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = field_name(first)
    return answer(422, sentence(first, field), field)


class Guard:
    """Stands around an application and checks every request.

    Args:
        app: The application.
        host: Where the server listens.
        limits: How much a request may ask for.
    """

    def __init__(self, app: ASGIApp, host: str, limits: "Limits") -> None:
        self.app, self.limits = app, limits
        self.hosts = {*LOOPBACK, host.lower()}
        self.any_number = host in ALL_INTERFACES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sender = _Sender(send, self.limits.send_seconds, bare=scope["method"] == "HEAD")
        refused = self._refuse(scope, Headers(scope=scope))
        if refused is not None:
            await answer(*refused)(scope, receive, sender)
            return
        reader = _Reader(receive, self._max_bytes(scope["path"]), self.limits)
        with suppress(_TooSlow):
            await self.app(_as_get(scope), reader, sender)

    def _refuse(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and reason, if a request is refused unread."""
        if not self.is_own(headers.get("host", "")):
            return 421, "the Host of a request must be this server's own address"
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in ("GET", "HEAD"):
            if not same_origin(origin, f"{scope.get('scheme', 'http')}://{headers['host']}"):
                return 403, "a page of another site may not use this server"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_bytes(scope["path"]):
            return 413, _too_large(self._max_bytes(scope["path"]))
        return None

    def is_own(self, netloc: str) -> bool:
        """Whether a Host header, with or without its port, is this server's.

        Example:
            >>> from nextpixel.playground.schemas import LIMITS
            >>> guard = Guard(None, "127.0.0.1", LIMITS)
            >>> [guard.is_own(host) for host in ("localhost:8000", "[::1]:8000", "evil.example")]
            [True, True, False]
        """
        try:
            name = urlsplit(f"//{netloc}").hostname or ""
        except ValueError:
            return False
        return name in self.hosts or (self.any_number and _is_number(name))

    def _max_bytes(self, path: str) -> int:
        return self.limits.upload_bytes if path in FILE_ROUTES else self.limits.json_bytes


def same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port of two addresses are the same.

    Example:
        >>> same_origin("http://localhost", "http://LOCALHOST:80")
        True
        >>> same_origin("http://localhost:8000", "http://localhost:8001")
        False
    """
    parts = _origin(one)
    return parts is not None and parts == _origin(other)


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None if the address has none."""
    try:
        parts = urlsplit(address)
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    return None if parts.hostname is None or port is None else (parts.scheme, parts.hostname, port)


def _as_get(scope: Scope) -> Scope:
    """HEAD is answered as GET is, without the content."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


class _TooSlow(Exception):
    """The client does not take what it is sent."""


class _Reader:
    """Receives a request, no more of it than allowed, within a time limit for all of it."""

    def __init__(self, receive: Receive, max_bytes: int, limits: "Limits") -> None:
        self.receive, self.max_bytes, self.rate = receive, max_bytes, limits.read_rate
        self.read, self.whole = 0, False
        self.end = asyncio.get_running_loop().time() + limits.read_seconds

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is the client's leaving, which may take as long as it likes
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.end + self.read / self.rate):
                message = await self.receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request did not come whole in time") from error
        self.read += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        if self.read > self.max_bytes:
            raise HTTPException(413, _too_large(self.max_bytes))
        return message


class _Sender:
    """Sends an answer with our headers, to clients that take it; a bare one has no content."""

    def __init__(self, send: Send, seconds: float, *, bare: bool) -> None:
        self.send, self.seconds, self.bare = send, seconds, bare

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        elif self.bare:
            message = {**message, "body": b""}
        try:
            async with asyncio.timeout(self.seconds):
                await self.send(message)
        except TimeoutError as error:
            raise _TooSlow from error


def _too_large(max_bytes: int) -> str:
    return f"a request must have at most {max_bytes / 2**20:g} MiB"


def _is_number(name: str) -> bool:
    """Whether a host is a numeric address, which no name server can point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
