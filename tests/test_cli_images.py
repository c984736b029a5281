"""One reader of files for all commands: what a path holds, and which of its images are taken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main

SMALL = {"features": 3, "layers": 1, "side": 3}
IMAGES = np.random.default_rng(0).integers(0, 4, (30, 1, 5, 6)).astype(np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder with a model of 4 levels, and one that was trained on `mine.npy`."""
    monkeypatch.chdir(tmp_path)
    for name, data in (("model", None), ("of-mine", {"name": "mine.npy", "seed": 3})):
        model = npx.build("pixelcnn", shape=(1, 5, 6), levels=4, seed=0, **SMALL)
        npx.save(model, tmp_path / name, data=data)
    np.save("mine.npy", IMAGES)
    np.save("other.npy", IMAGES)


def figures(capsys, *words):
    capsys.readouterr()
    assert main(["evaluate", *words, "--json"]) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    return json.loads(out), err


def nats(levels, model="model"):
    return npx.evaluate(npx.load(model), levels).nats


def draw(folder, images):
    """A picture of each image of 4 levels."""
    Path(folder).mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray((image[0] * 85).astype(np.uint8)).save(Path(folder, f"{number:02}.png"))


def test_a_file_is_measured_whole(capsys):
    found, err = figures(capsys, "model", "--data", "other.npy")
    assert (found["n"], found["data"], err) == (30, "other.npy/all", "")
    assert found["nats"] == nats(npx.load_images("other.npy", levels=4))


@pytest.mark.parametrize("name", ["mine.npy", "./mine.npy", None])
def test_of_the_file_that_a_model_was_trained_on_its_test_part_is_measured(name, capsys):
    words = [] if name is None else ["--data", name]
    found, _ = figures(capsys, "of-mine", *words)
    held_out = npx.load_data("mine.npy", levels=4, seed=3).test
    assert (found["n"], found["images"]) == (3, {"split": "test", "of": 30})
    assert found["nats"] == nats(held_out, "of-mine")
    assert main(["evaluate", "of-mine", *words]) == 0
    assert "on which the model was trained: 3 of 30 images; --split all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("split", "count"), [("all", 30), ("train", 24), ("validation", 3), ("test", 3)]
)
def test_the_part_may_be_stated(split, count, capsys):
    for model, name in (("model", "other.npy"), ("of-mine", "mine.npy")):
        found, _ = figures(capsys, model, "--data", name, "--split", split)
        assert (found["n"], found["images"]["split"]) == (count, split)


def test_a_file_of_the_same_name_elsewhere_is_doubted(capsys):
    Path("moved").mkdir()
    Path("mine.npy").rename("moved/mine.npy")
    found, err = figures(capsys, "of-mine", "--data", "moved/mine.npy")
    assert found["n"] == 30
    assert "the model was trained on mine.npy; if moved/mine.npy holds the same images" in err
    held_out, _ = figures(capsys, "of-mine", "--data", "moved/mine.npy", "--split", "test")
    assert held_out["nats"] == nats(
        npx.load_data("moved/mine.npy", levels=4, seed=3).test, "of-mine"
    )


def test_of_a_folder_with_train_and_test_the_test_images_are_taken_and_it_is_said(capsys):
    draw("set/train", IMAGES[:20])
    draw("set/test", IMAGES[20:27])
    found, _ = figures(capsys, "model", "--data", "set")
    assert (found["n"], found["images"]) == (7, {"split": "test", "of": 27})
    assert figures(capsys, "model", "--data", "set", "--split", "all")[0]["n"] == 27
    words = ["complete", "model", "--images", "set", "--known", "top", "--out", "a.npy"]
    assert main([*words, "--count", "1", "--images-count", "2"]) == 0
    np.testing.assert_array_equal(np.load("a.npy")[:, 0, :, :2], IMAGES[20:22, :, :2])
    assert "note: the images are those of set/test" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["model", "of-mine"])
def test_what_is_completed_are_the_first_images_of_a_file(model):
    words = ["complete", model, "--images", "mine.npy", "--known", "top", "--out", "a.npy"]
    assert main([*words, "--count", "1", "--images-count", "4"]) == 0
    np.testing.assert_array_equal(np.load("a.npy")[:, 0, :, :2], IMAGES[:4, :, :2])


def test_of_a_folder_only_the_pictures_that_are_asked_for_are_read():
    draw("pictures", IMAGES[:2])
    Path("pictures/99.png").write_bytes(b"damaged")
    words = ["complete", "model", "--images", "pictures", "--known", "top", "--out", "a.npy"]
    assert main([*words, "--images-count", "2"]) == 0
    assert main([*words, "--images-count", "3"]) == 1


