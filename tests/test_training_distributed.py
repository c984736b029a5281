"""Processes that share a batch do what one process does; they stop, resume and fail together."""

import os
import random
import signal
import time

import pytest
import torch

import nextpixel as npx
from nextpixel.runtime.distributed import Processes
from nextpixel.training.gradient import Gradient
from tests import runs, worlds
from tests.test_threads import levels, tiny

SHORT = {"steps": 12}
WEIGHTS = ("model.safetensors", "last/model.safetensors")


def weights(folder):
    return [(folder / name).read_bytes() for name in WEIGHTS]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A run of two processes that was never stopped."""
    out = tmp_path_factory.mktemp("pair") / "run"
    ends = worlds.run(out, 2, worlds.train, dict(SHORT))
    return out, ends


def test_two_processes_are_one_that_takes_two_passes(pair, tmp_path):
    out, _ = pair
    runs.run(tmp_path, model=runs.make_model(batch_norm=False), accumulate=2, **SHORT)
    assert weights(tmp_path) == weights(out)


def test_two_processes_are_one_but_for_rounding(pair, tmp_path):
    out, _ = pair
    runs.run(tmp_path, model=runs.make_model(batch_norm=False), **SHORT)
    for here, there in zip(runs.rows(tmp_path), runs.rows(out), strict=True):
        assert {name: float(value) for name, value in here.items()} == pytest.approx(
            {name: float(value) for name, value in there.items()}, rel=1e-4
        )


def test_every_process_ends_with_the_same_model_and_figures(pair):
    _, (first, second) = pair
    assert first == second


def test_dropout_and_hidden_labels_are_those_of_two_passes(tmp_path):
    changes = {"steps": 6, "validate_every": 3}
    worlds.run(tmp_path / "two", 2, worlds.train_gated, changes)
    worlds.train_gated(tmp_path / "one", {**changes, "accumulate": 2})
    assert weights(tmp_path / "two") == weights(tmp_path / "one")


def test_callbacks_are_the_first_processs_own(tmp_path):
    first, second = worlds.run(tmp_path / "two", 2, worlds.train_with_previews)
    assert len(first) == 5
    assert second == []


def test_processes_that_would_train_something_else_are_refused(tmp_path):
    ends = worlds.run(tmp_path / "run", 2, worlds.train_otherwise)
    text = "all processes must call fit alike, but train.seed is 3 in process 0 and 4 in process 1"
    assert [(type(error), str(error)) for error in ends] == [(ValueError, text)] * 2
    assert not (tmp_path / "run").exists()


def test_statistics_of_batch_norm_are_the_same_in_every_process(tmp_path):
    first, second = worlds.run(tmp_path / "run", 2, worlds.train, {"steps": 7, "batch_norm": True})
    assert first == second


def test_processes_score_images_as_one_does(tmp_path):
    expected = npx.evaluate(runs.make_model(), runs.make_split("validation", 250)).nats
    assert worlds.run(tmp_path / "run", 2, worlds.score, 250) == [expected, expected]


class OneOfSeveral(Processes):
    """One process of several, without the others."""

    def all_reduce(self, values):
        return values


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_gradients_of_processes_add_up_to_that_of_the_batch(count):
    model, batch = tiny(), levels(count)
    found, nats = [], 0.0
    for rank in range(3):
        nats += Gradient(model, OneOfSeveral(rank, 3)).set(batch)
        found.append([parameter.grad for parameter in model.parameters()])
    whole = Gradient(model).set(batch)
    assert nats == pytest.approx(whole)
    for parameter, *parts in zip(model.parameters(), *found, strict=True):
        total = sum(part for part in parts if part is not None)
        torch.testing.assert_close(total, parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_gradient_of_many_passes_is_that_of_one(count):
    model, batch = tiny(), levels(count)
    nats = Gradient(model, passes=3).set(batch)
    found = [parameter.grad for parameter in model.parameters()]
    assert Gradient(model).set(batch) == pytest.approx(nats)
    for parameter, gradient in zip(model.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=1e-12)


def test_each_image_of_a_batch_goes_to_one_process(monkeypatch):
    model, batch, seen = tiny(), torch.arange(3).repeat(9)[:25].view(25, 1, 1, 1), []
    batch = batch.expand(25, 1, 5, 5).contiguous()

    def note(self, levels, condition, rows, scale, seed):
        seen.append((rows.tolist(), seed))
        return 0.0, [None] * len(self.parameters)

    monkeypatch.setattr(Gradient, "_part", note)
    for rank in range(3):
        Gradient(model, OneOfSeveral(rank, 3), passes=2).set(batch)
    assert sorted(row for rows, _ in seen for row in rows) == list(range(25))
    assert len({seed for _, seed in seen}) == 6


def held_at(folder, step):
    """Two processes that wait after a step, and the pipe that lets them go on."""
    members = worlds.start(folder, 2, worlds.train, {**SHORT, "hold": step})
    pipe = members[0][1]
    runs.wait_for(pipe, step)
    return members, pipe


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_processes_of_which_one_is_killed_resume_to_the_same_bits(pair, tmp_path, rank):
    members, pipe = held_at(tmp_path / "run", 6)
    members[rank][0].kill()
    members[rank][0].join()
    if rank != 0:
        pipe.send("go on")
    ends = worlds.ends(members)
    assert ends[rank] == 128 + signal.SIGKILL
    assert "lost touch with the other processes of the run" in str(ends[1 - rank])
    worlds.run(tmp_path / "run", 2, worlds.train, dict(SHORT))
    assert runs.outcome(tmp_path / "run") == runs.outcome(pair[0])


@pytest.mark.slow
def test_two_processes_killed_at_random_moments_end_as_if_they_were_not(pair, tmp_path):
    moments = random.Random(7)
    for _ in range(10):
        members = worlds.start(tmp_path / "run", 2, worlds.train, dict(SHORT))
        runs.wait_for(members[0][1], 1)
        time.sleep(moments.uniform(0, 0.1))
        for process, _pipe in random.Random(moments.random()).sample(members, 2):
            process.kill()
        worlds.ends(members)
    worlds.run(tmp_path / "run", 2, worlds.train, dict(SHORT))
    assert runs.outcome(tmp_path / "run") == runs.outcome(pair[0])


@pytest.mark.slow
def test_two_processes_with_every_setting_killed_at_random_moments_lose_nothing(tmp_path):
    worlds.run(tmp_path / "whole", 2, worlds.train_risky)
    assert int(runs.rows(tmp_path / "whole")[-1]["skipped"]) > 0
    moments = random.Random(8)
    for _ in range(6):
        members = worlds.start(tmp_path / "cut", 2, worlds.train_risky)
        runs.wait_for(members[0][1], moments.randint(1, 9))
        time.sleep(moments.uniform(0, 0.05))
        for process, _pipe in moments.sample(members, 2):
            process.kill()
        worlds.ends(members)
    worlds.run(tmp_path / "cut", 2, worlds.train_risky)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")


@pytest.mark.parametrize(
    ("rank", "numbers", "status"),
    [
        (1, (signal.SIGINT, signal.SIGTERM), 143),  # torchrun passes on what a terminal has sent
        pytest.param(1, (signal.SIGTERM,), 143, marks=pytest.mark.slow),
        pytest.param(0, (signal.SIGTERM,), 143, marks=pytest.mark.slow),
        pytest.param(0, (signal.SIGINT,), 1, marks=pytest.mark.slow),  # KeyboardInterrupt
    ],
    ids=["both-to-the-second", "sigterm-to-the-second", "sigterm-to-the-first", "ctrl-c"],
)
def test_a_signal_to_one_process_stops_all_together(pair, tmp_path, rank, numbers, status):
    members, pipe = held_at(tmp_path / "run", 6)
    for number in numbers:
        os.kill(members[rank][0].pid, number)
    time.sleep(0.05)
    pipe.send("go on")
    assert worlds.ends(members) == [status] * 2
    assert runs.resume_step(tmp_path / "run") in (6, 7)  # the other may have begun the next
    worlds.run(tmp_path / "run", 2, worlds.train, dict(SHORT))
    assert runs.outcome(tmp_path / "run") == runs.outcome(pair[0])


def test_an_error_of_the_first_process_is_everyones(tmp_path):
    ends = worlds.run(tmp_path / "run", 2, worlds.fail)
    assert [str(error) for error in ends] == ["the first one fails"] * 2


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path):
    text = r"batch_size must be a multiple of processes x accumulate = 1 x 4, got 10"
    with pytest.raises(ValueError, match=text):
        runs.run(tmp_path / "run", accumulate=4)
    ends = worlds.run(tmp_path / "run", 2, worlds.train, {"batch_size": 9})
    text = "batch_size must be a multiple of processes x accumulate = 2 x 1, got 9"
    assert [str(error) for error in ends] == [text] * 2
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_number_of_processes_is_not_resumed_unless_allowed(pair, tmp_path):
    longer = {"model": runs.make_model(batch_norm=False), "steps": 18, "resume": True}
    longer["warm_restart"] = True
    out, _ = pair
    (tmp_path / "run" / "resume").mkdir(parents=True)
    (tmp_path / "run" / "resume" / "state.pt").write_bytes(
        (out / "resume" / "state.pt").read_bytes()
    )
    text = r"its processes is 2, this one's is 1; allow_resize goes on, not bit for bit"
    with pytest.raises(ValueError, match=text):
        runs.run(tmp_path / "run", **longer)
    assert runs.run(tmp_path / "run", allow_resize=True, **longer).steps == 18


def test_a_run_of_another_number_of_passes_is_not_resumed_unless_allowed(tmp_path):
    runs.run(tmp_path, steps=3)
    text = r"its train\.accumulate is 1, this one's is 2; allow_resize goes on"
    with pytest.raises(ValueError, match=text):
        runs.run(tmp_path, steps=4, resume=True, accumulate=2)
    assert runs.run(tmp_path, steps=4, resume=True, accumulate=2, allow_resize=True).steps == 4


def test_a_resize_allows_nothing_else(tmp_path):
    runs.run(tmp_path, steps=3)
    with pytest.raises(ValueError, match=r"its train\.seed is 3, this one's is 4$"):
        runs.run(tmp_path, steps=4, resume=True, seed=4, allow_resize=True)


def test_a_folder_is_written_by_one_run_at_a_time(tmp_path):
    process, pipe = runs.start(runs.train, tmp_path)
    runs.wait_for(pipe, 1)
    os.kill(process.pid, signal.SIGSTOP)  # it lives, and does not get to its end
    try:
        text = rf"is being written by another run \(process {process.pid}\); wait for it to end"
        with pytest.raises(ValueError, match=text):
            runs.run(tmp_path, resume=True)
    finally:
        process.kill()
    assert runs.status(process) == 128 + signal.SIGKILL
    assert runs.run(tmp_path, resume=True, steps=5).steps == 5


def test_a_process_alone_is_first_and_needs_nobody():
    alone = Processes.current()
    assert (alone.rank, alone.world_size, alone.is_first) == (0, 1, True)
    assert alone.all_reduce(torch.ones(2)).tolist() == [1, 1]


@pytest.mark.slow
def test_four_processes_are_one_but_for_rounding(tmp_path):
    changes = {"steps": 20, "batch_size": 12}
    first, *others = worlds.run(tmp_path / "four", 4, worlds.train, changes)
    assert others == [first] * 3
    runs.run(tmp_path / "one", model=runs.make_model(batch_norm=False), **changes)
    for here, there in zip(runs.rows(tmp_path / "one"), runs.rows(tmp_path / "four"), strict=True):
        assert {name: float(value) for name, value in here.items()} == pytest.approx(
            {name: float(value) for name, value in there.items()}, rel=1e-4
        )
