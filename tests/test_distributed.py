"""Processes that share images find the figures and draw the pictures of one, to the bit."""

import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch

import nextpixel as npx
from nextpixel.cli import app
from nextpixel.errors import RAISED_BY_ALL, LostTouch, shared_with_all
from nextpixel.runtime import device, distributed
from nextpixel.runtime.distributed import Processes, alone, backend_for
from nextpixel.training.loop import stop_requests
from tests import runs, worlds

WORLD = 3


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of three processes has found."""
    return worlds.run(tmp_path_factory.mktemp("shared") / "run", WORLD, worlds.share)


@pytest.fixture(scope="module")
def single():
    """What one process finds."""
    return worlds.share(None, None)


@pytest.mark.parametrize("what", ["evaluation", "classes", "health", "samples", "completions"])
def test_every_process_gets_what_one_process_finds(together, single, what):
    assert [found[what] for found in together] == [single[what]] * WORLD


def test_each_process_does_a_part_of_the_work(together, single):
    for what, whole in single["work"].items():
        parts = [found["work"][what] for found in together]
        assert sum(parts) == whole
        assert max(parts) < whole


def test_what_one_process_fails_at_fails_everywhere(tmp_path):
    ends = worlds.run(tmp_path / "run", WORLD, worlds.fail_second)
    assert [(type(error), str(error)) for error in ends] == [
        (npx.NextPixelError, "the second one fails")
    ] * WORLD
    assert all(RAISED_BY_ALL in error.__notes__ for error in ends)


def test_an_error_that_cannot_be_sent_is_named_by_its_text(tmp_path):
    ends = worlds.run(tmp_path / "run", 2, worlds.fail_strangely)
    assert [str(error) for error in ends] == ["Strange: as strange as 7"] * 2


@pytest.mark.parametrize("what", ["images", "model", "rng"])
def test_arguments_that_differ_between_processes_are_refused(tmp_path, what):
    ends = worlds.run(tmp_path / "run", 2, worlds.score_own, what)
    assert [type(error) for error in ends] == [ValueError] * 2
    assert all(str(error).startswith(f"{what} must be the same in every proce") for error in ends)
    assert all(RAISED_BY_ALL in error.__notes__ for error in ends)


def test_a_process_may_work_alone(tmp_path):
    expected = [
        npx.evaluate(runs.make_model(), runs.make_split("test", 8 + rank, seed=rank)).nats
        for rank in range(2)
    ]
    assert worlds.run(tmp_path / "run", 2, worlds.score_alone) == expected


def test_what_one_process_is_to_call_is_called_alone(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    assert Processes.current().world_size == 2
    with alone():
        assert Processes.current().world_size == 1
    assert Processes.current().world_size == 2
    assert distributed._caught(lambda: Processes.current().world_size) == (1, None)


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_the_shares_are_the_whole(count):
    shares = [range(count)[Processes(rank, WORLD).share(count)] for rank in range(WORLD)]
    assert [image for share in shares for image in share] == list(range(count))


@pytest.fixture
def meeting(monkeypatch, tmp_path):
    """The folder that torchrun has for errors of its attempts, of two processes."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for attempt in "01":
        (tmp_path / attempt).mkdir()
    return tmp_path


def say(monkeypatch, process, error, place):
    def fail(*words, **how):
        raise error

    monkeypatch.setattr(app, "_GRACE", 0.0)
    monkeypatch.setattr(app, "app", SimpleNamespace(meta=fail))
    monkeypatch.setenv("RANK", str(process))
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(place / str(process) / "error.json"))
    return app.main(["evaluate"])


LOST = [f"lost touch with the other processes (port {port})" for port in (1, 2)]


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([ValueError("bad"), ValueError("bad")], ["error: bad"]),
        ([npx.NextPixelError("gone"), npx.NextPixelError("gone")], ["error: gone"]),
        ([npx.NextPixelError("a"), OSError("b")], ["error: a", "error in process 1: b"]),
        ([npx.NextPixelError("a"), ValueError("b")], ["error: a", "error: b"]),
        ([None, ValueError("bad")], ["error: bad"]),
        ([None, npx.NextPixelError("gone")], ["error in process 1: gone"]),
        ([LostTouch(LOST[0]), LostTouch(LOST[1])], [f"error: {LOST[0]}"]),
        ([None, LostTouch(LOST[1])], [f"error in process 1: {LOST[1]}"]),
        ([KeyboardInterrupt(), KeyboardInterrupt()], ["interrupted"]),
        ([shared_with_all(npx.NextPixelError("all"))] * 2, ["error: all"]),
        ([None, shared_with_all(npx.NextPixelError("all"))], []),
    ],
)
def test_an_error_that_several_processes_meet_is_said_once(
    monkeypatch, capfd, meeting, errors, said
):
    for process, error in enumerate(errors):
        if error is not None:
            say(monkeypatch, process, error, meeting / "0")
    assert capfd.readouterr().err.splitlines() == [f"nextpixel: {line}" for line in said]