def test_all_images_of_a_file_come_in_its_order():
    found = npx.load_images("mine.npy", levels=4)
    np.testing.assert_array_equal(found.levels.numpy(), IMAGES)
    np.save("one.npy", IMAGES[0, 0])
    assert npx.load_images("one.npy", levels=4).levels.tolist() == IMAGES[:1].tolist()


def test_all_of_a_set_with_splits_is_each_of_them_once():
    draw("set/train", IMAGES[:20])
    draw("set/test", IMAGES[20:])
    found = npx.load_images("set", levels=4).levels
    assert sorted(found.tolist()) == sorted(IMAGES.tolist())
    assert found[20:].tolist() == IMAGES[20:].tolist()


def test_all_images_in_tiles(recwarn):
    found = npx.load_images("mine.npy", levels=4, crop=2).levels
    assert found.shape == (30 * 2 * 3, 1, 2, 2)
    assert found[1].tolist() == IMAGES[0, :, :2, 2:4].tolist()


def test_a_single_image_is_measured_without_a_standard_error(capsys):
    np.save("one.npy", IMAGES[0, 0])
    words = ["model", "--data", "one.npy", "--region", "bottom", "--given", "top"]
    words += ["--against", "of-mine"]
    found, _ = figures(capsys, *words)
    for figure in (found, found["region"], found["given"], found["against"]):
        assert figure["standard_error"] is None
    assert main(["evaluate", *words]) == 0
    out = capsys.readouterr().out
    assert "1 image of one.npy/all, hence no standard error" in out
    assert "nan" not in out
    assert "+-" not in out


def model_of_classes(names):
    """A model of three classes that matter to it."""
    three = npx.ClassCondition(3)
    model = npx.build("pixelcnn", shape=(1, 5, 6), levels=4, seed=0, condition=three, **SMALL)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    npx.save(model, "of-classes", data={"class_names": names} if names else None)


@pytest.mark.parametrize("names", [("ape", "bee", "cat"), ("0", "1", "2")])
def test_classes_of_other_folders_are_those_of_training_by_their_names(names, capsys):
    model_of_classes(None if names[0] == "0" else names)
    draw(f"set/{names[1]}", IMAGES[:10])
    draw(f"set/{names[2]}", IMAGES[10:])
    images = npx.load_images("set", levels=4)
    labels = torch.tensor([1] * 10 + [2] * 20)
    found, _ = figures(capsys, "of-classes", "--data", "set")
    assert found["nats"] == nats(replace(images, labels=labels), "of-classes")
    assert found["nats"] != nats(images, "of-classes")


def test_a_class_that_the_training_had_not_is_refused(capsys):
    model_of_classes(["ape", "bee", "cat"])
    draw("set/bee", IMAGES[:10])
    draw("set/dog", IMAGES[10:])
    assert main(["evaluate", "of-classes", "--data", "set"]) == 2
    assert "trained on, ape, bee, cat, got 'dog' of set/all" in capsys.readouterr().err


def test_names_of_classes_are_kept_with_a_run():
    draw("set/bee", IMAGES[:10])
    draw("set/dog", IMAGES[10:])
    config = npx.TrainConfig(steps=1, batch_size=2, validate_every=1)
    npx.fit(npx.load("model"), npx.load_data("set", levels=4), config, out="run")
    assert npx.checkpoint.read_config("run")["data"]["class_names"] == ["bee", "dog"]


@pytest.mark.parametrize(("seed", "kept"), [(3, True), (4, False)])
def test_a_mixture_of_models_that_held_out_other_images_has_no_test_part(seed, kept, tmp_path):
    model = npx.build("pixelcnn", shape=(1, 5, 6), levels=4, seed=1, **SMALL)
    npx.save(model, tmp_path / "second", data={"name": "mine.npy", "seed": seed})
    assert main(["mix", "of-mine", "second", "--out", "mixed"]) == 0
    assert bool(npx.checkpoint.read_config("mixed")["data"]) is kept


def test_names_of_classes_that_a_model_does_not_keep_are_taken_in_order_and_said(capsys):
    model_of_classes(None)
    draw("set/dog", IMAGES[:10])
    draw("set/wolf", IMAGES[10:])
    _, said = figures(capsys, "of-classes", "--data", "set")
    assert "keeps no names of classes: those of set/all are taken in their order, dog as 0" in said
