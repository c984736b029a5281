"""Connections that neither ask nor take are closed; of too many, those that waited longest.

A request has its time limits in the guard (`refusals`). Here is the time around it: until a head is
whole, and until an answer is taken. The server has no settings for either, and its limit of
concurrency counts connections that only wait, so that a thousand of them turn everyone away.
"""

import asyncio
import sys
import time
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

RESERVED = 64
"""Files that the server itself may have open: sockets that listen, models that are loaded."""
QUIET = 60.0
"""Seconds between two lines on the terminal that say the same."""
ACCEPT_FAILED = "socket.accept() out of system resource"


def room(most: int) -> int:
    """How many connections fit into the files that the system allows a process, at most `most`.

    Half of those files stay free, since connections are accepted some time before they are counted.
    """
    try:
        import resource
    except ImportError:  # Windows counts otherwise
        return most
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return most
    return max(8, min(most, (files - RESERVED) // 2))


class Crowd:
    """All connections of a server.

    Args:
        most: How many there may be.
        seconds: How long one may take to send a head, or nothing, or to take nothing.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.members: set[Connection] = set()
        self._said = -QUIET

    @property
    def accepted_together(self) -> int:
        """Connections to accept before those already accepted are counted."""
        return max(1, min(64, self.most // 6))

    def protocol(self) -> "type[Connection]":
        """The protocol for a server whose connections belong here."""
        return type("Connection", (Connection,), {"crowd": self})

    def enter(self, connection: "Connection") -> None:
        """Count one more, and close one if that is one too many."""
        self.members.add(connection)
        if len(self.members) > self.most:
            self.say(f"more than {self.most} connections; those that waited longest are closed")
            self._leave(self._idlest() or connection)

    def exit(self, connection: "Connection") -> None:
        """Count one less."""
        self.members.discard(connection)

    async def sweep(self) -> None:
        """Close those that took too long."""
        now = time.monotonic()
        for connection in list(self.members):
            if connection.answers:
                connection.since = now
            elif now - connection.since > self.seconds and not connection.goes_on(now):
                self._leave(connection)

    def complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say in one line that no connection can be accepted; the loop says all else."""
        if context.get("message") == ACCEPT_FAILED:
            self.say(f"no more connections: {context.get('exception')}")
        else:
            loop.default_exception_handler(context)

    def say(self, text: str) -> None:
        """A line on the terminal, unless there was one a moment ago."""
        if time.monotonic() - self._said >= QUIET:
            self._said = time.monotonic()
            print(f"nextpixel: {text}", file=sys.stderr, flush=True)

    def _idlest(self) -> "Connection | None":
        """Of the client with most connections, the one that waits longest for a whole request."""
        hosts = Counter(connection.host for connection in self.members)
        waiting = (connection for connection in self.members if not connection.asked)
        return max(waiting, key=lambda one: (hosts[one.host], -one.since), default=None)

    def _leave(self, connection: "Connection") -> None:
        self.exit(connection)
        connection.transport.abort()


class Connection(H11Protocol):
    """One client, HTTP/1.1, which belongs to a crowd.

    Attributes:
        crowd: Where it is counted.
        since: When it began to wait for a request.
    """

    crowd: ClassVar[Crowd]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is there, and counted."""
        super().connection_made(transport)
        self.since, self._left = time.monotonic(), 0
        self.crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self.crowd.exit(self)

    def data_received(self, data: bytes) -> None:
        """The first bytes after an answer begin a new wait; further ones do not."""
        if self.timeout_keep_alive_task is not None:
            self.since = time.monotonic()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.since = time.monotonic()
        super().on_response_complete()

    @property
    def host(self) -> str:
        """Where the client is."""
        return self.client[0] if self.client else ""

    @property
    def answers(self) -> bool:
        """Whether a request is being answered, its body perhaps still on its way."""
        running = self.cycle is not None and not self.cycle.response_complete
        return running and not self.transport.is_closing()

    @property
    def asked(self) -> bool:
        """Whether a request came whole and is being answered."""
        return self.answers and not self.cycle.more_body

    def goes_on(self, now: float) -> bool:
        """Whether the client took a part of its answer since this was asked; then it may go on."""
        before, self._left = self._left, self.transport.get_write_buffer_size()
        if self._left and self._left != before:
            self.since = now
            return True
        return False
