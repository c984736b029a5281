"""A stranger's images go the whole way: from his file to a model, to an archive, and back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from tests.commands import lines
from tests.strangers.walk import STRANGERS, way

pytestmark = pytest.mark.slow


def walked(name, home, capsys):
    """Go the way: what each command has printed, by its name, and where the images lie."""
    said, images, refused = {}, None, []
    for words in way(name, home):
        images = Path(words[2]) if words[0] == "compress" else images
        status = main(words)
        out, err = lines(capsys)
        refused += [(words, err)] * bool(status)
        said[words[0]] = out
    assert not refused
    return said, images


def content(path):
    """Arrays of a file, or of the pictures of a folder by their names."""
    if path.is_dir():
        return {str(file.relative_to(path)): content(file) for file in path.rglob("*.*")}
    if path.suffix in (".npy", ".npz"):
        held = np.load(path)
        return held if path.suffix == ".npy" else held["levels"]
    with Image.open(path) as picture:
        return np.asarray(picture)


def same(some, other):
    """Whether two contents are alike, to the last bit and the type."""
    if isinstance(some, dict):
        return some.keys() == other.keys() and all(same(some[key], other[key]) for key in some)
    return some.dtype == other.dtype and np.array_equal(some, other)


@pytest.mark.parametrize("name", STRANGERS)
def test_images_of_a_stranger_go_the_whole_way(name, tmp_path, capsys):
    said, images = walked(name, tmp_path, capsys)
    here, run = tmp_path / name, tmp_path / name / "runs" / name
    model = npx.load(run)
    assert any(line.startswith(name) for line in said["runs"])
    shown = "x".join(map(str, model.shape))
    assert any(f"{shown}, {model.levels} levels" in line for line in said["models"])
    assert "nats per image" in said["evaluate"][0]
    with Image.open(here / "drawn.png") as drawn:
        assert min(drawn.size) >= min(model.shape[1:])
    completed = np.load(here / "completed.npy")
    assert (len(completed), completed.shape[2]) == (2, model.colors)
    assert same(content(here / f"back{STRANGERS[name].back}"), content(images))
    check_in_python(images, STRANGERS[name], model)


def check_in_python(images, stranger, model):
    """The same by the library's functions, on the images held out."""
    words = dict(zip(stranger.train[::2], stranger.train[1::2], strict=True))
    options = {key[7:]: int(value) for key, value in words.items() if key.startswith("--data.")}
    test = npx.load_data(images, **options).test
    assert test.levels.shape[1:] == model.shape
    assert np.isfinite(npx.evaluate(model, test).nats)
    levels, labels = test.levels[:2], test.labels[:2] if stranger.classes else None
    known = torch.zeros(model.shape[1:], dtype=torch.bool)
    known[:4] = True
    made = npx.complete(model, levels, known, condition=labels)
    assert torch.equal(made[:, :, :4], levels[:, :, :4])
    assert torch.equal(npx.decompress(model, npx.compress(model, made, labels)), made)
