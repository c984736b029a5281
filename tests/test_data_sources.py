"""Names and paths: what is known is found, what is not is answered with a remedy."""

import numpy as np
import pytest
import torch

import nextpixel.data
from nextpixel import NextPixelError
from nextpixel.data import DataConfig, describe, from_datasets, load_config, load_data, names


def test_the_names_are_those_of_the_documentation():
    generated = ["shapes", "color-shapes", "color-mnist", "photons"]
    assert names() == ["mnist", "digits", *generated, "cifar10", "fashion-mnist", "photographs"]


@pytest.mark.parametrize("name", names())
def test_every_set_is_described_in_one_short_line(name):
    line = describe(name)
    assert "\n" not in line
    assert 20 < len(line) <= 100
    assert "images" in line


@pytest.mark.parametrize("name", nextpixel.data.__dir__())
def test_every_listed_name_can_be_imported(name):
    assert getattr(nextpixel.data, name) is not None


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'nextpixel\.data' has no attribute 'cifar100'"):
        nextpixel.data.cifar100  # noqa: B018


@pytest.mark.parametrize("call", [load_data, describe])
def test_an_unknown_name_is_answered_with_the_nearest(call):
    with pytest.raises(ValueError, match="got 'mnits': did you mean 'mnist'"):
        call("mnits")


@pytest.mark.parametrize("call", [load_data, describe])
@pytest.mark.parametrize("name", ["faces", ""])
def test_a_name_like_no_other_is_answered_with_all(call, name):
    with pytest.raises(ValueError, match=f"got '{name}': known: cifar10, color-mnist"):
        call(name)


@pytest.mark.parametrize("name", ["no/such/folder", "faces.npy", "~nobody-here", "/no/x.gz"])
def test_a_path_to_nothing_is_called_that(name):
    with pytest.raises(ValueError, match=f"got '{name}': no such file or folder"):
        load_data(name)


def test_a_file_of_no_known_kind_is_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(NextPixelError, match=r"notes\.txt: no kind of data that is read"):
        load_data(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnist", {"size": 14}, "size must be left out for mnist, got 14"),
        ("mnist", {"folder": "here"}, "folder must be left out for mnist, got 'here'"),
        ("cifar10", {"size": 8, "folder": "here"}, "size must be left out for cifar10, got 8"),
        ("digits", {"levels": 2}, "levels must be 17 for digits"),
        ("digits", {"levels": 1}, "levels must be 2 to 65536, got 1"),
        ("shapes", {"protocol": "dynamic"}, "protocol must be 'levels' for shapes"),
        ("color-shapes", {"levels": 256}, "levels must be 4 for color-shapes"),
        ("digits", {"validation": 1618}, "validation must .*: at most 1617, got 1618"),
    ],
    ids=str,
)
def test_an_option_that_does_not_fit_the_set_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        load_data(name, **options)


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(TypeError, match="unknown option 'level'; did you mean 'levels'"):
        load_data("digits", level=2)


@pytest.mark.parametrize("option", ["folder", "streaming"])
def test_a_set_in_hand_lies_nowhere(option):
    with pytest.raises(TypeError, match=f"{option} must be left out for a set in hand"):
        from_datasets(None, **{option: True})


def test_the_options_are_those_of_the_config():
    options = {"validation": 100, "limit": 50, "seed": 3}
    one = load_data("digits", **options)
    other = load_config(DataConfig(name="digits", **options))
    assert torch.equal(one.train.pixels, other.train.pixels)
    assert [len(part) for part in (one.train, one.validation, one.test)] == [50, 50, 50]


def test_limited_images_are_the_first():
    whole, limited = load_data("digits"), load_data("digits", limit=9)
    for part in ("train", "validation", "test"):
        one, other = getattr(whole, part), getattr(limited, part)
        assert torch.equal(one.levels[:9], other.levels)
        assert torch.equal(one.labels[:9], other.labels)
        assert other.name == f"digits/{part}"


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros((5, 2, 2), np.uint8))
    assert load_data("~/a.npy").shape == (1, 2, 2)


def test_a_raw_idx_file_is_known_by_its_first_bytes(tmp_path):
    (tmp_path / "images").write_bytes(
        bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 7, 8, 9])
    )
    assert load_data(tmp_path / "images").shape == (1, 1, 1)
