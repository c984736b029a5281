"""Where the server listens, and what it says of who can reach it."""

import socket
import subprocess
import sys
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")

from nextpixel.playground import listening
from nextpixel.playground.listening import address, bind, notice

OPEN = "anyone in this machine's network can use the playground, there is no password"


@pytest.fixture
def listen():
    """Sockets that are closed in the end."""
    made = []

    def make(host):
        made.append(bind(host, 0))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ours(monkeypatch, **found):
    """Make this machine's own addresses these, by family."""
    monkeypatch.setattr(listening, "_towards_elsewhere", lambda family: found.get(family.name))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_said_where_only_this_machine_gets_in(listen, host):
    assert notice(host, listen(host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "0"])
def test_a_server_for_all_says_so_and_where_it_is(listen, monkeypatch, host):
    ours(monkeypatch, AF_INET="192.168.0.7")
    found = listen(host)
    port = found.getsockname()[1]
    assert address(host, found) == f"http://127.0.0.1:{port}/"
    assert notice(host, found) == f"{OPEN}: http://192.168.0.7:{port}/"


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ({"AF_INET": "192.168.0.7", "AF_INET6": "fd00::2"}, "192.168.0.7"),
        ({"AF_INET6": "fd00::2"}, "[fd00::2]"),
    ],
    ids=["both", "six"],
)
def test_a_server_for_all_by_ipv6_as_well(listen, monkeypatch, found, shown):
    ours(monkeypatch, **found)
    one = listen("::")
    port = one.getsockname()[1]
    assert address("::", one) == f"http://[::1]:{port}/"
    assert notice("::", one) == f"{OPEN}: http://{shown}:{port}/"


def test_a_machine_without_a_network_says_that_it_does_not_know(listen, monkeypatch):
    def unreachable(*_):
        raise OSError("Network is unreachable")

    host = "0.0.0.0"
    one = listen(host)
    broken = SimpleNamespace(**{**vars(socket), "socket": unreachable})
    monkeypatch.setattr(listening, "socket", broken)
    assert notice(host, one) == f"{OPEN}; the address of this machine there is not known"


def test_an_address_of_this_machine_in_a_network_is_named(monkeypatch):
    one = SimpleNamespace(family=socket.AF_INET, getsockname=lambda: ("192.168.0.7", 80))
    assert notice("box.lan", one) == f"{OPEN}: http://box.lan:80/"


def status(place, host):
    connection = HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request("GET", "/", headers={"Host": host})
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.parametrize("host", ["0.0.0.0", "0"])
def test_the_command_says_it_and_answers_to_every_number(host):
    words = [sys.executable, "-m", "nextpixel", "serve", "mnist2-gated", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*words, "--host", host], text=True, **pipes)
    try:
        place = urlsplit(process.stdout.readline().split()[3])
        assert place.hostname == "127.0.0.1"
        assert process.stderr.readline().startswith(f"nextpixel: {OPEN}")
        asked = ("127.0.0.1", "192.168.0.7:80", "evil.example")
        assert [status(place, name) for name in asked] == [200, 200, 421]
    finally:
        process.kill()
        process.communicate()
