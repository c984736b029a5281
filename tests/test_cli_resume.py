"""A run goes on by what its folder knows of it; what cannot begin leaves nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import nextpixel as npx
from nextpixel import recipes
from nextpixel.cli.app import main
from tests import runs

RECIPE = """
data: {name: digits, limit: 60}
model: {name: pixelcnn, features: 8, layers: 1, side: 3}
train: {steps: 4, batch_size: 16, schedule: cosine, validation_images: 10, previews: 0}
"""
SET = ["--model.features", "6", "--train.seed", "5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a recipe and a run of it that has ended, of other settings than the recipe."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "small.yaml").write_text(RECIPE)
    words = [str(folder / "small.yaml"), "--out", str(folder / "run"), *SET]
    assert main(["train", *words]) == 0
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch, capsys):
    """A folder of one's own with a copy of both."""
    shutil.copytree(made, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    capsys.readouterr()
    return tmp_path / "own"


def test_a_run_keeps_its_recipe_with_what_was_laid_over_it(here):
    found = recipes.read("run/recipe.yaml")
    assert (found.data.limit, found.train.seed, found.train.steps) == (60, 5, 4)
    assert found.model.options["features"] == 6
    assert Path("run/recipe.yaml").read_text() == found.to_yaml()


@pytest.mark.parametrize("words", [["--resume", "run"], ["--resume", "--out", "run"]], ids=" ".join)
def test_a_run_goes_on_without_its_recipe(here, capsys, words):
    assert main(["train", *words]) == 0
    assert "trained run: 4 steps" in capsys.readouterr().out


def test_a_run_takes_more_steps_and_knows_them_from_then_on(here):
    more = ["--train.steps", "6", "--warm-restart"]
    assert main(["train", "--resume", "run", *more]) == 0
    assert runs.resume_step(Path("run")) == 6
    assert recipes.read("run/recipe.yaml").train.steps == 6


def test_a_recipe_may_still_be_named(here, capsys):
    words = ["train", "small.yaml", "--out", "run", "--resume"]
    assert main([*words, *SET]) == 0
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "its model.features is 6, this one's is 8" in err
    assert "`nextpixel train --resume run` keeps its settings" in err


REFUSED = [
    ("--resume run --train.seed 1", 2, "train.seed must stay 5 in a run that is resumed, got 1"),
    ("--resume run --model.features 8", 2, "model.features must stay 6 in a run that is resumed"),
    ("--resume run --data.limit 9", 2, "data.limit must stay 60"),
    ("--resume run --out other", 2, "out must be left out to resume run, got 'other'"),
    ("--resume runs/absent", 2, "out must be the folder of a run to resume, got 'runs/absent'"),
    ("--resume .", 1, "holds no run to resume: it has no resume/state.pt"),
    ("run", 2, "recipe must be a name or a file, got the folder run; --resume goes on with a run"),
    ("", 2, "recipe must be given, such as demo"),
    ("--resume run --train.steps 8", 2, "schedule 'cosine' has lowered the learning rate to 0.146"),
]


@pytest.mark.parametrize(("words", "status", "text"), REFUSED)
def test_what_would_be_another_run_is_refused(here, capsys, words, status, text):
    before = runs.outcome(here / "run")
    assert main(["train", *words.split()]) == status
    assert text in capsys.readouterr().err
    assert runs.outcome(here / "run") == before


def test_a_run_of_an_earlier_version_is_resumed_by_its_recipe(here, capsys):
    Path("run/recipe.yaml").unlink()
    assert main(["train", "--resume", "run"]) == 1
    text = "run does not know its recipe: it has no recipe.yaml, as runs of earlier versions"
    assert text in capsys.readouterr().err
    assert main(["train", "small.yaml", "--out", "run", "--resume", *SET]) == 0


BROKEN = [
    "--data.name absent",
    "--data.name no/such/folder",
    "--model.features x",
    "--model.condition classes=10,form=gate",
    "--train.batch-size 16 --train.accumulate 3",
    "--train.border-weight 0.5 --model.side 15",
    "--train.optimizer sgd",
    "--device tpu",
]


@pytest.mark.parametrize("words", BROKEN)
def test_a_start_that_fails_leaves_no_folder(here, words):
    assert main(["train", "small.yaml", "--out", "new/run", *words.split()]) in (1, 2)
    assert not Path("new").exists()


def test_a_start_that_fails_leaves_what_others_made(here):
    Path("new").mkdir()
    Path("new/mine.txt").write_text("mine")
    words = ["--out", "new", "--train.border-weight", "0.5", "--model.side", "15"]
    assert main(["train", "small.yaml", *words]) == 2
    assert [path.name for path in Path("new").iterdir()] == ["mine.txt"]


# Classes


@pytest.fixture
def classes(here):
    """Images of 3 classes, of which training has but two, and a recipe of 10."""
    levels = np.arange(64 * 30).reshape(30, 8, 8).astype(np.uint8) % 4
    np.savez("three.npz", levels=levels, labels=np.arange(30) % 3)
    np.save("bare.npy", levels)
    text = RECIPE.replace("side: 3", "side: 3, condition: [{classes: 10, form: input}]")
    Path("class.yaml").write_text(text.replace(", limit: 60", ""))
    return here


def test_a_model_has_the_classes_of_its_data(classes, capsys):
    assert main(["train", "class.yaml", "--data", "three.npz", "--out", "a"]) == 0
    assert (
        "the model has 3 classes, as three.npz has, not the 10 of class" in capsys.readouterr().err
    )
    assert npx.load("a").config.condition == (npx.ClassCondition(3, form="input"),)
    assert main(["sample", "a", "--label", "7", "--out", "a.npy"]) == 2
    assert main(["train", "--resume", "a"]) == 0


def test_another_model_takes_the_class_as_well_and_says_what_it_leaves_out(classes, capsys):
    words = ["--data", "three.npz", "--out", "a", "--model.name", "pixelsnail"]
    assert main(["train", "class.yaml", *words, "--model.features", "4"]) == 0
    assert (
        "left out of the recipe are layers, side, form of the condition" in capsys.readouterr().err
    )
    assert npx.load("a").config.condition == (npx.ClassCondition(3),)


def test_classes_in_words_must_be_those_of_the_data(classes, capsys):
    words = ["train", "small.yaml", "--data", "three.npz", "--out", "a", "--model.condition"]
    assert main([*words, "classes=10"]) == 2
    assert (
        "the data's number of classes, 3 in three.npz, got 10; classes=3" in capsys.readouterr().err
    )
    assert main([*words, "[{classes: 3, form: input}]"]) == 0
    assert npx.load("a").config.condition == (npx.ClassCondition(3, form="input"),)


def test_data_without_labels_is_refused_for_a_class(classes, capsys):
    words = ["train", "class.yaml", "--data", "bare.npy", "--out", "a"]
    assert main(words) == 2
    assert "--model.condition none trains a model without a class" in capsys.readouterr().err
    assert main([*words, "--model.condition", "none"]) == 0
    assert npx.load("a").config.condition == ()


def test_a_label_that_no_training_image_had_is_said(classes, capsys):
    data = npx.load_data("digits", limit=40)
    data.train.labels[data.train.labels == 7] = 3
    options = {"features": 4, "layers": 1, "side": 3, "condition": npx.ClassCondition(10)}
    model = npx.build("pixelcnn", shape=(1, 8, 8), levels=17, **options)
    npx.fit(model, data, npx.TrainConfig(steps=1, batch_size=10), out="a")
    for label, text in (("7", "no training image had label 7"), ("3", "")):
        assert main(["sample", "a", "--label", label, "--count", "2", "--out", "a.npy"]) == 0
        err = capsys.readouterr().err
        assert (text in err) if text else ("no training image" not in err)
