"""TensorBoard gets the figures of metrics.csv, if it is asked for and there."""

import sys
from types import ModuleType

import pytest

from nextpixel.errors import NextPixelError
from tests import extras, runs


class Writer:
    """What a board writes, in place of event files."""

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


def test_a_board_gets_every_figure_of_every_row(tmp_path, written):
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
    runs.run(tmp_path, steps=7)
    runs.run(tmp_path, steps=14, resume=True, tensorboard=True)
    assert [writer.purged for writer in written] == [14]


def test_nothing_is_written_unless_asked_for(tmp_path, written):
    runs.run(tmp_path, steps=7)
    assert written == []


def test_a_run_without_a_folder_has_no_board(written):
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
