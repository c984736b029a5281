"""The socket, the address on the terminal, and a clean end."""

import os
import signal
import socket
import threading
import webbrowser
from types import FrameType

import uvicorn

from nextpixel.errors import NextPixelError
from nextpixel.playground.app import AppState, create_app
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.schemas import LIMITS, Limits

GRACE = 1
"""Seconds that open answers have to end, and then the engine."""


def serve(
    catalog: Catalog,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    browse: bool = False,
    limits: Limits = LIMITS,
) -> None:
    """Serve the playground until Ctrl-C.

    Args:
        catalog: The models there are.
        host: Where to listen.
        port: Where to listen; 0 takes a free one.
        browse: Whether to open the page in a browser.
        limits: How much a request may ask for.

    Raises:
        ValueError: If `port` is no port.
        NextPixelError: If nothing can listen there.
        KeyboardInterrupt: After Ctrl-C, once all has ended.
    """
    listening = bind(host, port)
    app = create_app(catalog, host=host, limits=limits, warm_up=True)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=15,
        ws="none",
        lifespan="on",
    )
    server = _Server(config, app.state.shared, address(host, listening), browse=browse)
    try:
        server.run(sockets=[listening])
    finally:
        app.state.shared.queue.close()
        app.state.shared.queue.join(GRACE)
    if server.interrupted:  # the event loop forgets it where nothing was left to wait for
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """A server that prints its address, and ends its streams when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, state: AppState, url: str, *, browse: bool) -> None:
        super().__init__(config)
        self.jobs, self.url, self.browse = state.queue, url, browse
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the address."""
        await super().startup(sockets)
        if self.started:
            print(f"nextpixel playground on {self.url} (Ctrl-C ends it)", flush=True)
            if self.browse:
                threading.Thread(target=webbrowser.open, args=[self.url], daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End all jobs, and so their streams, then stop."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self.jobs.close()
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ValueError: If `port` is no port.
        NextPixelError: If the host is not of this machine, or the port is taken.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be 0 to 65535, got {port}")
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise NextPixelError(f"cannot listen on {host!r}: {error.strerror or error}") from error
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise NextPixelError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port, "
            "or --port 0 for a free one"
        ) from error
    return listening


def address(host: str, listening: socket.socket) -> str:
    """What to type into a browser."""
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
