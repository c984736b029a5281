"""`torchrun -m nextpixel train`: one run of two processes, its messages and its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import runs

ROOT = Path(__file__).parents[1]
SIZES = ["--model.features", "4", "--model.layers", "1", "--model.dropout", "0.2"]
TIMES = ["--train.validate-every", "5", "--train.validation-images", "20", "--train.previews", "0"]
TRAIN = ["-m", "nextpixel", "train", "digits17-gated", *SIZES, *TIMES]


def launch(count, out, *options):
    """Begin a command in so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    threads = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, *launcher, *TRAIN, "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )


def ended(process):
    """Its status, what it printed, and our own lines of what it complained of."""
    printed, complained = process.communicate(timeout=120)
    own = [line for line in complained.splitlines() if line.startswith("nextpixel: ")]
    return process.returncode, printed, own


@pytest.mark.slow
def test_two_processes_stopped_by_sigterm_to_the_launcher_resume_to_the_same_bits(tmp_path):
    steps = ["--train.steps", "60"]
    status, printed, own = ended(launch(2, tmp_path / "whole", *steps))
    assert (status, own) == (0, [])
    assert printed.count("trained digits17-gated: 60 steps") == printed.count("test: ") == 1

    cut = launch(2, tmp_path / "cut", *steps)
    while not (tmp_path / "cut" / "metrics.csv").exists():
        assert cut.poll() is None
        time.sleep(0.01)
    cut.send_signal(signal.SIGTERM)
    assert ended(cut)[0] != 0
    assert 0 < runs.resume_step(tmp_path / "cut") < 60

    status, _, _ = ended(launch(2, tmp_path / "cut", "--resume", *steps))
    assert status == 0
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")


@pytest.mark.slow
def test_what_processes_refuse_is_said_in_one_line(tmp_path):
    steps = ["--train.steps", "5"]
    status, _, own = ended(launch(2, tmp_path / "odd", *steps, "--train.batch-size", "9"))
    text = "batch_size must be a multiple of processes x accumulate = 2 x 1, got 9"
    assert (status, own) == (1, [f"nextpixel: error: {text}"])  # torchrun's own status

    assert ended(launch(1, tmp_path / "run", *steps))[0] == 0
    status, _, own = ended(launch(2, tmp_path / "run", *steps))
    assert len(own) == 1
    assert "already holds a run; go on with it by --resume" in own[0]

    more = ["--train.steps", "8", "--resume"]
    status, _, own = ended(launch(2, tmp_path / "run", *more))
    assert len(own) == 1
    assert "its processes is 1, this one's is 2; allow_resize goes on, not bit for bit" in own[0]

    assert ended(launch(2, tmp_path / "run", *more, "--allow-resize"))[0] == 0
    assert runs.resume_step(tmp_path / "run") == 8
