"""Images in memory: divided as files are, copied, and refused by name where they do not fit."""

import numpy as np
import pytest
import torch

import nextpixel as npx

LEVELS = torch.arange(100).remainder(5).view(100, 1, 1, 1) * torch.ones(1, 2, 3, 4).long()
LABELS = torch.arange(100) % 3
PARTS = ("train", "validation", "test")


def sizes(data):
    return [len(getattr(data, part)) for part in PARTS]


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int16, torch.int64, torch.uint16], ids=lambda dtype: str(dtype)
)
@pytest.mark.parametrize("is_array", [False, True], ids=["tensor", "array"])
def test_integers_of_any_type_are_levels(dtype, is_array):
    levels = LEVELS.to(dtype)
    data = npx.from_tensors(levels.numpy() if is_array else levels, level_count=5)
    assert (data.shape, data.level_count, data.protocol) == ((2, 3, 4), 5, "levels")
    assert data.train.levels.dtype == torch.uint8
    found = torch.cat([getattr(data, part).levels for part in PARTS])
    assert found[:, 0, 0, 0].bincount().tolist() == [20] * 5


def test_they_are_divided_as_the_same_file_is(tmp_path):
    np.save(tmp_path / "a.npy", LEVELS.numpy())
    np.save(tmp_path / "a-labels.npy", LABELS.numpy())
    file = npx.load_data(tmp_path / "a.npy", levels=5, protocol="levels", seed=3)
    data = npx.from_tensors(LEVELS, LABELS, level_count=5, seed=3)
    assert data.class_names == file.class_names
    for part in PARTS:
        one, other = getattr(data, part), getattr(file, part)
        assert torch.equal(one.levels, other.levels)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [80, 10, 10]),
        ({"validation": 7}, [83, 7, 10]),
        ({"test": 30}, [60, 10, 30]),
        ({"validation": 1, "test": 98}, [1, 1, 98]),
        ({"test": LEVELS[:4]}, [90, 10, 4]),
        ({"validation": LEVELS[:4]}, [90, 4, 10]),
        ({"validation": LEVELS[:4], "test": LEVELS[:6].numpy()}, [100, 4, 6]),
    ],
    ids=["tenths", "validation", "test", "nearly all", "own test", "own validation", "both"],
)
def test_what_is_held_out_is_a_number_or_images(options, expected):
    data = npx.from_tensors(LEVELS, level_count=5, **options)
    assert sizes(data) == expected


def test_images_that_are_handed_in_keep_their_order_and_labels():
    data = npx.from_tensors(
        LEVELS,
        LABELS,
        level_count=5,
        validation=(LEVELS[50:60], LABELS[50:60]),
        test=(LEVELS[:9], LABELS[:9]),
    )
    assert torch.equal(data.train.levels, LEVELS.to(torch.uint8))
    assert torch.equal(data.validation.levels, LEVELS[50:60].to(torch.uint8))
    assert torch.equal(data.test.labels, LABELS[:9])


def test_truth_values_are_two_levels_and_level_255_means_256():
    assert npx.from_tensors(LEVELS > 0).level_count == 2
    assert npx.from_tensors(LEVELS + 251).level_count == 256


def test_the_number_of_levels_is_not_guessed():
    with pytest.raises(ValueError, match="level_count must be passed, at least 5: level 4 is the"):
        npx.from_tensors(LEVELS)


def test_classes_may_have_names_and_more_than_occur():
    data = npx.from_tensors(LEVELS, LABELS, level_count=5, class_names=["cat", "dog", "eel", "fox"])
    assert (data.class_names, data.classes) == (("cat", "dog", "eel", "fox"), 4)
    assert npx.from_tensors(LEVELS, LABELS, level_count=5).class_names == ("0", "1", "2")
    assert npx.from_tensors(LEVELS, level_count=5).classes == 0


def test_later_changes_of_the_tensor_do_not_matter():
    levels = LEVELS.to(torch.uint8).clone()
    data = npx.from_tensors(levels, level_count=5, validation=levels, test=levels)
    levels.zero_()
    assert all(int(getattr(data, part).levels.max()) == 4 for part in PARTS)


