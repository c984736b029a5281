"""A run that was stopped, killed or resumed ends with the bits of one that never was."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nextpixel as npx
from nextpixel.training.resume import differences
from tests import runs, worlds

MIXES = {
    "all": {},
    "adam": {"optimizer": "adam", "ema": None, "clip_norm": None},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "linear"},
    "no-average": {"ema": None, "schedule": "exponential", "decay": 0.99},
    "two-threads": {"threads": 2, "batch_norm": False},
}


class Interruption(Exception):
    """What a callback raises in the middle of a run."""


def stop_at(step, error=Interruption):
    def on_progress(progress):
        if progress.step == step:
            raise error

    return on_progress


def send_at(step, *signals):
    def on_progress(progress):
        if progress.step == step:
            for number in signals:
                signal.raise_signal(number)

    return on_progress


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("reference")
    runs.run(out)
    return out


@pytest.fixture
def stopped(tmp_path):
    """The folder of a run that an error ended at step 10."""
    out = tmp_path / "stopped"
    with pytest.raises(Interruption):
        runs.run(out, on_progress=stop_at(10))
    return out


@pytest.mark.parametrize("changes", MIXES.values(), ids=MIXES.keys())
def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path, changes):
    changes = {"steps": 16, "batch_norm": True, **changes}
    batch_norm = changes.pop("batch_norm")

    def train(out, **how):
        return runs.run(out, model=runs.make_model(batch_norm=batch_norm), **how, **changes)

    whole = train(tmp_path / "whole")
    for step in (6, 13):
        with pytest.raises(Interruption):
            train(tmp_path / "cut", resume=step > 6, on_progress=stop_at(step))
    resumed = train(tmp_path / "cut", resume=True)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")
    assert (resumed.steps, resumed.images) == (whole.steps, whole.images)
    assert (resumed.best_step, resumed.best_nats) == (whole.best_step, whole.best_nats)


@pytest.mark.parametrize("kind", ["residual-pixelcnn", "pixelcnn"])
def test_color_models_resume_as_well(tmp_path, kind):
    data = npx.load_data("color-shapes", limit=20)
    sizes = {"features": 6, "blocks": 1, "inner": 3, "head_features": 6, "position": True}
    options = sizes if kind == "residual-pixelcnn" else {"features": 6, "layers": 2, "side": 3}
    changes = {"data": data, "steps": 8, "validate_every": 3}

    def model():
        return npx.build(kind, seed=0, shape=(3, 20, 20), levels=4, **options)

    runs.run(tmp_path / "whole", model=model(), **changes)
    with pytest.raises(Interruption):
        runs.run(tmp_path / "cut", model=model(), on_progress=stop_at(6), **changes)
    runs.run(tmp_path / "cut", model=model(), resume=True, **changes)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")


def test_nothing_of_the_model_at_hand_enters_a_resumed_run(stopped, reference):
    model = runs.make_model(seed=99).train()
    runs.run(stopped, model=model, resume=True)
    assert runs.outcome(stopped) == runs.outcome(reference)


def test_the_resumed_model_in_memory_is_the_one_on_disk(stopped):
    model = runs.make_model()
    runs.run(stopped, model=model, resume=True)
    saved = npx.load(stopped).state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_resuming_a_run_that_is_over_changes_nothing(tmp_path):
    whole = runs.run(tmp_path, steps=9)
    before = runs.outcome(tmp_path)
    again = runs.run(tmp_path, steps=9, resume=True)
    assert runs.outcome(tmp_path) == before
    assert (again.best_step, again.best_nats) == (whole.best_step, whole.best_nats)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize(("steps", "warmup"), [(6, 2), (9, 2), (6, 8), (9, 50)])
def test_more_steps_do_not_raise_a_rate_that_has_fallen_unless_asked(
    tmp_path, schedule, steps, warmup
):
    changes = {"schedule": schedule, "ema": None, "warmup": warmup, "save_every": 3}
    with pytest.raises(Interruption):
        runs.run(tmp_path, steps=9, on_progress=stop_at(steps), **changes)
    before = runs.outcome(tmp_path) if (tmp_path / "config.json").exists() else None
    with pytest.raises(ValueError, match=f"schedule '{schedule}' has lowered .* rise again to"):
        runs.run(tmp_path, steps=18, resume=True, **changes)
    assert before is None or runs.outcome(tmp_path) == before
    assert runs.run(tmp_path, steps=18, resume=True, warm_restart=True, **changes).steps == 18


def test_a_rate_that_does_not_fall_by_the_end_lets_a_run_grow(tmp_path):
    for schedule, decay in (("constant", 1.0), ("exponential", 0.9)):
        changes = {"schedule": schedule, "decay": decay, "ema": None}
        runs.run(tmp_path / schedule, steps=8, **changes)
        assert runs.run(tmp_path / schedule, steps=12, resume=True, **changes).steps == 12
        rates = [float(row["learning_rate"]) for row in runs.rows(tmp_path / schedule)]
        assert rates == sorted(rates, reverse=True)


def test_weights_that_were_best_before_the_stop_stay_the_best(tmp_path):
    # What is learnt of dark images makes bright ones ever less likely: the first row is the best.
    data = runs.make_data(protocol="threshold")
    data.train.pixels[:], data.validation.pixels[:] = 0, 255
    changes = {"data": data, "steps": 12, "validate_every": 2, "ema": None}
    with pytest.raises(Interruption):
        runs.run(tmp_path, on_progress=stop_at(7), **changes)
    model = runs.make_model(seed=5)
    result = runs.run(tmp_path, model=model, resume=True, **changes)
    nats = [float(row["validation_nats"]) for row in runs.rows(tmp_path)]
    assert (result.best_step, result.best_nats) == (2, nats[0])
    assert npx.evaluate(model, data.validation).nats == pytest.approx(nats[0], rel=1e-6)
    assert npx.evaluate(npx.load(tmp_path), data.validation).nats == pytest.approx(nats[0])


def test_best_weights_that_a_resumed_run_does_not_know_are_taken_back(tmp_path):
    changes = {"steps": 12, "validate_every": 1}
    with pytest.raises(Interruption):
        runs.run(tmp_path, on_progress=stop_at(7), **changes)  # saved at 4, validated at 5 and 6
    model = runs.make_model()
    with pytest.raises(Interruption):
        runs.run(tmp_path, model=model, resume=True, on_progress=stop_at(5), **changes)
    rows = runs.rows(tmp_path)
    best = min(rows, key=lambda row: float(row["validation_nats"]))
    assert rows[-1]["step"] == "4"
    assert npx.checkpoint.read_config(tmp_path)["training"]["step"] == int(best["step"])
    saved = npx.load(tmp_path).state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_a_run_that_is_over_can_be_made_longer(tmp_path):
    changes = {"schedule": "constant", "validate_every": 5}
    runs.run(tmp_path / "long", steps=20, **changes)
    runs.run(tmp_path / "longer", steps=10, **changes)
    runs.run(tmp_path / "longer", steps=20, resume=True, **changes)
    for name in ("model.safetensors", "last/model.safetensors"):
        assert (tmp_path / "longer" / name).read_bytes() == (tmp_path / "long" / name).read_bytes()
    assert runs.rows(tmp_path / "longer") == runs.rows(tmp_path / "long")


def test_previews_of_a_resumed_run_go_on(tmp_path):
    seen, changes = [], {"steps": 12, "preview_every": 3}

    def on_preview(_, step):
        seen.append(step)

    with pytest.raises(Interruption):
        runs.run(tmp_path, on_preview=on_preview, on_progress=stop_at(8), **changes)
    runs.run(tmp_path, on_preview=on_preview, resume=True, **changes)
    assert seen == [0, 3, 6, 6, 9, 12]  # the resume point at step 4 knew of the first


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_one_never_killed(tmp_path, reference):
    moments = random.Random(6)
    for _ in range(4):
        process, pipe = runs.start(runs.train, tmp_path)
        runs.wait_for(pipe, moments.randint(5, 14))
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        assert runs.status(process) == 128 + signal.SIGKILL
        assert runs.is_finite(npx.load(tmp_path / "last"))
    process, _ = runs.start(runs.train, tmp_path)
    assert runs.status(process) == 0
    assert runs.outcome(tmp_path) == runs.outcome(reference)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_a_run_with_every_setting_killed_twenty_times_ends_as_one_never_killed(tmp_path):
    worlds.train_risky(tmp_path / "whole")
    assert int(runs.rows(tmp_path / "whole")[-1]["skipped"]) > 0
    moments = random.Random(20)
    for _ in range(20):
        process, pipe = runs.start(worlds.train_risky, tmp_path / "cut")
        runs.wait_for(pipe, moments.randint(1, 6))
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        assert runs.status(process) == 128 + signal.SIGKILL
    process, _ = runs.start(worlds.train_risky, tmp_path / "cut")
    assert runs.status(process) == 0
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")
    assert not list(tmp_path.rglob("*.partial"))


def test_sigterm_ends_a_process_with_status_143_and_a_resume_point(tmp_path, reference):
    process, pipe = runs.start(runs.train, tmp_path)
    runs.wait_for(pipe, 9)
    process.terminate()
    assert runs.status(process) == 128 + signal.SIGTERM
    runs.run(tmp_path, resume=True)
    assert runs.outcome(tmp_path) == runs.outcome(reference)


def test_ctrl_c_ends_a_script_with_status_130_and_a_resume_point(tmp_path, reference):
    code = f"import pathlib; from tests import runs; runs.train(pathlib.Path({str(tmp_path)!r}))"
    command = [sys.executable, "-u", "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], **pipes) as script:
        for _ in range(9):
            script.stdout.readline()
        script.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in script.communicate(timeout=60)[1]
    assert script.returncode == -signal.SIGINT  # a shell says 130
    runs.run(tmp_path, resume=True)
    assert runs.outcome(tmp_path) == runs.outcome(reference)


def test_a_signal_stops_after_the_update_at_hand_and_saves_it(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        runs.run(tmp_path, on_progress=send_at(6, signal.SIGTERM))
    assert stopped.value.code == 128 + signal.SIGTERM
    steps = []
    runs.run(tmp_path, resume=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 7


def test_a_second_signal_stops_immediately(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        runs.run(tmp_path, on_progress=send_at(6, signal.SIGINT, signal.SIGTERM))
    steps = []
    runs.run(tmp_path, resume=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 5


def test_a_signal_during_the_last_update_is_obeyed(tmp_path, reference):
    with pytest.raises(SystemExit):
        runs.run(tmp_path, on_progress=send_at(runs.CONFIG.steps, signal.SIGTERM))
    runs.run(tmp_path, resume=True)
    assert runs.outcome(tmp_path) == runs.outcome(reference)


def test_a_signal_during_the_last_validation_is_obeyed():
    def on_preview(model, step):
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit):
        runs.run(None, steps=3, previews=1, on_preview=on_preview)


def test_the_process_gets_its_signal_handlers_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    runs.run(None, steps=2)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_folder_that_holds_a_run_is_not_overwritten(stopped):
    before = {path: path.read_bytes() for path in stopped.rglob("*.*")}
    with pytest.raises(ValueError, match=r"stopped already holds a run; resume it, or choose ano"):
        runs.run(stopped)
    assert {path: path.read_bytes() for path in stopped.rglob("*.*")} == before


def test_a_folder_that_holds_a_model_is_not_overwritten(tmp_path):
    npx.save(runs.make_model(), tmp_path)
    with pytest.raises(ValueError, match="already holds a run"):
        runs.run(tmp_path)


def test_there_is_nothing_to_resume_without_a_folder():
    with pytest.raises(ValueError, match="out must be the folder of a run to resume, got none"):
        runs.run(None, resume=True)


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path):
    text = r"holds no run to resume: it has no resume.state\.pt"
    with pytest.raises(npx.NextPixelError, match=text):
        runs.run(tmp_path, resume=True)
    assert not list(tmp_path.iterdir())


def test_a_file_of_torch_that_is_no_resume_point_is_refused(stopped):
    (stopped / "resume" / "previous.pt").unlink()
    torch.save({"weights": torch.zeros(2)}, stopped / "resume" / "state.pt")
    with pytest.raises(npx.NextPixelError, match=r"state\.pt is damaged: its end is cut off, or"):
        runs.run(stopped, resume=True)


OTHERS = {
    "seed": ({"seed": 4}, r"its train\.seed is 3, this one's is 4"),
    "rate": ({"learning_rate": 0.1}, r"its train\.learning_rate is 0\.01, this one's is 0\.1"),
    "betas": ({"betas": (0.0, 0.9)}, r"its train\.betas is \[0\.9, 0\.999\]"),
    "average": ({"ema": None}, r"its train\.ema is 0\.9, this one's is None"),
    "options": ({"model": runs.make_model(features=4)}, r"its model\.features is 8, this one's"),
    "numbers": ({"model": runs.make_model().double()}, r"its number type is 'torch\.float32'"),
    "protocol": ({"data": runs.make_data(protocol="threshold")}, "its protocol is 'dynamic'"),
    "images": ({"data": runs.make_data(count=40)}, "its training set is '48 images with check"),
}


@pytest.mark.parametrize(("changes", "text"), OTHERS.values(), ids=OTHERS.keys())
def test_a_run_is_not_resumed_as_another(stopped, changes, text):
    with pytest.raises(ValueError, match=f"stopped holds another run: {text}"):
        runs.run(stopped, resume=True, **changes)


def test_a_run_is_not_resumed_with_other_validation_images(stopped):
    data = runs.make_data()
    data.validation.pixels[0] ^= 1
    with pytest.raises(ValueError, match="its validation set is '16 images with checksum"):
        runs.run(stopped, data=data, resume=True)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_data_set_that_was_rewritten_is_named_as_such(stopped, part):
    data = runs.make_data()
    getattr(data, part).pixels[-1, 0, 5, 5] ^= 1
    text = r"its \w+ set is '\d+ images with checksum \w+', this one's is '.*'; the data set has ch"
    with pytest.raises(ValueError, match=text):
        runs.run(stopped, data=data, resume=True)


PARTS = {"train": "training", "validation": "validation", "test": "test"}


@pytest.mark.parametrize(("part", "name"), PARTS.items(), ids=PARTS)
def test_labels_that_were_rewritten_are_noticed(tmp_path, part, name):
    data = runs.make_data()
    labels = torch.zeros(len(getattr(data, part)), dtype=torch.int64)
    data = replace(data, **{part: replace(getattr(data, part), labels=labels)})
    runs.run(tmp_path, data=data, steps=2)
    labels[7] = 1
    with pytest.raises(ValueError, match=rf"its {name} labels is .*the data set has changed"):
        runs.run(tmp_path, data=data, steps=4, resume=True)


def test_several_differences_are_named_in_one_line(stopped):
    changes = {"seed": 4, "ema": None, "learning_rate": 0.1, "warmup": 0, "clip_norm": 2.0}
    with pytest.raises(ValueError, match=r"its train\.learning_rate is .*; and 2 more$"):
        runs.run(stopped, resume=True, **changes)


def test_a_setting_that_an_earlier_version_did_not_know_had_its_default():
    own = {"processes": 1, "train.ema": None, "train.seed": 1}
    assert differences({}, own) == "its train.seed is 0, this one's is 1"
