"""What a run loses when the loss, the disk or the folder fails: nothing that was written."""

import errno
import math
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.errors import RAISED_BY_ALL
from nextpixel.training import resume
from nextpixel.training.runs import read_rows
from tests import runs


def spoil_loss(model, step, by):
    """From a step on, multiply what the network gives in training mode."""
    done = 0

    def hook(module, inputs, output):
        nonlocal done
        done += module.training
        return output * by if module.training and done >= step else None

    model.last.register_forward_hook(hook)
    return model


def spoil_gradient(model, step):
    """From a step on, give the gradient no finite value, though the loss has one."""
    done = 0

    def hook(module, inputs, output):
        nonlocal done
        done += module.training
        if module.training and done >= step:
            output.register_hook(lambda gradient: gradient * math.inf)

    model.last.register_forward_hook(hook)
    return model


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(tmp_path):
    text = r"the loss is not finite at step 10; .* stay\. Try a lower learning_rate"
    with pytest.raises(npx.NextPixelError, match=text) as caught:
        runs.run(tmp_path, model=spoil_loss(runs.make_model(), 10, math.nan))
    assert RAISED_BY_ALL in caught.value.__notes__  # of several processes one says it


@pytest.mark.parametrize("ema", [None, 0.9], ids=["weights", "average"])
def test_weights_stay_finite_when_the_loss_does_not(tmp_path, ema):
    model = spoil_loss(runs.make_model(), 10, math.nan)
    with pytest.raises(npx.NextPixelError, match="not finite"):
        runs.run(tmp_path, model=model, ema=ema)
    for kept in (npx.load(tmp_path), npx.load(tmp_path / "last"), model):
        assert runs.is_finite(kept)


def test_statistics_of_batch_norm_stay_finite_when_the_network_overflows(tmp_path):
    model = runs.make_model()

    def overflow(progress):
        if progress.step == 9:
            model.kernels()[0].data.fill_(3e38)

    with pytest.raises(npx.NextPixelError, match="the loss is not finite at step 10"):
        runs.run(tmp_path, model=model, on_progress=overflow)
    for kept in (npx.load(tmp_path), npx.load(tmp_path / "last"), model):
        assert runs.is_finite(kept)


def test_a_gradient_that_is_not_finite_ends_the_run_before_it_is_used(tmp_path):
    model = spoil_gradient(runs.make_model(), 10)
    with pytest.raises(npx.NextPixelError, match="the gradient is not finite at step 10"):
        runs.run(tmp_path, model=model)
    assert runs.is_finite(model)


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
def test_a_run_that_diverges_leaves_a_model_that_loads(tmp_path, batch_norm):
    model = runs.make_model(batch_norm=batch_norm, bias=True)
    changes = {"optimizer": "adam", "learning_rate": 1e30, "clip_norm": None, "warmup": 0}
    with pytest.raises(npx.NextPixelError, match="is not finite at step"):
        runs.run(tmp_path, model=model, save_every=1, **changes)
    assert runs.is_finite(npx.load(tmp_path / "last"))


def test_a_validation_that_is_not_finite_ends_the_run(tmp_path):
    model = runs.make_model()

    def spoil(module, inputs, output):
        return None if module.training else output * math.nan

    model.last.register_forward_hook(spoil)
    text = "the likelihood of the validation images is not finite at step 7; the best weights and"
    with pytest.raises(npx.NextPixelError, match=text) as caught:
        runs.run(tmp_path, model=model)
    assert RAISED_BY_ALL in caught.value.__notes__
    assert not (tmp_path / "model.safetensors").exists()


def test_a_run_whose_loss_was_not_finite_can_be_resumed_as_if_it_had_been(tmp_path):
    model = spoil_loss(runs.make_model(), 10, math.nan)
    with pytest.raises(npx.NextPixelError, match="not finite"):
        runs.run(tmp_path / "ill", model=model, steps=20)
    runs.run(tmp_path / "ill", resume=True, steps=20)
    runs.run(tmp_path / "well", steps=20)
    assert runs.outcome(tmp_path / "ill") == runs.outcome(tmp_path / "well")


@pytest.fixture
def small_disk(monkeypatch):
    """A disk that is full at the n-th write, of which it takes one half; free again after."""
    write, state = checkpoint._write, {"left": math.inf}

    def write_or_fail(path, content):
        state["left"] -= 1
        if state["left"] == 0:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoint, "_write", write_or_fail)
    return lambda writes: state.update(left=writes)


