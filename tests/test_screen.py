"""How levels of any number and any colors are shown, and that it is said."""

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.app import main
from nextpixel.gallery.screen import Screen


def test_up_to_256_levels_nothing_is_stretched():
    levels = torch.tensor([0, 1, 2, 3]).view(1, 1, 2, 2)
    assert Screen.of(levels, 4).show(levels)[0, :, :, 0].tolist() == [[0, 85], [170, 255]]
    assert gallery.note_of(gallery.grid(levels, 4)) == ""


def test_more_levels_are_shown_between_two_percentiles():
    levels = torch.arange(10_000).view(1, 1, 100, 100)
    screen = Screen.of(levels, 65536)
    assert (screen.low, screen.high) == (pytest.approx(99.99), pytest.approx(9899.01))
    shades = screen.show(levels)[0, :, :, 0].flatten()
    assert (shades[0], shades[50], shades[-1]) == (0, 0, 255)
    assert shades[5000] == 128
    assert screen.note(1) == ("levels 100 (percentile 1) to 9899 (99) are shown black to white")


def test_images_of_one_level_are_shown():
    levels = torch.full((1, 1, 2, 2), 700)
    assert (Screen.of(levels, 1024).show(levels) == 0).all()


def test_colors_that_are_no_red_green_and_blue_lie_side_by_side(tmp_path):
    levels = torch.tensor([0, 255, 0, 0, 255, 0]).view(1, 2, 1, 3)
    picture = gallery.grid(levels, 256, scale=1)
    assert picture.size == (2 + 6 + 2, 2 + 1 + 2)
    assert np.asarray(picture)[2, 2:8, 0].tolist() == [0, 255, 0, 0, 255, 0]
    gallery.save(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as read:
        assert read.text["Description"] == "2 colors side by side"


def test_completions_are_shown_as_the_originals_are():
    originals = torch.arange(400).view(1, 1, 20, 20)
    made = (originals * 100).clamp(max=65535).unsqueeze(1)
    picture = gallery.sheet(originals, torch.ones(1, 1, 20, 20).bool(), made, 65536)
    assert "levels 4 (percentile 1) to 395 (99)" in gallery.note_of(picture)


@pytest.fixture
def folder(tmp_path):
    model = npx.build("pixelcnn", shape=(2, 4, 5), levels=1000, features=4, layers=1,
                      colors="coupled", seed=0)  # fmt: skip
    images = model.sample(30, rng=torch.Generator().manual_seed(0))
    np.save(tmp_path / "a.npy", images.numpy().astype(np.uint16))
    npx.save(model, tmp_path / "m", data={"name": str(tmp_path / "a.npy"), "levels": 1000})
    return tmp_path


def test_the_command_says_how_levels_are_shown(folder, capsys):
    main(["sample", str(folder / "m"), "--out", str(folder / "s.png")])
    assert "black to white, 2 colors side by side" in capsys.readouterr().err


def test_the_command_measures_parts_and_writes_files(folder, capsys):
    Image.fromarray(np.eye(4, 5).astype(np.uint8) * 255).save(folder / "mask.png")
    files = ["--per-image", str(folder / "o.csv"), "--map", str(folder / "o.npy")]
    region = ["--region", str(folder / "mask.png"), "--against", str(folder / "m")]
    main(["evaluate", str(folder / "m"), *files, *region])
    out = capsys.readouterr().out
    assert "the region given its past" in out
    assert "(8 sub-pixels)" in out
    assert "by color, each given those before it" in out
    assert "difference +0.00 +- 0.00" in out
    assert np.load(folder / "o.npy").shape == (3, 2, 4, 5)
    lines = (folder / "o.csv").read_text().splitlines()
    assert lines[0] == "image,nats,bits_per_dim"
    bits = np.load(folder / "o.npy").reshape(3, -1).mean(1)
    assert [float(line.split(",")[2]) for line in lines[1:]] == pytest.approx(
        bits.tolist(), rel=1e-4
    )


@pytest.mark.parametrize(("arguments", "text"), [
    (["--region", "black.png"], "region must have a white part"),
    (["--region", "none.png"], "none.png"),
    (["--region", "large.png"], "region must be 5 x 4 pixels for this model, got 9 x 9"),
    (["--per-image", "a.txt"], "must end in"),
])  # fmt: skip
def test_what_cannot_be_measured_or_written_is_refused(
    folder, arguments, text, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save("black.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("large.png")
    assert main(["evaluate", "m", *arguments]) in (1, 2)
    assert text in capsys.readouterr().err
