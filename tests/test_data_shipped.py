"""MNIST and digits are in the package, whole and unchanged."""

import hashlib
import lzma
from importlib import resources

import pytest
import torch

from nextpixel.data import load_data

FILES = resources.files("nextpixel.data") / "files"
MD5 = {
    "train-images.idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels.idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images.idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels.idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture(scope="module")
def mnist():
    return load_data("mnist", levels=2)


@pytest.mark.parametrize("name", MD5)
def test_the_files_of_mnist_are_those_of_the_original_distribution(name):
    content = lzma.decompress((FILES / "mnist" / f"{name}.xz").read_bytes())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]


@pytest.mark.parametrize(
    ("name", "notice"),
    [("mnist", "CC BY-SA 3.0"), ("digits", "CC BY 4.0")],
    ids=["mnist", "digits"],
)
def test_the_licence_travels_with_the_files(name, notice):
    assert notice in (FILES / name / "LICENSE").read_text(encoding="utf-8")


def test_mnist_has_its_published_parts(mnist):
    assert [len(part) for part in (mnist.train, mnist.validation, mnist.test)] == [
        55_000,
        5_000,
        10_000,
    ]
    assert (mnist.shape, mnist.level_count, mnist.protocol) == ((1, 28, 28), 2, "threshold")
    assert mnist.class_names == tuple("0123456789")


def test_mnist_test_images_are_all_of_them_in_their_own_order(mnist):
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.test.labels.bincount().tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_mnist_images_and_labels_of_all_parts_are_those_of_the_files(mnist):
    labels = torch.cat([mnist.train.labels, mnist.validation.labels])
    assert labels.bincount().tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    ink = torch.cat([mnist.train.pixels, mnist.validation.pixels]).double().mean()
    assert float(ink) == pytest.approx(0.1306604762738429 * 255, rel=1e-12)


def test_zeros_of_mnist_have_a_hole_where_ones_have_ink(mnist):
    for part in (mnist.train, mnist.validation, mnist.test):
        middle = part.levels[:, 0, 13:15, 13:15].double().mean(dim=(1, 2))
        assert middle[part.labels == 0].mean() < 0.1
        assert middle[part.labels == 1].mean() > 0.8


def test_digits_have_17_levels_in_three_parts():
    data = load_data("digits")
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [1439, 179, 179]
    assert (data.shape, data.level_count, data.protocol) == ((1, 8, 8), 17, "levels")
    assert torch.cat([part.levels for part in parts]).unique().tolist() == list(range(17))


def test_digits_are_those_of_the_original_distribution():
    data = load_data("digits")
    parts = (data.train, data.validation, data.test)
    labels = torch.cat([part.labels for part in parts])
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert sum(int(part.levels.sum()) for part in parts) == 561_718