def pair(levels=LEVELS, labels=LABELS):
    return levels, labels


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((LEVELS / 4,), {}, TypeError, "levels must be integers, got float32"),
        ((LEVELS.bfloat16(),), {}, TypeError, "levels must be integers, got bfloat16"),
        ((LEVELS.numpy() + 1j,), {}, TypeError, "levels must be integers, got complex128"),
        ((LEVELS.tolist(),), {}, TypeError, "levels must be a tensor or an array, got list"),
        ((LEVELS[:, 0],), {}, ValueError, r"levels must have shape \(N, C, H, W\), none 0, got"),
        ((LEVELS[:0],), {}, ValueError, r"levels must have shape .*, got \(0, 2, 3, 4\)"),
        ((LEVELS,), {"level_count": 4}, ValueError, r"levels must be 0 to 3, got 4 in image 4 \("),
        ((LEVELS - 1,), {}, ValueError, r"levels must be 0 to 255, got -1 in image 0 \(from 0\)"),
        (
            (LEVELS + 252,),
            {"level_count": None},
            ValueError,
            "level_count must be passed, at least 257",
        ),
        (
            (LEVELS,),
            {"level_count": 65537},
            ValueError,
            "level_count must be 2 to 65536, got 65537",
        ),
        ((LEVELS,), {"level_count": 2.5}, TypeError, "level_count must be an integer, got 2.5"),
        (
            pair(labels=LABELS[:9]),
            {},
            ValueError,
            "labels must be one for each of 100 images",
        ),
        (pair(labels=LABELS - 1), {}, ValueError, "labels must be from 0, got -1"),
        (pair(labels=LABELS * 1.0), {}, TypeError, "labels must be integers, got float32"),
        (pair(), {"class_names": ["a"]}, ValueError, "class_names must name labels 0 to 2, got 1"),
        ((LEVELS,), {"class_names": ["a"]}, ValueError, "class_names must be left out without lab"),
        ((LEVELS,), {"validation": 0}, ValueError, "validation must be at least 1, got 0"),
        ((LEVELS,), {"test": True}, TypeError, "test must be an integer, got True"),
        ((LEVELS,), {"test": 100}, ValueError, "test must leave images to train on: at most 99"),
        ((LEVELS,), {"validation": 90}, ValueError, "validation must leave .*: at most 89, got 90"),
        ((LEVELS[:1],), {}, ValueError, "test must leave images to train on: at most 0, got 1"),
        ((LEVELS,), {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        (
            (LEVELS,),
            {"test": LEVELS[:, :1]},
            ValueError,
            r"levels of test must have images of shape \(2, 3, 4\), got \(1, 3, 4\)",
        ),
        (
            (LEVELS,),
            {"validation": LEVELS + 1},
            ValueError,
            "levels of validation must be 0 to 4, got 5 in image 4",
        ),
        (
            pair(),
            {"test": LEVELS},
            ValueError,
            "labels of test must be there if, and only if, those of levels are",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_by_name(arguments, options, error, message):
    inferred = "255" in message
    with pytest.raises(error, match=message):
        npx.from_tensors(*arguments, **({} if inferred else {"level_count": 5}) | options)


def test_a_model_is_trained_and_measured_on_them():
    data = npx.from_tensors(LEVELS[:, :1], LABELS, level_count=5)
    model = npx.build("pixelcnn", shape=data.shape, levels=5, features=4, layers=1, side=3)
    npx.fit(model, data, npx.TrainConfig(steps=3, batch_size=8, threads=1))
    assert npx.evaluate(model, data.test).n == 10


def test_colors_that_seem_to_come_last_are_named():
    with pytest.warns(UserWarning, match="are read as 32 colors of 32 x 3; if colors come last"):
        npx.from_tensors(torch.zeros(10, 32, 32, 3, dtype=torch.uint8), level_count=4)
