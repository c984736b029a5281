"""Previews and progress come when they are due, and change nothing."""

import math

import pytest
import torch

import nextpixel as npx
from tests import runs

TIMES = {
    "none": ({}, []),
    "every-4": ({"preview_every": 4}, [0, 4, 8]),
    "every-step": ({"preview_every": 1}, list(range(11))),
    "two-spread": ({"previews": 2}, [0, 5, 10]),
    "four-spread": ({"previews": 4}, [0, 3, 5, 8, 10]),
    "more-than-steps": ({"previews": 100}, list(range(11))),
    "too-rare": ({"preview_every": 11}, [0]),
}


@pytest.mark.parametrize(("changes", "expected"), TIMES.values(), ids=TIMES.keys())
def test_previews_come_when_they_are_due(changes, expected):
    seen = []
    runs.run(None, steps=10, on_preview=lambda _, step: seen.append(step), **changes)
    assert seen == expected


@pytest.mark.parametrize("ema", [None, 0.9], ids=["weights", "average"])
def test_a_preview_shows_the_model_that_is_kept(tmp_path, ema):
    shown = {}

    def on_preview(model, step):
        shown.update({name: tensor.clone() for name, tensor in model.state_dict().items()})

    runs.run(tmp_path, steps=6, previews=1, ema=ema, on_preview=on_preview)
    last = npx.load(tmp_path / "last").state_dict()
    assert all(torch.equal(shown[name], tensor) for name, tensor in last.items())


@pytest.mark.parametrize("ema", [None, 0.9], ids=["weights", "average"])
def test_a_preview_can_take_a_likelihood_of_a_batch_norm_model(ema):
    levels, found = torch.zeros(2, 1, 6, 6, dtype=torch.int64), []

    def on_preview(model, step):
        found.append(model.log_prob(levels).isfinite().all().item())

    runs.run(None, steps=4, preview_every=2, ema=ema, on_preview=on_preview)
    assert found == [True, True, True]


def test_callbacks_that_draw_change_nothing(tmp_path):
    def on_preview(model, step):
        torch.manual_seed(step)
        npx.sample(model, 2, rng=torch.Generator().manual_seed(step))

    runs.run(tmp_path / "with", steps=8, preview_every=2, on_preview=on_preview)
    runs.run(tmp_path / "without", steps=8, preview_every=2)
    assert runs.outcome(tmp_path / "with") == runs.outcome(tmp_path / "without")


def test_progress_counts_steps_images_and_the_share_of_the_run():
    seen = []
    runs.run(None, steps=8, on_progress=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 9))
    assert [progress.share for progress in seen] == [step / 8 for step in range(1, 9)]
    assert [progress.images for progress in seen] == [10, 20, 30, 40, 48, 58, 68, 78]


def test_progress_estimates_speed_and_time_left():
    progress = npx.training.Progress(step=10, share=0.25, images=500, seconds=5.0, nats=80.0)
    assert progress.images_per_second == 100
    assert progress.seconds_left == 15


def test_progress_shows_a_running_mean_of_the_loss():
    data = runs.make_data(protocol="threshold")
    model = runs.make_model(batch_norm=False)
    changes = {"optimizer": "adam", "ema": None, "learning_rate": 1e-30}
    seen = []
    runs.run(None, model=model, data=data, steps=4, on_progress=seen.append, **changes)
    uniform = 36 * math.log(2)
    assert [progress.nats for progress in seen] == pytest.approx([uniform] * 4, rel=1e-6)
