"""The command: errors in one line; the process: its address, its end, clients that leave."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.cli import serve
from nextpixel.cli.app import main
from nextpixel.errors import NextPixelError
from tests import playgrounds

ROOT = Path(__file__).parents[1]
SECONDS = 120
LONG = {"model": "color-mnist-plusplus", "count": 64, "seed": 1}
"""A request that takes seconds."""


def stderr(capsys):
    return capsys.readouterr().err.splitlines()


# The command


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    (line,) = stderr(capsys)
    assert "already in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--port", "70000"], 2, "port must be 0 to 65535, got 70000"),
        (["--host", "no.such.host.invalid"], 1, "cannot listen on 'no.such.host.invalid'"),
        (["mnist2-gatd"], 2, "did you mean 'mnist2-gated'"),
        (["--port", "x"], 2, "port"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_one_line(capsys, words, status, text):
    assert main(["serve", *words]) == status
    (line,) = stderr(capsys)
    assert text in line


def test_a_folder_without_a_model_is_one_line(capsys, tmp_path):
    assert main(["serve", str(tmp_path)]) == 1
    (line,) = stderr(capsys)
    assert "has no config.json" in line
    (tmp_path / "config.json").write_text("{}")
    assert main(["serve", str(tmp_path)]) == 1
    (line,) = stderr(capsys)
    assert "describes no model" in line


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(serve, "NEEDED", ("fastapi", "no_such_package"))
    with pytest.raises(NextPixelError, match=r"needs no_such_package: .*nextpixel\[web\]"):
        serve.serve()


def test_the_server_begins_without_torch():
    code = "import sys, nextpixel.playground.server; from nextpixel.playground.catalog import *;"
    code += "Catalog(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0


# On a socket


def environment():
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def ask(home, path, content=None):
    """A connection whose answer has begun, and the answer."""
    where = urlsplit(home)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=SECONDS)
    headers = {"Content-Type": "application/json"}
    body = None if content is None else json.dumps(content)
    connection.request("GET" if content is None else "POST", path, body, headers)
    return connection, connection.getresponse()


def state(home):
    connection, answer = ask(home, "/api/queue")
    found = json.loads(answer.read())
    connection.close()
    return found


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def lines(answer):
    return (json.loads(line) for line in iter(answer.readline, b""))


@pytest.fixture
def home(tmp_path):
    folders = playgrounds.make_models(tmp_path)
    with playgrounds.served([folders["plain"], "color-mnist-plusplus"], waiting=2) as (home, _):
        yield home


@pytest.mark.slow
def test_rows_arrive_while_others_are_still_drawn(home):
    connection, answer = ask(home, "/api/sample", LONG)
    for event in lines(answer):
        if event["event"] == "row":
            break
    assert state(home)["running"] == 1  # the first row is here, and the job is not done
    *_, done = lines(answer)
    connection.close()
    model = npx.load(LONG["model"])
    expected = npx.sample(model, 64, rng=torch.Generator().manual_seed(1)).numpy()
    assert np.array_equal(playgrounds.array(done["images"]), expected)


@pytest.mark.slow
def test_a_client_that_leaves_stops_its_job_or_leaves_the_queue(home):
    running, answer = ask(home, "/api/sample", LONG)
    next(event for event in lines(answer) if event["event"] == "row")
    waiting, _ = ask(home, "/api/sample", LONG)
    wait_until(lambda: state(home)["waiting"] == 1)
    waiting.close()
    wait_until(lambda: state(home)["waiting"] == 0)
    assert state(home)["running"] == 1
    begin = time.monotonic()
    running.close()
    wait_until(lambda: state(home)["running"] == 0)
    stopped = time.monotonic() - begin
    connection, answer = ask(home, "/api/sample", LONG)
    begin = time.monotonic()
    assert list(lines(answer))[-1]["event"] == "done"
    assert stopped < (time.monotonic() - begin) / 2
    connection.close()


@pytest.mark.slow
def test_a_full_queue_is_refused_with_the_time_to_come_again(home):
    streams = []
    for _ in range(3):
        streams.append(ask(home, "/api/sample", LONG))
        wait_until(lambda: sum(state(home)[key] for key in ("running", "waiting")) == len(streams))
        if len(streams) == 1:
            wait_until(lambda: state(home)["running"] == 1)
    for path in ("/api/sample", "/api/score"):
        blank = playgrounds.image(np.zeros((3, 28, 28)), 4)
        asked = LONG if path.endswith("sample") else {"model": LONG["model"], "image": blank}
        connection, answer = ask(home, path, asked)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert "2 jobs wait already" in json.loads(answer.read())["detail"]
        connection.close()
    for connection, _ in streams:
        connection.close()
    wait_until(lambda: state(home)["running"] == state(home)["waiting"] == 0)


@pytest.fixture
def process():
    words = ["-m", "nextpixel", "serve", "color-mnist-plusplus", "--port", "0"]
    begun = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    yield begun
    begun.kill()
    begun.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "status"), [("SIGINT", 130), ("SIGTERM", -15)])
def test_a_signal_ends_the_server_and_its_streams(process, sign, status):
    home = process.stdout.readline().split()[3]
    wait_until(lambda: state(home)["ready"])
    streams = [ask(home, "/api/sample", LONG) for _ in range(3)]
    wait_until(lambda: state(home)["waiting"] == 2)
    process.send_signal(getattr(signal, sign))
    for connection, answer in streams:
        last = list(lines(answer))[-1]
        assert (last["event"], last["message"]) == ("error", "the server is stopping")
        connection.close()
    _, complaint = process.communicate(timeout=SECONDS)
    assert process.returncode == status
    assert complaint.splitlines() == (["nextpixel: interrupted"] if sign == "SIGINT" else [])
