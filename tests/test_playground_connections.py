"""Clients that connect and do not ask, ask slowly, or do not take their answer: a real server."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")
pytest.importorskip("resource", reason="this system does not count files")

import resource

from nextpixel.playground import connections
from nextpixel.playground.connections import ACCEPT_FAILED, Crowd, room

ROOT = Path(__file__).parents[1]
SECONDS = 60
BRIEF = 0.5
SERVER = """
from dataclasses import replace
from nextpixel.playground.catalog import Catalog
from nextpixel.playground.schemas import LIMITS
from nextpixel.playground.server import serve
serve(Catalog(["mnist2-gated"]), port=0, limits=replace(LIMITS, {limits}))
"""
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/sample HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


class Served:
    """A server in a process of its own, which may have so many files open."""

    def __init__(self, folder, files, limits):
        self.complaints = (folder / "stderr").open("w+")
        paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(limits=limits)],
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )
        where = urlsplit(self.process.stdout.readline().split()[3])
        self.place = (where.hostname, where.port)

    def connect(self):
        return socket.create_connection(self.place, timeout=SECONDS)

    def page(self):
        """The first line of the answer to one who wants the page."""
        with self.connect() as client:
            client.sendall(HEAD + b"\r\n")
            return client.recv(15)

    def said(self):
        """What it said on the terminal."""
        self.complaints.flush()
        return Path(self.complaints.name).read_text().splitlines()

    def stop(self):
        self.process.kill()
        self.process.communicate()
        self.complaints.close()


@contextlib.contextmanager
def serving(folder, files, limits):
    server = Served(folder, files, limits)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that gives clients half a second."""
    limits = f"head_seconds={BRIEF}, read_seconds={BRIEF}"
    with serving(tmp_path_factory.mktemp("hasty"), 256, limits) as server:
        yield server


def drip(client, piece=b"x"):
    """Send a little again and again until the server hangs up; what it said before that."""
    client.settimeout(0.05)
    found = b""
    end = time.monotonic() + SECONDS
    while True:
        assert time.monotonic() < end, "it was never closed"
        try:
            client.sendall(piece)
            part = client.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            return found
        if not part:
            return found
        found += part


def test_more_idle_connections_than_files_lock_nobody_out_and_are_named_in_a_line(tmp_path):
    with serving(tmp_path, 256, "connections=512") as server:
        idle = [server.connect() for _ in range(600)]
        for _ in range(3):
            assert server.page() == b"HTTP/1.1 200 OK"
        for client in idle:
            client.close()
        assert server.page() == b"HTTP/1.1 200 OK"
        (line,) = server.said()
    assert line == "nextpixel: more than 96 connections; those that waited longest are closed"


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b""),
        (HEAD, b"x"),
        (HEAD, b"x: y\r\n"),
        (HEAD + LENGTH % 9999, b"x"),
        (HEAD + b"\r\n" + HEAD, b"x"),
        (POST + LENGTH % 9999, b" "),
        (POST + CHUNKED, b"1\r\n \r\n"),
    ],
    ids=["nothing", "line", "lines", "unread", "second", "body", "chunks"],
)
def test_a_client_that_drips_is_hung_up_on(hasty, begin, piece):
    with hasty.connect() as client:
        client.sendall(begin)
        said = drip(client, piece)
    assert (b"HTTP/1.1 408" in said) == (begin[:4] == b"POST")
    assert hasty.page() == b"HTTP/1.1 200 OK"
    assert hasty.said() == []


@pytest.mark.slow
def test_a_client_may_wait_for_its_answer_and_then_ask_again(hasty):
    asked = json.dumps({"model": "mnist2-gated", "count": 64}).encode()
    with hasty.connect() as client:
        answer = client.makefile("rb")
        for _ in range(5):  # loads the model first, which takes longer than a head may
            client.sendall(POST + LENGTH % len(asked) + asked)
            assert answer.readline().startswith(b"HTTP/1.1 200")
            while (line := answer.readline()).strip() != b"0":
                assert line
            answer.readline()


# In place


def transport(buffers=()):
    left, closed = deque(buffers), []
    return SimpleNamespace(
        get_extra_info=lambda *_: None,
        get_write_buffer_size=lambda: left.popleft() if left else 0,
        is_closing=lambda: bool(closed),
        abort=lambda: closed.append(True),
        closed=closed,
    )


@pytest.fixture
def crowd():
    return Crowd(most=3, seconds=0)


@pytest.fixture
def join(crowd):
    """Makes connections of a crowd, from a host, oldest first."""

    def make(host="here", since=0, buffers=()):
        one = object.__new__(crowd.protocol())
        one.transport, one.client, one.since, one._left = transport(buffers), (host, 1), since, 0
        one.cycle = None
        crowd.enter(one)
        return one

    return make


def closed(*found):
    return [bool(one.transport.closed) for one in found]


def asks(one, *, whole):
    one.cycle = SimpleNamespace(response_complete=False, more_body=not whole)


def test_one_too_many_closes_the_one_that_waited_longest(join):
    found = [join(since=number) for number in range(3)]
    asks(found[0], whole=True)
    asks(found[1], whole=False)
    assert closed(*found, join(since=9)) == [False, True, False, False]


def test_one_too_many_closes_one_of_the_host_that_has_most(join):
    found = [join("there", 0), join("here", 1), join("here", 2)]
    assert closed(*found, join("yonder", 3)) == [False, True, False, False]


def test_nobody_who_is_answered_is_closed_for_a_newcomer(join):
    found = [join() for _ in range(3)]
    for one in found:
        asks(one, whole=True)
    newcomer = join()
    asks(newcomer, whole=True)
    assert closed(*found, newcomer).count(True) == 1


def test_an_answer_that_is_taken_slowly_goes_on_and_one_that_is_not_taken_is_ended(crowd, join):
    slow, stuck = join(buffers=[9, 8, 7, 6]), join(buffers=[9, 9, 9])
    for _ in range(4):
        asyncio.run(crowd.sweep())
    assert closed(slow, stuck) == [False, True]


def test_files_of_the_system_bound_the_connections(monkeypatch):
    for files, most in ((256, 96), (1024, 480), (20, 8), (10**6, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert room(512) == most
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert room(512) == 512
    monkeypatch.setitem(sys.modules, "resource", None)
    assert room(512) == 512


def test_that_nothing_can_be_accepted_is_said_once_a_minute_without_a_traceback(
    crowd, capsys, monkeypatch
):
    context = {"message": ACCEPT_FAILED, "exception": OSError("Too many open files")}
    for _ in range(5):
        crowd.complain(None, context)
    assert capsys.readouterr().err == "nextpixel: no more connections: Too many open files\n"
    monkeypatch.setattr(connections, "QUIET", 0)
    crowd.complain(None, context)
    assert capsys.readouterr().err
    others = []
    loop = SimpleNamespace(default_exception_handler=others.append)
    crowd.complain(loop, {"message": "else"})
    assert others == [{"message": "else"}]
