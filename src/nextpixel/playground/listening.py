"""Where the server listens: its socket, what to type into a browser, and who can reach it."""

import ipaddress
import os
import socket

from nextpixel.errors import NextPixelError

BACKLOG = 2048
"""Connections that the system holds until they are accepted."""
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of nobody, kept for examples: nothing is ever sent there."""


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
        listening.listen(BACKLOG)
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
    shown = LOOPBACK[listening.family] if bound(listening).is_unspecified else host
    return f"http://{_bracketed(shown)}:{port}/"


def notice(host: str, listening: socket.socket) -> str | None:
    """Who can reach a server that others than this machine can reach, and where."""
    if bound(listening).is_loopback:
        return None
    text = "anyone in this machine's network can use the playground, there is no password"
    if not bound(listening).is_unspecified:
        return f"{text}: {address(host, listening)}"
    own = own_address(listening.family)
    if own is None:
        return f"{text}; the address of this machine there is not known"
    return f"{text}: http://{_bracketed(own)}:{listening.getsockname()[1]}/"


def bound(listening: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that a socket is bound to, or that which stands for all."""
    name: str = listening.getsockname()[0]
    return ipaddress.ip_address(name.partition("%")[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def own_address(family: int) -> str | None:
    """This machine's address in its network, if it has one there."""
    ours = ELSEWHERE if family == socket.AF_INET6 else (socket.AF_INET,)  # IPv6 takes IPv4 as well
    return next(filter(None, map(_towards_elsewhere, ours)), None)


def _towards_elsewhere(family: socket.AddressFamily) -> str | None:
    """From where this machine would send to others."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unsent:
            unsent.connect((ELSEWHERE[family], 9))
            own: str = unsent.getsockname()[0]
    except OSError:
        return None
    return None if ipaddress.ip_address(own.partition("%")[0]).is_loopback else own
