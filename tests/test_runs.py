"""`nextpixel runs` finds runs, and says of each what its files say."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from nextpixel import gallery
from nextpixel.cli.app import main
from nextpixel.errors import NextPixelError
from nextpixel.training.runs import find_runs, summarize
from tests import runs

HEAD = "step,epoch,seconds,images,learning_rate,train_nats,validation_nats,test_nats\n"


def write_run(folder, *rows):
    """A run of which only the table is left: (step, validation, test)."""
    folder.mkdir(parents=True)
    lines = [f"{step},0,{step}.5,{step},0.1,9,{best},{test}\n" for step, best, test in rows]
    (folder / "metrics.csv").write_text(HEAD + "".join(lines))
    return folder


def test_a_summary_has_the_best_step_and_its_figures(tmp_path):
    found = summarize(write_run(tmp_path / "a", (10, 9.0, 9.5), (20, 7.0, 7.5), (4000, 8.0, 6.5)))
    assert (found.step, found.seconds, found.best_step) == (4000, 4000.5, 20)
    assert (found.validation_nats, found.test_nats, found.all_test_images) == (7.0, 7.5, False)
    assert found.parameters is None


def test_the_best_step_is_that_of_the_smallest_figure(tmp_path):
    found = summarize(write_run(tmp_path / "zero", (10, 9.0, ""), (20, 0.0, ""), (30, 8.0, "")))
    assert (found.best_step, found.validation_nats) == (20, 0.0)
    found = summarize(write_run(tmp_path / "nan", (10, "nan", ""), (20, 7.0, ""), (30, "", "")))
    assert (found.best_step, found.validation_nats) == (20, 7.0)


def test_a_summary_of_a_real_run_counts_its_weights_and_takes_the_test_figure(tmp_path):
    model = runs.make_model()
    runs.run(tmp_path / "run", model=model, steps=7)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "evaluation": {"nats": 5}}))
    found = summarize(tmp_path / "run")
    assert found.parameters == sum(weight.numel() for weight in model.parameters())
    assert (found.step, found.test_nats, found.all_test_images) == (7, 5.0, True)


def test_a_run_without_rows_is_known_by_its_name_only(tmp_path):
    found = summarize(write_run(tmp_path / "a"))
    assert (found.step, found.test_nats, found.seconds) == (None, None, None)


def test_runs_are_found_at_any_depth_sorted(tmp_path):
    for name in ("b", "a/c", "a"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "metrics.csv").write_text(HEAD)
    found = [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)]
    assert found == ["a", "a/c", "b"]


def test_the_command_lists_the_best_run_first(tmp_path, capsys):
    write_run(tmp_path / "worse", (10, 9.0, ""))
    write_run(tmp_path / "deep" / "better", (10, 8.0, 8.25), (3000, 7.0, 7.25))
    write_run(tmp_path / "begun")
    assert main(["runs", str(tmp_path)]) == 0
    cells = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    shown = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    assert shown == [
        ["run", "step", "best", "validation nats", "test nats", "bits/dim", "parameters", "time"],
        [],
        ["data not known"],
        ["deep/better", "3,000", "3,000", "7.00", "~7.25", "-", "-", "0:50:00"],
        ["worse", "10", "10", "9.00", "-", "-", "-", "0:00:10"],
        ["begun", "-", "-", "-", "-", "-", "-", "-"],
    ]


def describe(folder, protocol, **options):
    """Give a run the description of a model of 2 x 2 x 2 levels."""
    model = {"name": "pixelcnn", "shape": [2, 2, 2], "levels": 4, "options": options}
    data = {"name": "mnist", "protocol": protocol}
    content = {"format": 1, "model": model, "data": data, "training": {}, "evaluation": {}}
    (folder / "config.json").write_text(json.dumps(content))


def test_runs_whose_figures_cannot_be_compared_stand_apart(tmp_path, capsys):
    nats = {"a": 9.0, "b": 1.0, "c": 8.0, "d": 0.5}
    for name, validation in nats.items():
        write_run(tmp_path / name, (10, validation, 8 * math.log(2) if name == "a" else ""))
    describe(tmp_path / "a", "threshold")
    describe(tmp_path / "b", "dynamic")
    describe(tmp_path / "c", "threshold")
    describe(tmp_path / "d", "threshold", condition=[{"classes": 3}])
    assert main(["runs", str(tmp_path)]) == 0
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:] if line]
    assert lines == [
        "mnist 2x2x2, dynamic, 4 levels",
        "b",
        "mnist 2x2x2, threshold, 4 levels",
        "c",
        "a",
        "mnist 2x2x2, threshold, 4 levels, condition: class (3)",
        "d",
    ]
    assert main(["runs", str(tmp_path / "a")]) == 0
    assert "~1.0000" in capsys.readouterr().out


def test_a_damaged_run_is_left_out_with_a_warning(tmp_path, capsys):
    write_run(tmp_path / "good", (10, 9.0, ""))
    write_run(tmp_path / "bad")
    (tmp_path / "bad" / "metrics.csv").write_text("no,table\n1,2\n")
    assert main(["runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "bad" not in out
    assert "left out" in err
    assert "bad/metrics.csv is no table of training metrics" in err


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("metrics.csv", HEAD + "x,0,0,0,0,0,0,0\n", "no table of training metrics: could not"),
        ("model.safetensors", "short", "no whole safetensors file"),
        ("config.json", "{", "cannot be read as JSON"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, text):
    folder = write_run(tmp_path / "a", (10, 9.0, ""))
    (folder / name).write_text(content)
    with pytest.raises(NextPixelError, match=text):
        summarize(folder)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["absent"], 2, "folder must be one with runs in it, got 'absent'"),
        (["."], 1, "holds no runs: no metrics.csv lies in it or below"),
        ([".", "--curves", "a.jpg"], 2, "curves must end in .png, got 'a.jpg'"),
    ],
)
def test_bad_words_are_refused(tmp_path, monkeypatch, capsys, words, status, text):
    monkeypatch.chdir(tmp_path)
    assert main(["runs", *words]) == status
    assert text in capsys.readouterr().err


def test_the_curves_of_all_runs_are_drawn(tmp_path, capsys):
    write_run(tmp_path / "a", (10, 9.0, 9.5), (20, 7.0, 7.5))
    write_run(tmp_path / "b", (10, 8.0, ""), (20, 7.5, ""))
    write_run(tmp_path / "begun")
    assert main(["runs", str(tmp_path), "--curves", str(tmp_path / "all.png")]) == 0
    with Image.open(tmp_path / "all.png") as picture:
        shown = np.asarray(picture.convert("RGB")).astype(int)
    for color in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):  # the first two of the map
        assert (abs(shown - color).max(2) < 8).sum() > 100


def test_a_comparison_needs_runs_with_likelihoods(tmp_path):
    with pytest.raises(ValueError, match="one run or more, got none"):
        gallery.compare({})
    folder = write_run(tmp_path / "a", (10, "", ""))
    with pytest.raises(NextPixelError, match="no likelihoods of held-out images"):
        gallery.compare({"a": folder / "metrics.csv"})
