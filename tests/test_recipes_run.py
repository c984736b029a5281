"""Every recipe trains, scores, samples and completes by the commands, but for its length."""

import pytest
import torch

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
FROM_FILES = {"cifar10", "fashion-mnist", "photographs"}
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
