"""Processes under torchrun, or torchrun itself, killed outright: nothing is lost or left behind."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests import runs
from tests.test_cli_processes import ended, launch

CHILDREN = "/proc/{0}/task/{0}/children"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(CHILDREN.format(os.getpid())).exists(),
        reason="needs the system's list of a process's children",
    ),
]
STEPS = ["--train.steps", "240", "--train.save-every", "4"]


def first_of(out):
    """Number of the process that has the lock."""
    return int((out / "resume" / "lock").read_text())


def other_of(torchrun, out):
    """Number of a process that has not."""
    children = Path(CHILDREN.format(torchrun.pid)).read_text().split()
    return next(int(child) for child in children if int(child) != first_of(out))


def rows(out):
    return len(runs.rows(out)) if (out / "metrics.csv").exists() else 0


def wait_for_rows(torchrun, out, count):
    """Wait for so many more rows of metrics, or the end of torchrun."""
    count += rows(out)
    while rows(out) < count and torchrun.poll() is None:
        time.sleep(0.01)


@pytest.mark.long
def test_whatever_is_killed_under_torchrun_the_run_resumes_to_the_same_bits(tmp_path):
    assert ended(launch(2, tmp_path / "whole", *STEPS))[0] == 0
    out, moments = tmp_path / "cut", random.Random(5)
    for turn, victim in enumerate(["other", "torchrun", "first"]):
        torchrun = launch(2, out, *STEPS, *["--resume"][: min(turn, 1)])
        wait_for_rows(torchrun, out, moments.randint(1, 3))
        time.sleep(moments.uniform(0, 0.05))
        pids = {"torchrun": torchrun.pid, "first": first_of(out), "other": other_of(torchrun, out)}
        os.kill(pids[victim], signal.SIGKILL)
        status, _, own = ended(torchrun)  # waits for whoever has its pipes: none is left behind
        assert status != 0
        assert ["lost touch with the other" in line for line in own] == [True] * len(own)
        assert len(own) <= (victim != "torchrun")  # torchrun may end the other before it prints
        assert 0 < runs.resume_step(out) < 240
    assert ended(launch(2, out, "--resume", *STEPS))[0] == 0
    assert runs.outcome(out) == runs.outcome(tmp_path / "whole")
    assert not list(out.rglob("*.partial"))


def test_while_a_process_outlives_torchrun_its_folder_is_refused_in_one_line(tmp_path):
    torchrun = launch(2, tmp_path, *STEPS)
    wait_for_rows(torchrun, tmp_path, 2)
    first = first_of(tmp_path)
    os.kill(first, signal.SIGSTOP)
    try:
        torchrun.kill()
        status, _, own = ended(launch(2, tmp_path, "--resume", *STEPS))
    finally:
        os.kill(first, signal.SIGCONT)
    text = f"{tmp_path} is being written by another run (process {first}); wait for it to end, or "
    assert (status, own) == (1, [f"nextpixel: error: {text}choose another folder"])
    ended(torchrun)
    assert 0 < runs.resume_step(tmp_path) < 240
    assert ended(launch(2, tmp_path, "--resume", *STEPS))[0] == 0
    assert runs.resume_step(tmp_path) == 240