def test_where_processes_cannot_meet_each_speaks_for_itself(monkeypatch, capfd, meeting):
    for process in range(2):
        assert say(monkeypatch, process, ValueError("bad"), meeting / "gone") == 2
    assert capfd.readouterr().err == "nextpixel: error: bad\n" * 2


def test_processes_that_start_again_speak_again(monkeypatch, capsys, meeting):
    for attempt in "01":
        say(monkeypatch, 0, ValueError("bad"), meeting / attempt)
    assert capsys.readouterr().err == "nextpixel: error: bad\n" * 2


def pretend(monkeypatch, devices, *, processes=1, local=0):
    """A machine with so many CUDA devices, and this process among those that share it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.setenv("LOCAL_RANK", str(local))


@pytest.mark.parametrize(
    ("name", "devices", "expected"),
    [
        ("auto", 0, "cpu"),
        ("cpu", 0, "cpu"),
        ("cpu", 4, "cpu"),
        ("auto", 4, "cuda:3"),
        ("cuda", 4, "cuda:3"),
    ],
)
def test_a_process_computes_on_a_device_of_its_own(monkeypatch, name, devices, expected):
    pretend(monkeypatch, devices, processes=4, local=3)
    assert str(device.choose_device(name)) == expected


@pytest.mark.parametrize(
    ("name", "devices", "text"),
    [
        ("cuda", 0, r"device must be cpu or auto on this machine, got 'cuda': torch finds no CUDA"),
        ("auto", 2, r"at most its CUDA devices, 2, got 4; start fewer, or choose device cpu"),
        ("gpu", 2, r"device must be one of auto, cpu, cuda, got 'gpu'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, name, devices, text):
    pretend(monkeypatch, devices, processes=4)
    with pytest.raises(ValueError, match=text):
        device.choose_device(name)


@pytest.mark.parametrize(
    ("where", "has_nccl", "expected"),
    [("cpu", True, "gloo"), ("cuda:1", True, "cpu:gloo,cuda:nccl"), ("cuda:1", False, "gloo")],
)
def test_nccl_connects_cuda_devices_and_gloo_the_rest(monkeypatch, where, has_nccl, expected):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: has_nccl)
    assert backend_for(torch.device(where)) == expected
    assert chosen == ([torch.device(where)] if where != "cpu" else [])


@pytest.mark.gpu
def test_training_and_scoring_on_a_gpu_are_those_of_the_cpu_but_for_rounding(tmp_path):
    assert torch.cuda.is_available()
    where, nats = device.choose_device("cuda"), []
    for target in (torch.device("cpu"), where):
        model = runs.make_model().to(target)
        runs.run(tmp_path / target.type, model=model, steps=10)
        nats.append(npx.evaluate(model, runs.make_split("validation", 50)).nats)
    assert nats[0] == pytest.approx(nats[1], rel=1e-2)


# torchrun's own end


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(distributed, "POLL_SECONDS", 0.001)


def wait_for(holds):
    """Whether something holds within a minute."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.001)
    return holds()


def test_a_process_whose_torchrun_is_gone_is_asked_to_stop(monkeypatch, quick):
    with stop_requests(patient=True) as stop, distributed.following_torchrun():
        monkeypatch.setattr(os, "getppid", lambda: -1)
        assert wait_for(lambda: stop.signal == signal.SIGTERM)


def test_a_process_whose_torchrun_lives_is_left_alone(monkeypatch, quick):
    polls = []
    monkeypatch.setattr(os, "getppid", lambda: polls.append(1) or 7)
    with stop_requests(patient=True) as stop, distributed.following_torchrun():
        assert wait_for(lambda: len(polls) > 5)
    assert stop.signal == 0


def test_torchrun_is_not_followed_once_processes_have_left(monkeypatch, quick):
    with stop_requests(patient=True) as stop:
        with distributed.following_torchrun():
            pass
        monkeypatch.setattr(os, "getppid", lambda: -1)
        time.sleep(0.02)
    assert stop.signal == 0


@pytest.mark.parametrize(
    ("word", "expected"), [(None, 1), ("4", 4), ("many", 1)], ids=["none", "four", "no-number"]
)
def test_torchrun_says_how_many_processes_there_are(monkeypatch, word, expected):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if word is not None:
        monkeypatch.setenv("WORLD_SIZE", word)
    assert distributed.launched() == expected
