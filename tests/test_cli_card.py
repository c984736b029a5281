"""`nextpixel models FOLDER` shows what its files say of a model."""

import json
import math
from pathlib import Path

import pytest

import nextpixel as npx
from nextpixel.cli.app import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with an untrained model of classes, and figures of it."""
    monkeypatch.chdir(tmp_path)
    condition = npx.ClassCondition(3)
    options = {"features": 4, "layers": 1, "side": 3, "condition": condition, "seed": 0}
    model = npx.build("pixelcnn", shape=(2, 6, 5), levels=9, **options)
    figures = {"nats": 12.5, "standard_error": 0.25, "bits_per_dim": 0.5, "n": 1200}
    npx.save(
        model,
        "runs/x",
        data={"name": "stars", "protocol": "levels", "limit": 70, "size": None},
        training={"steps": 50, "seed": 4, "batch_size": 64, "step": 40, "validation_nats": 13.25},
        evaluation={**figures, "protocol": "levels", "data": "stars/test", "given": "labels"},
    )
    return sum(weight.numel() for weight in model.parameters())


def test_a_folder_has_a_card(here, capsys):
    assert main(["models", "runs/x"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line]
    card = {line[0]: line[1] for line in lines}
    assert card["#"] == "runs/x"
    assert card["model"] == "pixelcnn, condition: class (3)"
    assert card["parameters"] == f"{here:,}"
    assert card["images"] == "2x6x5, 9 levels"
    assert "features=4 layers=1 side=3" in card["options"]
    assert (card["data"], card["protocol"]) == ("stars limit=70", "levels")
    training = "the weights of step 40; 13.25 nats per validation image; steps=50 seed=4"
    assert card["training"] == training
    assert card["test"].startswith(
        "set    12.50 ± 0.25 nats per image, 0.5000 bits/dim; 1,200 images"
    )
    assert card["test"].endswith("of stars/test, protocol levels, given labels")


def test_a_folder_is_described_as_one_object(here, capsys):
    assert main(["models", "runs/x", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["architecture"], found["levels"], found["shape"]) == ("pixelcnn", 9, [2, 6, 5])
    assert found["parameters"] == here
    assert found["options"]["condition"][0]["classes"] == 3
    assert (found["data"]["name"], found["training"]["step"]) == ("stars", 40)
    assert math.isclose(found["evaluation"]["bits_per_dim"], 0.5)


def test_a_model_without_figures_says_how_to_measure_it(here, capsys):
    npx.save(npx.load("runs/x"), "bare")
    assert main(["models", "bare"]) == 0
    out = capsys.readouterr().out
    assert "data        not known" in out
    assert "training    not known" in out
    assert "test set    not measured; nextpixel evaluate bare measures it" in out


def test_what_is_no_model_is_refused(here, capsys):
    npx.save(npx.load("runs/x"), "begun/last")
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text('{"format": 1}')
    texts = {
        "runs": "runs is no model folder: it has no config.json",
        "begun": "begun has no best weights yet; those so far: nextpixel models begun/last",
        "foreign": "foreign/config.json describes no model: it lacks name",
        "runs/absent": "there is no model 'runs/absent'",
    }
    for name, text in texts.items():
        assert main(["models", name]) in (1, 2)
        assert text in capsys.readouterr().err


def test_the_options_of_a_model_show_how_a_condition_is_stated(capsys):
    assert main(["models", "gated-pixelcnn"]) == 0
    out = capsys.readouterr().out
    assert "--model.condition SETTINGS" in out
    assert "classes=10,form=gate (how layers receive it)" in out
