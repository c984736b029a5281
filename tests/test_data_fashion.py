"""Fashion-MNIST: found in a folder, checked to be genuine, refused by name where it is not."""

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from nextpixel import NextPixelError
from nextpixel.cli.app import main
from nextpixel.data import load_data
from nextpixel.data.sources import mnist

GENUINE = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it


def write_idx(path, *shape):
    head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    body = bytes(torch.arange(torch.tensor(shape).prod().item()).remainder(10).tolist())
    path.write_bytes(head + body)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small stand-in, with the checksums that it has."""
    for part, count in (("train", 30), ("t10k", 4)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", count, 2, 2)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", count)
    known = {name: hashlib.sha256((tmp_path / name).read_bytes()) for name in mnist.FASHION_FILES}
    sums = {name: found.hexdigest() for name, found in known.items()}
    monkeypatch.setattr(mnist, "FASHION_FILES", sums)
    return tmp_path


def load(folder):
    return load_data("fashion-mnist", folder=folder, validation=5)


def test_the_four_files_are_the_set(folder):
    data = load(folder)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [25, 5, 4]
    assert data.class_names[9] == "ankle boot"
    assert data.test.labels.tolist() == [0, 1, 2, 3]


def test_files_may_be_packed(folder):
    file = folder / "train-images-idx3-ubyte"
    with gzip.open(folder / (file.name + ".gz"), "wb") as packed:
        packed.write(file.read_bytes())
    file.unlink()
    assert len(load(folder).train) == 25


def test_a_missing_file_is_named_with_where_to_get_it(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(NextPixelError, match=r"lacks t10k-labels-idx1-ubyte .*dataset-fashion-mn"):
        load(folder)


def test_a_file_that_is_another_is_named(folder):
    file = folder / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\5")
    with pytest.raises(NextPixelError, match=r"t10k-labels-idx1-ubyte: not the file of fashion-m"):
        load(folder)


def test_a_folder_is_required():
    with pytest.raises(ValueError, match="folder must be where the files of fashion-mnist lie"):
        load_data("fashion-mnist")


def test_a_packed_file_that_is_damaged_is_named(folder):
    file = folder / "t10k-labels-idx1-ubyte"
    (folder / (file.name + ".gz")).write_bytes(gzip.compress(file.read_bytes())[:-5])
    file.unlink()
    with pytest.raises(NextPixelError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read"):
        load(folder)


@pytest.mark.parametrize("option", ["--data.path", "--data.folder"])
def test_evaluate_takes_its_folder(tmp_path, capsys, option):
    words = ["evaluate", "mnist256-fast", "--data", "fashion-mnist", option, str(tmp_path)]
    assert main(words) == 1
    assert "lacks train-images-idx3-ubyte" in capsys.readouterr().err


def test_train_takes_a_data_set_in_a_word(tmp_path, capsys):
    words = ["train", "mnist256-fast", "--data", "fashion-mnist", "--data.path", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "run")]) == 1
    assert "lacks train-images-idx3-ubyte" in capsys.readouterr().err
    assert main([*words, "--data.name", "mnist"]) == 2
    assert "--data and --data.name must not both be given" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not GENUINE.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_genuine_files_are_known(tmp_path):
    data = load_data("fashion-mnist", folder=GENUINE)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [55000, 5000, 10000]
    assert torch.bincount(data.test.labels).tolist() == [1000] * 10
    shutil.copytree(GENUINE, tmp_path / "copy")
    (tmp_path / "copy" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(NextPixelError, match=r"t10k-images-idx3-ubyte\.gz: not the file of"):
        load_data("fashion-mnist", folder=tmp_path / "copy")
