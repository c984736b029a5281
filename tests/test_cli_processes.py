"""`torchrun -m nextpixel`: training, scoring and drawing by several processes, and their ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nextpixel.cli.app import main
from tests import runs

ROOT = Path(__file__).parents[1]
SIZES = ["--model.features", "4", "--model.layers", "1", "--model.dropout", "0.2"]
TIMES = ["--train.validate-every", "5", "--train.validation-images", "20", "--train.previews", "0"]
TRAIN = ["train", "digits17-gated", *SIZES, *TIMES]
ALONE = ["--standalone"]


def launch(count, out, *options, nodes=ALONE):
    """Begin a training run in so many processes."""
    return begin(count, *TRAIN, "--out", str(out), *options, nodes=nodes)


def begin(count, *words, nodes=ALONE):
    """Begin a command in so many processes, or as one of several machines."""
    torchrun = ["-m", "torch.distributed.run", *nodes, "--nproc-per-node", str(count)]
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    threads = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, *torchrun, "-m", "nextpixel", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )


def ended(process):
    """Its status, what it printed, and our own lines of what it complained of."""
    printed, complained = process.communicate(timeout=300)
    print(f"status {process.returncode}:\n{complained}")  # seen where the test fails
    own = [line for line in complained.splitlines() if line.startswith("nextpixel: ")]
    return process.returncode, printed, own


@pytest.mark.slow
def test_two_processes_stopped_by_sigterm_to_torchrun_resume_to_the_same_bits(tmp_path):
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
    words = ["--train.steps", "5", "--train.batch-size", "9"]
    status, _, own = ended(launch(2, tmp_path / "odd", *words))
    text = "batch_size must be a multiple of processes x accumulate = 2 x 1, got 9"
    assert (status, own) == (1, [f"nextpixel: error: {text}"])  # torchrun's own status


@pytest.mark.long
@pytest.mark.slow
def test_a_run_goes_on_in_more_processes_only_where_that_is_asked_for(tmp_path):
    steps = ["--train.steps", "5"]
    assert ended(launch(1, tmp_path / "run", *steps))[0] == 0
    status, _, own = ended(launch(2, tmp_path / "run", *steps))
    assert len(own) == 1
    assert "already holds a run; go on with it by --resume" in own[0]

    more = ["--train.steps", "8", "--resume"]
    status, _, own = ended(launch(2, tmp_path / "run", *more))
    assert len(own) == 1
    assert "its processes is 1, this one's is 2; allow_resize goes on, not bit for bit" in own[0]

    status, _, own = ended(launch(2, tmp_path / "run", *more, "--allow-resize"))
    assert (status, len(own)) == (1, 1)
    assert "has lowered the learning rate" in own[0]

    anew = [*more, "--allow-resize", "--warm-restart"]
    assert ended(launch(2, tmp_path / "run", *anew))[0] == 0
    assert runs.resume_step(tmp_path / "run") == 8


@pytest.mark.slow
def test_two_machines_of_two_processes_train_one_run(tmp_path):
    steps = ["--train.steps", "20"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    there = ["--nnodes", "2", "--master-addr", "127.0.0.1", "--master-port", port, "--node-rank"]
    machines = [launch(2, tmp_path / "run", *steps, nodes=[*there, rank]) for rank in "01"]
    (first, printed, own), (second, nothing, others) = [ended(machine) for machine in machines]
    assert (first, second, own, others) == (0, 0, [], [])
    assert printed.count("trained digits17-gated: 20 steps") == printed.count("test: ") == 1
    assert nothing == ""
    assert runs.resume_step(tmp_path / "run") == 20


@pytest.mark.slow
def test_four_processes_score_as_one_does_and_one_prints(capsys):
    words = ["evaluate", "mnist2-gated-class", "--limit", "60", "--batch-size", "10", "--json"]
    words.append("--classify")
    assert main(words) == 0
    alone = capsys.readouterr().out
    assert ended(begin(4, *words)) == (0, alone, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["sample", "mnist2-gated-class", "--count", "7", "--batch-size", "2"],
        ["complete", "digits17-gated", "--images", "digits", "--known", "top", "--count", "2"],
    ],
    ids=["sample", "complete"],
)
def test_two_processes_draw_the_file_of_one_to_the_bit(tmp_path, capsys, words):
    together, alone = tmp_path / "two.npy", tmp_path / "one.npy"
    assert main([*words, "--out", str(alone)]) == 0
    printed = capsys.readouterr().out.replace("one.npy", "two.npy")
    assert ended(begin(2, *words, "--out", str(together))) == (0, printed, [])
    assert together.read_bytes() == alone.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("sample digits17-gated --out a.jpg", "out must end in .png or .npy or .gif, got 'a.jpg'"),
        ("evaluate digits17-gated --data nothing", "nothing"),
    ],
    ids=["ending", "data"],
)
def test_what_all_processes_meet_is_said_in_one_line(words, text):
    status, printed, own = ended(begin(2, *words.split()))
    assert (status, printed, len(own)) == (1, "", 1)  # torchrun's own status
    assert own[0].startswith("nextpixel: error: ")
    assert text in own[0]
