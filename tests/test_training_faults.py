"""What a run loses when the loss, the disk or the folder fails: nothing that was written."""

import errno
import math

import pytest

import nextpixel as npx
from nextpixel import checkpoint
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
    with pytest.raises(npx.NextPixelError, match=text):
        runs.run(tmp_path, model=spoil_loss(runs.make_model(), 10, math.nan))


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
