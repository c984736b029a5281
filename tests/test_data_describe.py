"""The line on a data set says what there is, and all that was done to it."""

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.data import load_data

RNG = np.random.default_rng(0)


def save(path, shape, high=256):
    np.save(path, RNG.integers(0, high, shape, np.uint8))
    return path


def picture(path, size=(6, 6), *, alpha=None, gray=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (*size, 3), np.uint8)
    made = Image.fromarray(pixels[:, :, 0] if gray else pixels)
    if alpha is not None:
        made.putalpha(alpha)
    made.save(path)


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({"levels": 4}, "8-bit pixels quantised to 4 of 256 levels"),
        ({}, "8-bit pixels in all 256 levels"),
        ({"levels": 2}, "8-bit pixels made 2 levels, of which 1 begins at 128"),
        ({"protocol": "dynamic"}, "8-bit pixels made 2 levels by chance, anew each time"),
    ],
    ids=str,
)
def test_how_levels_are_made_is_said(tmp_path, options, levels):
    line = load_data(save(tmp_path / "a.npy", (30, 5, 6)), **options).describe()
    parts = "24 training, 3 validation and 3 test images, 1 color of 5 x 6"
    drawn = "validation and test are a tenth each, drawn by seed 0"
    assert line == f"{tmp_path}/a.npy: {parts}; {levels}; {drawn}; no labels"


def test_of_an_array_colors_offset_and_darkness_are_said(tmp_path):
    path = save(tmp_path / "a.npy", (30, 32, 24, 4), high=5)
    line = load_data(path, levels=8, offset=3, validation=7, flip="horizontal", limit=9).describe()
    assert "9 training, 7 validation and 3 test images, 4 colors of 32 x 24; 8 levels as" in line
    assert "; test is a tenth, drawn by seed 0; colors last in the file; 3 added to each" in line
    assert "half of the training images mirrored, at random; at most the first 9 of each" in line
    assert "no number is above 4" in load_data(path).describe()
    assert "no number" not in load_data(save(tmp_path / "b.npy", (30, 5, 5))).describe()


def test_of_a_folder_all_that_pictures_lose_is_counted(tmp_path):
    for number in range(6):
        picture(tmp_path / f"{number}.png", (6, 6 + number))
    picture(tmp_path / "a.png", alpha=0)
    picture(tmp_path / "b.png", alpha=254)
    picture(tmp_path / "c.png", alpha=255)
    picture(tmp_path / "d.png", gray=True)
    picture(tmp_path / "deeper" / "still" / "e.png")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.png").write_text("")
    line = load_data(tmp_path, size=4).describe()
    assert "8 training, 1 validation and 1 test images, 3 colors of 4 x 4" in line
    assert "; 5 of 10 pictures cut to the largest centered square; all resized to 4 x 4" in line
    assert "; 2 of 10 pictures transparent in part, put on white" in line
    assert "; 2 of 10 pictures gray, with equal colors" in line
    assert "; 2 other files left out, as deeper/still/e.png; no labels" in line


def test_a_folder_of_like_pictures_has_no_notes(tmp_path):
    for part, count in (("train", 20), ("test", 3)):
        for number in range(count):
            picture(tmp_path / part / f"{number}.png")
    line = load_data(tmp_path).describe()
    parts = "18 training, 2 validation and 3 test images, 3 colors of 6 x 6"
    held_out = "a tenth of the training images held out for validation"
    assert line.endswith(f": {parts}; 8-bit pixels in all 256 levels; {held_out}; no labels")
    assert held_out not in load_data(tmp_path, validation=5).describe()


def test_of_parts_of_images_it_says_how_many_images_there_are(tmp_path):
    line = load_data(save(tmp_path / "a.npy", (30, 9, 9)), crop=4, crops=10).describe()
    assert "240 training, 12 validation and 12 test images, 1 color of 4 x 4" in line
    assert "; 24 training images read in random parts of 4 x 4, 10 of each an epoch; " in line
    assert "; 3 validation and 3 test images cut into tiles" in line


def test_labels_that_are_not_used_are_said():
    data = npx.from_tensors(torch.zeros(20, 1, 2, 2).long(), torch.arange(20) % 2, level_count=2)
    assert data.describe().endswith("; labels of 2 classes")
    assert data.describe(uses_labels=False).endswith("; labels of 2 classes not used")


def test_training_begins_with_that_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.npy", (40, 6, 6))
    (tmp_path / "r.yaml").write_text(
        "data: {name: a.npy, levels: 4}\nmodel: {name: pixelcnn, features: 4, layers: 1}\n"
        "train: {steps: 2, batch_size: 8}\n"
    )
    assert main(["train", "r.yaml"]) == 0
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith("data: a.npy: 32 training, 4 validation and 4 test images, 1 color")
    assert "8-bit pixels quantised to 4 of 256 levels" in err[0]
