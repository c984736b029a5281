"""Folders of pictures: classes, splits, colors, sizes; and pictures that cannot be used."""

import numpy as np
import pytest
import torch
from PIL import Image

from nextpixel import NextPixelError
from nextpixel.data import load_data
from nextpixel.data.sources.folder import list_pictures
from nextpixel.data.sources.pictures import read_picture

RED, GRAY = (200, 10, 20), (90, 90, 90)


def save(path, color=90, size=(4, 6), mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = mode or ("L" if isinstance(color, int) else "RGB")
    Image.new(mode, (size[1], size[0]), color).save(path)
    return path


def fill(folder, count, color=90):
    for number in range(count):
        save(folder / f"{number:02}.png", number if color is None else color)


def all_parts(data):
    return [data.train, data.validation, data.test]


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path):
    fill(tmp_path / "dog", 10, 200)
    fill(tmp_path / "cat", 20, 100)
    data = load_data(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert [len(part) for part in all_parts(data)] == [24, 3, 3]
    for part in all_parts(data):
        assert torch.equal(part.labels, (part.pixels[:, 0, 0, 0] == 200).long())


def test_a_folder_without_sub_folders_has_no_labels(tmp_path):
    fill(tmp_path, 10)
    data = load_data(tmp_path)
    assert (data.train.labels, data.classes, data.shape) == (None, 0, (1, 4, 6))


def test_train_and_test_are_the_splits_where_they_exist(tmp_path):
    fill(tmp_path / "train" / "a", 20, 100)
    fill(tmp_path / "train" / "b", 10, 101)
    fill(tmp_path / "test" / "b", 4, 200)
    data = load_data(tmp_path)
    assert [len(part) for part in all_parts(data)] == [27, 3, 4]
    assert data.test.labels.tolist() == [1] * 4
    assert data.test.pixels.unique().tolist() == [200]
    assert data.validation.pixels.max() <= 101


def test_a_validation_folder_is_used_where_it_exists(tmp_path):
    for part, count in (("train", 5), ("validation", 3), ("test", 2)):
        fill(tmp_path / part, count)
    assert [len(part) for part in all_parts(load_data(tmp_path))] == [5, 3, 2]
    with pytest.raises(ValueError, match=r"validation must be left out where .* exists, got 2"):
        load_data(tmp_path, validation=2)


def test_pictures_are_read_in_the_order_of_their_names(tmp_path):
    fill(tmp_path / "train", 20, None)
    fill(tmp_path / "test", 20, None)
    assert load_data(tmp_path).test.pixels[:, 0, 0, 0].tolist() == list(range(20))


@pytest.mark.parametrize("color", [90, GRAY], ids=["mode L", "equal colors"])
def test_gray_pictures_have_one_color(tmp_path, color):
    fill(tmp_path, 10, color)
    data = load_data(tmp_path)
    assert data.shape == (1, 4, 6)
    assert data.train.pixels.unique().tolist() == [90]


@pytest.mark.parametrize("place", ["train", "test"])
def test_one_colored_picture_makes_all_three_colored(tmp_path, place):
    fill(tmp_path / "train", 10)
    fill(tmp_path / "test", 10)
    save(tmp_path / place / "red.png", RED)
    data = load_data(tmp_path)
    assert (data.train.shape, data.test.shape) == ((3, 4, 6), (3, 4, 6))
    pixels = torch.cat([part.pixels for part in all_parts(data)])[:, :, 0, 0]
    assert pixels.unique(dim=0).tolist() == [[90, 90, 90], list(RED)]


def test_colors_rows_and_columns_are_where_they_belong(tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    for name in ("a", "b", "c"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    expected = torch.from_numpy(pixels).permute(2, 0, 1)
    assert torch.equal(load_data(tmp_path).test.pixels[0], expected)


def test_pictures_of_mixed_sizes_are_resized_on_request(tmp_path):
    for number, size in enumerate([(4, 6), (10, 3), (5, 5)]):
        save(tmp_path / f"{number}.png", RED, size)
    data = load_data(tmp_path, size=3)
    assert data.shape == (3, 3, 3)
    assert data.test.pixels.unique().tolist() == sorted(RED)


def test_resizing_cuts_the_centered_square(tmp_path):
    pixels = np.zeros((4, 12), np.uint8)
    pixels[:, 4:8] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (read_picture(tmp_path / "wide.png", 4) == 255).all()


def test_mixed_sizes_without_a_size_are_refused_by_name(tmp_path):
    fill(tmp_path, 3)
    save(tmp_path / "zebra.png", 0, (5, 7))
    with pytest.raises(NextPixelError, match=r"zebra\.png: is 7 x 5 .* 00\.png 6 x 4; give `size`"):
        load_data(tmp_path)


def test_transparent_parts_show_white(tmp_path):
    picture = Image.new("RGBA", (2, 1), (*RED, 255))
    picture.putpixel((1, 0), (*RED, 0))
    picture.save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", None).tolist() == [[list(RED), [255, 255, 255]]]


def test_palettes_and_bits_are_read_as_what_they_show(tmp_path):
    save(tmp_path / "p.png", RED).unlink()
    Image.new("RGB", (2, 2), RED).quantize(4).save(tmp_path / "p.png")
    save(tmp_path / "b.png", 1, (2, 2), "1")
    assert read_picture(tmp_path / "p.png", None)[0, 0].tolist() == list(RED)
    assert read_picture(tmp_path / "b.png", None).tolist() == [[255, 255], [255, 255]]


def test_the_turn_of_a_camera_is_undone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg", None).shape == (6, 4)


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    fill(tmp_path, 3)
    save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    assert [path.name for path, _ in list_pictures(tmp_path)] == ["00.png", "01.png", "02.png"]


@pytest.mark.parametrize("keep", [0, 20, 60], ids=["empty", "header", "half"])
def test_a_broken_picture_is_named(tmp_path, keep):
    fill(tmp_path, 3)
    noise = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    Image.fromarray(noise).save(tmp_path / "bad.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "bad.png").read_bytes()[:keep])
    with pytest.raises(NextPixelError, match=r"bad\.png: not a whole picture"):
        load_data(tmp_path)


def test_a_picture_with_a_damaged_chunk_is_named(tmp_path):
    path = save(tmp_path / "bad.png")
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(NextPixelError, match=r"bad\.png: not a whole picture"):
        read_picture(path, None)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(NextPixelError, match=r"text\.png: not a whole picture"):
        load_data(tmp_path)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(NextPixelError, match=r"holds no pictures \(.bmp, .*\)"):
        load_data(tmp_path)


def test_pictures_next_to_classes_are_refused(tmp_path):
    fill(tmp_path / "cat", 3)
    save(tmp_path / "lost.png")
    with pytest.raises(NextPixelError, match=r"lost\.png: lies next to sub-folders of pictures"):
        load_data(tmp_path)


@pytest.mark.parametrize("classes", [("cat", "eel"), ("cat", ""), ("", "cat")], ids=str)
def test_a_class_that_was_not_trained_is_refused(tmp_path, classes):
    fill(tmp_path / "train" / classes[0], 3)
    fill(tmp_path / "test" / classes[1], 3)
    with pytest.raises(NextPixelError, match=r"00\.png: its class is not one of the training"):
        load_data(tmp_path)


def test_photographs_are_those_of_a_folder_that_the_benchmark_makes(tmp_path):
    rng = np.random.default_rng(1)
    for part, count in (("train", 4), ("test", 2)):
        (tmp_path / part).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 256, (9 + number, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / part / f"{number}.png")
    data = load_data("photographs", folder=tmp_path, crop=4, validation=1)
    assert (data.shape, data.level_count, len(data.train)) == ((3, 4, 4), 256, 3)
    assert len(data.test) == 2 * 2 * 3
    with pytest.raises(ValueError, match=r"benchmarks/photographs\.py makes one"):
        load_data("photographs", crop=4)


@pytest.mark.parametrize(
    "names",
    [("Train", "Test"), ("train", "val"), ("train", "test", "val"), ("training", "testing")],
)
def test_sub_folders_that_seem_to_be_splits_are_no_classes(tmp_path, names):
    for name in names:
        fill(tmp_path / name, 4)
    with pytest.raises(NextPixelError, match="must be named train, test and, if there is one, val"):
        load_data(tmp_path)


def test_a_class_may_be_called_test(tmp_path):
    for name in ("blank", "test"):
        fill(tmp_path / name, 4)
    assert load_data(tmp_path).class_names == ("blank", "test")
