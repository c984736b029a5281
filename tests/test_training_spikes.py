"""With a limit on spikes, a batch that stands out leaves no trace but a count."""

import math

import pytest
import torch

import nextpixel as npx
from nextpixel.training.update import LEAST, Spikes
from tests import runs
from tests.test_training_faults import spoil_gradient, spoil_loss

LEARN = {"steps": 40, "validate_every": 10, "save_every": 5}


def spoil(model, steps, by):
    """At some updates, multiply what the network gives."""
    done = 0

    def hook(module, inputs, output):
        nonlocal done
        done += module.training
        return output * by if module.training and done in steps else None

    model.last.register_forward_hook(hook)
    return model


def spikes_of(folder):
    return [int(row["skipped"]) for row in runs.rows(folder)]


def test_a_norm_stands_out_against_the_median_of_those_before():
    judge = Spikes(2.0)
    assert not any(judge.is_spike(norm) for norm in [100.0, *[1.0, 2.0, 3.0] * 7])
    assert [judge.is_spike(norm) for norm in (3.9, 4.1, 2.0)] == [False, True, False]
    assert judge.skipped == 1


def test_nothing_stands_out_before_enough_is_known():
    judge = Spikes(2.0)
    assert not any(judge.is_spike(10.0**number) for number in range(LEAST))
    assert judge.is_spike(10.0**30)


def test_a_norm_that_has_grown_for_good_is_soon_the_new_normal():
    judge = Spikes(2.0)
    found = [judge.is_spike(norm) for norm in [1.0] * 200 + [10.0] * 200]
    assert found == [False] * 200 + [True] * 50 + [False] * 150


def test_without_a_limit_nothing_stands_out():
    judge = Spikes(None)
    assert not any(judge.is_spike(norm) for norm in [1.0] * 50 + [1e30])
    assert not judge.allows_another


def test_a_limit_that_nothing_exceeds_changes_no_bit(tmp_path):
    runs.run(tmp_path / "with", spike=1e6, steps=20)
    runs.run(tmp_path / "without", steps=20)
    for name in ("model.safetensors", "last/model.safetensors"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    assert runs.rows(tmp_path / "with") == runs.rows(tmp_path / "without")


@pytest.mark.parametrize(
    ("by", "steps"), [(math.nan, {25, 26, 27}), (1e4, {25, 31})], ids=["not-finite", "large"]
)
def test_updates_that_stand_out_are_left_out_and_counted(tmp_path, by, steps):
    model = spoil(runs.make_model(), steps, by)
    seen = []
    result = runs.run(tmp_path, model=model, spike=20.0, on_progress=seen.append, **LEARN)
    assert result.skipped == len(steps)
    assert spikes_of(tmp_path) == [0, 0, min(3, len(steps)) if len(steps) == 3 else 1, len(steps)]
    assert [progress.skipped for progress in seen[23:25]] == [0, 1]
    assert runs.is_finite(npx.load(tmp_path / "last"))
    assert all(math.isfinite(float(row["train_nats"])) for row in runs.rows(tmp_path))


def weights_after(steps, model):
    """All state of the model in memory after so many steps: weights and statistics."""
    found = {}

    def note(progress):
        if progress.step == steps:
            found.update({name: value.clone() for name, value in model.state_dict().items()})
            raise InterruptedError

    with pytest.raises(InterruptedError):
        runs.run(None, model=model, on_progress=note, spike=50.0, **LEARN)
    return found


SPOILT = {
    "loss": lambda: spoil_loss(runs.make_model(), 25, math.nan),
    "gradient": lambda: spoil_gradient(runs.make_model(), 25),
}


@pytest.mark.parametrize("make", SPOILT.values(), ids=SPOILT.keys())
def test_an_update_that_is_left_out_changes_neither_weights_nor_statistics(make):
    before, after = weights_after(24, runs.make_model()), weights_after(29, make())
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_too_many_in_a_row_are_an_error_that_says_so(tmp_path):
    model = spoil_loss(runs.make_model(), 25, math.nan)
    text = r"the loss is not finite at step 35, nor were the 10 updates before it, which were left"
    with pytest.raises(npx.NextPixelError, match=text):
        runs.run(tmp_path, model=model, spike=50.0, **LEARN)
    assert runs.is_finite(npx.load(tmp_path / "last"))


@pytest.mark.parametrize("stop", [24, 33])
def test_a_run_that_leaves_updates_out_resumes_to_the_same_bits(tmp_path, stop):
    # A low limit: which updates stand out depends on the norms before.
    changes = {**LEARN, "spike": 1.15}
    runs.run(tmp_path / "whole", **changes)
    assert spikes_of(tmp_path / "whole")[-1] > spikes_of(tmp_path / "whole")[-2] > 0
    runs.stopped_at(stop, tmp_path / "cut", **changes)
    runs.run(tmp_path / "cut", resume=True, **changes)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")
