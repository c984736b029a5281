"""CIFAR-10: read exactly in its binary form, missing and foreign files named."""

import pytest
import torch

from nextpixel import NextPixelError
from nextpixel.cli.app import main
from nextpixel.data import load_data
from nextpixel.data.sources import cifar
from nextpixel.data.sources.cifar import CLASSES, TEST_FILE, TRAIN_FILES, read_batch


def records(count, first):
    """Records whose image holds its number: red = number, green = row, blue = column."""
    rows, columns = (
        axis.flatten() for axis in torch.meshgrid(*[torch.arange(32)] * 2, indexing="ij")
    )
    content = bytearray()
    for number in range(first, first + count):
        content += bytes([number % 10]) + bytes([number]) * 1024
        content += bytes(rows.tolist()) + bytes(columns.tolist())
    return bytes(content)


@pytest.fixture
def folder(tmp_path):
    for place, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        (tmp_path / name).write_bytes(records(20, 20 * place))
    return tmp_path


def test_pixels_colors_and_labels_are_where_they_belong(folder):
    images = read_batch(folder / TRAIN_FILES[1])
    assert images.pixels.shape == (20, 3, 32, 32)
    assert images.pixels[:, 0].flatten(1).unique(dim=1).flatten().tolist() == list(range(20, 40))
    assert images.pixels[0, 1, :, 0].tolist() == list(range(32))
    assert images.pixels[0, 2, 0].tolist() == list(range(32))
    assert images.labels.tolist() == [number % 10 for number in range(20, 40)]


def test_all_five_files_make_up_training_and_validation(folder):
    data = load_data("cifar10", folder=folder, validation=30)
    numbers = [
        part.pixels[:, 0, 0, 0].tolist() for part in (data.train, data.validation, data.test)
    ]
    assert [len(part) for part in numbers] == [70, 30, 20]
    assert sorted(numbers[0] + numbers[1]) == list(range(100))
    assert numbers[2] == list(range(100, 120))
    assert (data.class_names, data.level_count, data.protocol) == (CLASSES, 256, "quantized")


def test_of_a_set_too_small_for_5000_a_tenth_is_held_out_unless_stated(folder):
    assert len(load_data("cifar10", folder=folder).validation) == 10
    with pytest.raises(ValueError, match=r"validation must .* at most 99, got 5000"):
        load_data("cifar10", folder=folder, validation=5000)


def test_5000_images_are_held_out_of_the_genuine_set(folder, monkeypatch):
    batch = read_batch(folder / TRAIN_FILES[0])
    many = batch.select(torch.zeros(1200, dtype=torch.int64))
    monkeypatch.setattr(cifar, "read_batch", lambda path: many)
    data = load_data("cifar10", folder=folder)
    assert (len(data.train), len(data.validation)) == (1000, 5000)


@pytest.mark.parametrize("inner", ["cifar-10-batches-bin", "."], ids=["inner", "itself"])
def test_the_folder_may_be_the_one_above(folder, inner, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    (above / inner).mkdir(exist_ok=True)
    for path in folder.iterdir():
        (above / inner / path.name).write_bytes(path.read_bytes())
    assert len(load_data("cifar10", folder=above, validation=1).train) == 99


def test_a_path_to_the_folder_is_enough(folder):
    assert load_data(folder, validation=1).class_names == CLASSES


def test_no_folder_is_an_error_that_says_what_to_get():
    with pytest.raises(ValueError, match=r"folder must .* cifar10 .*cifar-10-binary\.tar\.gz"):
        load_data("cifar10")


def test_missing_files_are_named(folder):
    (folder / TRAIN_FILES[2]).unlink()
    (folder / TEST_FILE).unlink()
    with pytest.raises(
        NextPixelError, match=r"lacks data_batch_3\.bin, test_batch\.bin; unpack cifar-10-binary"
    ):
        load_data("cifar10", folder=folder)


def test_the_pickled_form_is_recognized(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02}.")
    with pytest.raises(NextPixelError, match="are of the pickled form, which is not read"):
        load_data("cifar10", folder=tmp_path)


@pytest.mark.parametrize("content", [b"", records(1, 0)[:-1], records(1, 0) + b"x"], ids=len)
def test_a_file_of_a_wrong_length_is_refused(folder, content):
    (folder / TRAIN_FILES[0]).write_bytes(content)
    with pytest.raises(NextPixelError, match=r"data_batch_1\.bin: truncated or foreign"):
        load_data("cifar10", folder=folder)


def test_a_label_above_9_is_refused(folder):
    (folder / TEST_FILE).write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(NextPixelError, match=r"test_batch\.bin: foreign: it has a label 10"):
        load_data("cifar10", folder=folder, validation=1)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(NextPixelError, match=r"gone\.bin: cannot be read"):
        read_batch(tmp_path / "gone.bin")


@pytest.mark.slow
def test_the_recipe_for_cifar_trains_on_files_of_its_form(folder, tmp_path, capsys):
    quick = ["--train.steps", "2", "--train.batch-size", "4", "--train.validate-every", "2",
             "--data.validation", "5", "--train.test-images", "2", "--model.blocks", "1",
             "--train.previews", "0", "--train.threads", "1"]  # fmt: skip
    places = ["--data.folder", str(folder), "--out", str(tmp_path / "run")]
    assert main(["train", "cifar-pixelcnn", *places, *quick]) == 0
    assert "images of cifar10/test" in capsys.readouterr().out