# A resume point and last/ are three writes, a row and its best weights are three more.
@pytest.mark.parametrize("writes", range(4, 13))
def test_whichever_write_finds_the_disk_full_the_run_goes_on_exactly(tmp_path, small_disk, writes):
    changes = {"steps": 9, "validate_every": 2}
    small_disk(writes)
    with pytest.raises(npx.NextPixelError, match=r"^cannot write .*: No space left on device$"):
        runs.run(tmp_path / "full", **changes)
    assert not list((tmp_path / "full").rglob("*.partial"))
    assert runs.is_finite(npx.load(tmp_path / "full" / "last"))
    runs.run(tmp_path / "full", resume=True, **changes)
    runs.run(tmp_path / "whole", **changes)
    assert runs.outcome(tmp_path / "full") == runs.outcome(tmp_path / "whole")


def test_a_disk_that_is_full_from_the_start_is_found_before_the_first_step(tmp_path, small_disk):
    small_disk(1)
    steps = []
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*state\.pt: No space left"):
        runs.run(tmp_path, on_progress=steps.append)
    assert not steps


def test_a_real_disk_limit_leaves_model_and_resume_point_whole(tmp_path):
    process, pipe = runs.start(runs.train_until_disk_is_full, tmp_path)
    state = tmp_path / "resume" / "state.pt"
    assert runs.wait_for(pipe, 1) == f"cannot write {state}: File too large"
    assert runs.status(process) == 0
    for folder in (tmp_path, tmp_path / "last"):
        assert runs.is_finite(npx.load(folder))
    steps = []
    runs.run(tmp_path, resume=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 9


@pytest.mark.parametrize("inside", ["", "runs/first"], ids=["a-file", "below-a-file"])
def test_a_folder_that_cannot_be_made_is_found_before_the_first_step(tmp_path, inside):
    (tmp_path / "file").write_text("no folder")
    steps = []
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*lock: Not a directory"):
        runs.run(tmp_path / "file" / inside, on_progress=steps.append)
    assert not steps
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.fixture
def failing_disk(monkeypatch):
    """A disk that takes no more files from a call on: full, or turned read-only."""
    real, state = Path.open, {"error": None}

    def open_or_fail(path, mode="r", *args, **how):
        if state["error"] is not None and "w" in mode:
            raise OSError(state["error"], os.strerror(state["error"]))
        return real(path, mode, *args, **how)

    monkeypatch.setattr(Path, "open", open_or_fail)
    return lambda error: state.update(error=error)


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EROFS, "Read-only file system"), (errno.EACCES, "Permission denied")],
    ids=["read-only", "forbidden"],
)
def test_a_folder_that_turns_read_only_loses_nothing(tmp_path, failing_disk, number, text):
    def fail(progress):
        if progress.step == 10:
            failing_disk(number)

    with pytest.raises(npx.NextPixelError, match=f"^cannot write .*state.pt: {text}$"):
        runs.run(tmp_path / "run", on_progress=fail, steps=20, validate_every=20)
    failing_disk(None)
    assert runs.resume_step(tmp_path / "run") == 8
    assert resume.read_point(tmp_path / "run" / resume.PREVIOUS)["state"]["step"] == 4
    assert not list(tmp_path.rglob("*.partial"))
    changes = {"steps": 20, "validate_every": 20}
    runs.run(tmp_path / "run", resume=True, **changes)
    runs.run(tmp_path / "whole", **changes)
    assert runs.outcome(tmp_path / "run") == runs.outcome(tmp_path / "whole")


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 200 kB; only the system's administrator can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("no right to mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk_loses_nothing(tmp_path, tiny_disk):
    def fill(progress):
        if progress.step == 10:
            room = shutil.disk_usage(tiny_disk).free
            (tiny_disk / "other").write_bytes(bytes(room))

    with pytest.raises(npx.NextPixelError, match=r"^cannot write .*: No space left on device$"):
        runs.run(tiny_disk / "run", on_progress=fill, steps=20)
    (tiny_disk / "other").unlink()
    assert runs.resume_step(tiny_disk / "run") == 8
    runs.run(tiny_disk / "run", resume=True, steps=20)
    runs.run(tmp_path / "whole", steps=20)
    assert runs.outcome(tiny_disk / "run") == runs.outcome(tmp_path / "whole")


@pytest.mark.parametrize("jump", [-1e9, 1e9], ids=["back", "forward"])
def test_setting_the_time_of_day_neither_ends_nor_prolongs_a_run(tmp_path, monkeypatch, jump):
    def set_clock(progress):
        if progress.step == 8:
            now = time.time
            monkeypatch.setattr(time, "time", lambda: now() + jump)
            monkeypatch.setattr(time, "time_ns", lambda: int((now() + jump) * 1e9))

    result = runs.run(tmp_path, on_progress=set_clock, steps=20, minutes=60, previews=4)
    seconds = [float(row["seconds"]) for row in read_rows(tmp_path / "metrics.csv")]
    assert result.steps == 20
    assert 0 <= seconds[0] <= seconds[1] <= seconds[2] < 3600
    assert 0 < result.seconds < 3600
