"""Every recipe trains, scores, samples and completes by the commands, but for its length."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main

SHORT = {
    "--train.steps": "2",
    "--train.batch-size": "4",
    "--train.validate-every": "2",
    "--train.validation-images": "4",
    "--train.test-images": "4",
    "--train.preview-count": "2",
    "--data.limit": "8",
}
FROM_FILES = {"FOLDER", "cifar10", "fashion-mnist", "photographs"}
WORDS = [word for option in SHORT.items() for word in option]


@pytest.mark.slow
@pytest.mark.parametrize("name", npx.recipes.names())
def test_a_recipe_trains_scores_samples_and_completes(name, tmp_path, monkeypatch):
    data = npx.recipes.read(name).data.name
    if data in FROM_FILES:
        pytest.skip(f"{data} is read from files that need not be here (--data.folder DIR)")
    monkeypatch.chdir(tmp_path)
    assert main(["train", name, "--out", "run", *WORDS]) == 0
    assert main(["evaluate", "run", "--limit", "4", "--json"]) == 0
    assert main(["sample", "run", "--count", "2", "--out", "a.npy"]) == 0
    assert main(["complete", "run", "--images", data, "--known", "top", "--out", "b.png"]) == 0
    model = npx.load("run")
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "colors"), [("own-gray", 1), ("own-color", 3)])
def test_pictures_of_ones_own_become_a_model(name, colors, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "own").mkdir()
    for number in range(12):
        pixels = rng.integers(0, 256, (20 + number, 40 - number, colors), np.uint8).squeeze()
        Image.fromarray(pixels).save(tmp_path / "own" / f"{number:02}.png")
    monkeypatch.chdir(tmp_path)
    words = ["train", name, "--data", "own", "--out", "run", *WORDS]
    assert main(words) == 1
    assert "--data.crop 20 takes all images" in capsys.readouterr().err
    assert main([*words, "--data.crop", "20"]) == 0
    assert "sub-pixels to train on, fewer than" in capsys.readouterr().err
    chosen = npx.recipes.read(tmp_path / "run" / "recipe.yaml")
    assert (chosen.sizes, chosen.model.options["features"]) == ((), 32)
    assert npx.load("run").shape == (colors, 20, 20)
    assert main(["sample", "run", "--count", "2", "--size", "30x24", "--out", "a.png"]) == 0
    picture = str(Path("own") / "05.png")
    assert main(["complete", "run", "--images", picture, "--known", "top", "--out", "b.png"]) == 0
    assert main(["compress", "run", "own", "own.npx"]) == 0
    assert main(["decompress", "run", "own.npx", "back"]) == 0
    for file in (tmp_path / "own").iterdir():
        with Image.open(file) as one, Image.open(tmp_path / "back" / file.name) as other:
            assert np.array_equal(np.asarray(one), np.asarray(other))
