"""metrics.csv has a row for each evaluation, TensorBoard the same, and its figures are true."""

import csv
import math
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

import nextpixel as npx
from nextpixel.data import Batches
from nextpixel.errors import NextPixelError
from tests import extras, runs

ADAM = {"optimizer": "adam", "ema": None, "clip_norm": None, "warmup": 0, "schedule": "constant"}
FROZEN = {**ADAM, "learning_rate": 1e-30}  # too small to change a weight in float32


def disturbed_model(**options):
    """A tiny model that is far from uniform."""
    model = runs.make_model(**options)
    rng = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data.copy_(0.5 * torch.randn(parameter.shape, generator=rng))
    return model


def test_the_loss_is_that_of_the_batch_before_its_update(tmp_path):
    # The last layer starts at zero, so that the first loss is that of 36 fair coins.
    runs.run(tmp_path, steps=1, **ADAM)
    assert float(runs.rows(tmp_path)[0]["train_nats"]) == pytest.approx(36 * math.log(2), rel=1e-6)


def test_metrics_have_a_row_for_each_evaluation_and_one_for_the_end(tmp_path):
    runs.run(tmp_path, steps=17, validate_every=7)
    rows = runs.rows(tmp_path)
    assert [row["step"] for row in rows] == ["7", "14", "17"]
    # 48 images in batches of 10, 10, 10, 10, 8: an epoch is five updates.
    assert [row["images"] for row in rows] == ["68", "136", "164"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_metrics_have_no_second_row_for_the_last_step(tmp_path):
    runs.run(tmp_path, steps=14, validate_every=7)
    assert [row["step"] for row in runs.rows(tmp_path)] == ["7", "14"]


def test_metrics_have_the_columns_of_the_contract(tmp_path):
    runs.run(tmp_path, steps=1)
    with (tmp_path / "metrics.csv").open() as file:
        header = next(csv.reader(file))
    assert header == (
        "step,epoch,seconds,images,learning_rate,train_nats,validation_nats,test_nats,"
        "gradient_norm,images_per_second,seconds_left,skipped"
    ).split(",")


def test_seconds_of_metrics_grow(tmp_path):
    runs.run(tmp_path, steps=10, validate_every=5)
    with (tmp_path / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert 0 <= seconds[0] <= seconds[1] < 60


def test_train_nats_weigh_short_batches_by_their_images(tmp_path):
    data = runs.make_data(protocol="threshold", count=43)
    model = disturbed_model(batch_norm=False)
    expected = npx.evaluate(model, data.train).nats
    runs.run(tmp_path, model=model, data=data, steps=5, validate_every=5, **FROZEN)
    assert float(runs.rows(tmp_path)[0]["train_nats"]) == pytest.approx(expected, rel=1e-6)


def test_train_nats_begin_anew_after_each_row(tmp_path):
    data = runs.make_data(protocol="threshold", count=20)
    losses, model = [], disturbed_model(batch_norm=False)
    batches = Batches(20, 10, seed=runs.CONFIG.seed)
    for _ in range(2):
        losses.append(npx.evaluate(model, data.train.draw(batches.next())).nats)
    runs.run(tmp_path, model=model, data=data, steps=2, validate_every=1, **FROZEN)
    found = [float(row["train_nats"]) for row in runs.rows(tmp_path)]
    assert found == pytest.approx(losses, rel=1e-6)


@pytest.mark.parametrize("ema", [None, 0.9], ids=["weights", "average"])
def test_the_last_row_is_the_likelihood_of_the_last_weights(tmp_path, ema):
    data = runs.make_data()
    runs.run(tmp_path, data=data, steps=10, ema=ema)
    last, row = npx.load(tmp_path / "last"), runs.rows(tmp_path)[-1]
    expected = npx.evaluate(last, data.validation.take(12)).nats
    assert float(row["validation_nats"]) == pytest.approx(expected, rel=1e-6)
    expected = npx.evaluate(last, data.test.take(5)).nats
    assert float(row["test_nats"]) == pytest.approx(expected, rel=1e-6)


def test_test_nats_stay_empty_where_none_are_asked_for(tmp_path):
    runs.run(tmp_path, steps=2, test_images=0)
    assert runs.rows(tmp_path)[-1]["test_nats"] == ""


def test_learning_rates_of_the_run_are_those_of_its_schedule(tmp_path):
    changes = {**ADAM, "learning_rate": 0.5, "schedule": "linear", "warmup": 2}
    runs.run(tmp_path, steps=4, validate_every=1, **changes)
    rates = [float(row["learning_rate"]) for row in runs.rows(tmp_path)]
    assert rates == [0.25, 0.375, 0.25, 0.125]


def test_the_gradient_norm_is_the_mean_since_the_last_row(tmp_path):
    changes = {**FROZEN, "validate_every": 1}
    runs.run(tmp_path / "each", steps=4, **changes)
    runs.run(tmp_path / "all", steps=4, **{**changes, "validate_every": 4})
    each = [float(row["gradient_norm"]) for row in runs.rows(tmp_path / "each")]
    (row,) = runs.rows(tmp_path / "all")
    assert min(each) > 0
    assert len(set(each)) == 4
    assert float(row["gradient_norm"]) == pytest.approx(sum(each) / 4, rel=1e-6)


def test_speed_and_time_left_follow_the_clock(tmp_path):
    runs.run(tmp_path, steps=10, validate_every=5)
    with (tmp_path / "metrics.csv").open() as file:
        first, last = csv.DictReader(file)
    seconds = float(first["seconds"])
    assert float(first["seconds_left"]) == pytest.approx(seconds, abs=0.1)
    assert float(last["seconds_left"]) == 0
    assert float(first["images_per_second"]) == pytest.approx(48 / seconds, rel=0.3)


# TensorBoard


class Writer:
    """What TensorBoard gets, in place of event files."""

    def __init__(self, folder, purge_step):
        self.folder, self.purged, self.scalars = folder, purge_step, []
        self.made.append(self)

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def flush(self):
        pass


@pytest.fixture
def written(monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = type("Fresh", (Writer,), {"made": []})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.SummaryWriter.made


def test_tensorboard_gets_every_figure_of_every_row(tmp_path, written):
    runs.run(tmp_path, steps=14, tensorboard=True)
    (writer,) = written
    assert writer.folder == str(tmp_path / "tensorboard")
    for row in runs.rows(tmp_path):
        found = {name: value for name, value, step in writer.scalars if step == int(row["step"])}
        assert {"seconds", "images_per_second", "seconds_left"} < found.keys()
        assert {name: float(row[name]) for name in row if name != "step"} == {
            name: value for name, value in found.items() if name in row
        }


def test_a_resumed_run_takes_back_later_figures(tmp_path, written):
    runs.run(tmp_path, steps=7, schedule="constant")
    runs.run(tmp_path, steps=14, resume=True, tensorboard=True, schedule="constant")
    assert [writer.purged for writer in written] == [8]


def test_nothing_is_written_unless_asked_for(tmp_path, written):
    runs.run(tmp_path, steps=7)
    assert written == []


def test_a_run_without_a_folder_has_no_tensorboard(written):
    runs.run(None, steps=7, tensorboard=True)
    assert written == []


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(NextPixelError, match=r"pip install 'nextpixel\[log\]'"):
        runs.run(tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_the_setting_is_true_or_false():
    with pytest.raises(TypeError, match="tensorboard must be true or false, got 'x'"):
        runs.run(None, tensorboard="x")


def test_event_files_hold_the_curve(tmp_path):
    extras.need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs.run(tmp_path, steps=14, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("validation_nats")]
    rows = [(int(row["step"]), float(row["validation_nats"])) for row in runs.rows(tmp_path)]
    assert [step for step, _ in found] == [step for step, _ in rows] == [7, 14]
    assert [value for _, value in found] == pytest.approx([value for _, value in rows], rel=1e-6)


@pytest.fixture
def by_the_clock(monkeypatch):
    """A clock on which each update takes a second."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("nextpixel.training.metrics.time", clock)

    def tick(progress):
        now[0] += 1.0

    return tick


@pytest.mark.parametrize(("changes", "steps"), [
    ({}, [9, 17, 25, 33, 41, 49, 57, 60]),
    ({"validations": 2}, [31, 60]),
    ({"validations": 0}, [60]),
    ({"validate_every": 20}, [9, 17, 20, 28, 36, 40, 48, 56, 60]),
    ({"minutes": None, "steps": 12}, [12]),
], ids=str)  # fmt: skip
def test_a_run_by_the_clock_is_validated_all_along(tmp_path, by_the_clock, changes, steps):
    usual = {"steps": 1000, "minutes": 1.0, "validate_every": 1000, "threads": 1, "test_images": 0}
    runs.run(tmp_path, on_progress=by_the_clock, **{**usual, **changes})
    assert [int(row["step"]) for row in runs.rows(tmp_path)] == steps


def test_a_longer_run_goes_on_with_its_validations_and_previews(tmp_path, by_the_clock):
    drawn = []
    usual = {"steps": 1000, "minutes": 0.5, "validate_every": 1000, "schedule": "constant"}
    usual |= {"on_progress": by_the_clock, "on_preview": lambda _, step: drawn.append(step)}
    runs.run(tmp_path, previews=2, validations=2, **usual)
    assert ([int(row["step"]) for row in runs.rows(tmp_path)], drawn) == ([16, 30], [0, 15, 30])
    runs.run(tmp_path, resume=True, previews=2, validations=2, **{**usual, "minutes": 1.0})
    assert [int(row["step"]) for row in runs.rows(tmp_path)] == [16, 30, 60]
    assert drawn == [0, 15, 30, 60]
