"""A process notices that its launcher is gone, and does as if that had asked it to stop."""

import os
import signal
import time

import pytest

from nextpixel.runtime import launcher
from nextpixel.training.surroundings import surroundings


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(launcher, "INTERVAL", 0.001)


def wait_for(holds):
    """Whether something holds within a minute."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.001)
    return holds()


def test_a_process_whose_launcher_is_gone_is_asked_to_stop(monkeypatch, quick):
    with surroundings(None, patient=True) as stop, launcher.followed():
        monkeypatch.setattr(os, "getppid", lambda: -1)
        assert wait_for(lambda: stop.signal == signal.SIGTERM)


def test_a_process_whose_launcher_lives_is_left_alone(monkeypatch, quick):
    looks = []
    monkeypatch.setattr(os, "getppid", lambda: looks.append(1) or 7)
    with surroundings(None, patient=True) as stop, launcher.followed():
        assert wait_for(lambda: len(looks) > 5)
    assert stop.signal == 0


def test_nobody_looks_after_a_launcher_that_processes_have_left(monkeypatch, quick):
    with surroundings(None, patient=True) as stop:
        with launcher.followed():
            pass
        monkeypatch.setattr(os, "getppid", lambda: -1)
        time.sleep(0.02)
    assert stop.signal == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, (1, 0)),
        ({"WORLD_SIZE": "4", "RANK": "2"}, (4, 2)),
        ({"RANK": "2"}, (1, 0)),
        ({"WORLD_SIZE": "many", "RANK": "first"}, (1, 0)),
    ],
)
def test_the_launcher_says_how_many_processes_there_are(monkeypatch, words, expected):
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, word in words.items():
        monkeypatch.setenv(name, word)
    assert (launcher.processes(), launcher.number()) == expected
