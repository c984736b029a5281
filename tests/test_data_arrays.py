"""`.npy` files: shapes, levels or pixels, labels in a file of their own; and what is refused."""

import numpy as np
import pytest
import torch

from nextpixel import NextPixelError
from nextpixel.data import load_data


def save(path, array):
    np.save(path, array)
    return path


def counting(*shape, dtype=np.uint8):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


def in_order(data):
    """All images of all parts, sorted by their first pixel."""
    pixels = torch.cat([part.pixels.load() for part in (data.train, data.validation, data.test)])
    return pixels[pixels.flatten(1)[:, 0].argsort()]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 5, 6), (1, 5, 6)),
        ((8, 1, 5, 6), (1, 5, 6)),
        ((8, 3, 5, 6), (3, 5, 6)),
        ((8, 5, 6, 3), (3, 5, 6)),
        ((8, 5, 6, 1), (1, 5, 6)),
        ((8, 2, 5, 6), (2, 5, 6)),
        ((8, 1, 3, 3), (1, 3, 3)),
        ((8, 12, 24, 24), (12, 24, 24)),
        ((8, 32, 32, 4), (4, 32, 32)),
        ((8, 32, 24, 2), (2, 32, 24)),
        ((8, 64, 48, 1), (1, 64, 48)),
    ],
    ids=str,
)
def test_the_shapes_of_images_are_understood(tmp_path, shape, expected):
    data = load_data(save(tmp_path / "a.npy", counting(*shape)))
    assert data.shape == expected
    assert [len(part) for part in (data.train, data.validation, data.test)] == [6, 1, 1]


def test_colors_that_come_last_are_put_first(tmp_path):
    last = counting(5, 4, 4, 3)
    data = load_data(save(tmp_path / "a.npy", last))
    assert torch.equal(in_order(data), torch.from_numpy(last).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    "shape", [(3, 5, 3), (4, 4, 4), (8, 64, 2), (16, 4, 4), (2, 5, 3), (10, 5, 6)], ids=str
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_shapes_that_can_be_read_in_two_ways_are_refused_until_one_is_stated(
    tmp_path, shape, order
):
    first, middle, last = shape
    array = counting(5, *shape)
    array[:, 0, 0, 0] = range(5)
    path = save(tmp_path / "a.npy", array.astype(np.uint8, order=order))
    readings = (
        rf"first \({first} colors of {middle} x {last}\) or as last \({last} colors of {first}"
    )
    with pytest.raises(NextPixelError, match=rf"a\.npy: .* give `channels` as {readings}"):
        load_data(path)
    data = load_data(path, channels="first")
    assert torch.equal(in_order(data), torch.from_numpy(array))
    data = load_data(path, channels="last")
    assert torch.equal(in_order(data), torch.from_numpy(array).permute(0, 3, 1, 2))


def test_channels_are_stated_for_a_zipped_array_and_for_a_folder_of_arrays_too(tmp_path):
    np.savez(tmp_path / "a.npz", levels=counting(5, 4, 4, 4))
    assert load_data(tmp_path / "a.npz", channels="last").shape == (4, 4, 4)
    (tmp_path / "many").mkdir()
    for name in ("a", "b"):
        save(tmp_path / "many" / f"{name}.npy", counting(5, 8, 64, 2))
    assert load_data(tmp_path / "many", channels="last").shape == (2, 8, 64)


def test_channels_where_there_are_none_are_refused(tmp_path):
    path = save(tmp_path / "a.npy", counting(8, 6, 3))
    with pytest.raises(
        NextPixelError, match=r"a\.npy: channels must be left out .* \(1, H, W, C\)"
    ):
        load_data(path, channels="last")
    with pytest.raises(ValueError, match="channels must be left out for digits, got 'last'"):
        load_data("digits", channels="last")


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int16, ">u2"], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_integers_of_any_type_and_memory_order_are_pixels(tmp_path, dtype, order):
    array = counting(5, 7, 7).astype(dtype, order=order)
    data = load_data(save(tmp_path / "a.npy", array))
    assert (data.level_count, data.protocol) == (256, "quantized")
    assert torch.equal(in_order(data)[:, 0], torch.from_numpy(counting(5, 7, 7)))


@pytest.mark.parametrize(
    ("highest", "options", "expected"),
    [
        (3, {"levels": 4}, (4, "levels")),
        (3, {"levels": 8}, (8, "levels")),
        (4, {"levels": 4}, (4, "quantized")),
        (255, {"levels": 2}, (2, "threshold")),
        (1, {"levels": 2}, (2, "levels")),
        (1, {"levels": 2, "protocol": "threshold"}, (2, "threshold")),
        (3, {"levels": 4, "protocol": "quantized"}, (4, "quantized")),
        (3, {"levels": 4, "protocol": "levels"}, (4, "levels")),
        (3, {"protocol": "levels"}, (256, "levels")),
        (3, {}, (256, "quantized")),
        (3, {"levels": 256}, (256, "quantized")),
        (255, {"protocol": "dynamic"}, (2, "dynamic")),
    ],
    ids=str,
)
def test_numbers_below_the_levels_asked_for_are_levels_unless_asked_otherwise(
    tmp_path, highest, options, expected
):
    array = np.full((5, 2, 2), highest, np.uint8)
    data = load_data(save(tmp_path / "a.npy", array), **options)
    assert (data.level_count, data.protocol) == expected


def test_truth_values_are_two_levels(tmp_path):
    data = load_data(save(tmp_path / "a.npy", np.ones((5, 2, 2), bool)))
    assert (data.level_count, data.protocol) == (2, "levels")
    assert data.test.levels.unique().tolist() == [1]


@pytest.mark.parametrize(
    ("name", "labels"), [("faces", "faces-labels"), ("train-images", "train-labels")]
)
def test_labels_in_the_same_folder_are_found(tmp_path, name, labels):
    path = save(tmp_path / f"{name}.npy", np.arange(50, dtype=np.uint8).reshape(50, 1, 1))
    save(tmp_path / f"{labels}.npy", np.arange(50) % 7)
    data = load_data(path)
    assert data.class_names == tuple("0123456")
    assert torch.equal(data.train.labels, data.train.pixels.load().flatten().long() % 7)


@pytest.mark.parametrize(
    "labels",
    [np.arange(4), np.arange(5.0), np.arange(5) - 1, np.zeros((5, 1), int)],
    ids=["fewer", "floats", "negative", "two dimensions"],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    save(tmp_path / "a-labels.npy", labels)
    with pytest.raises(
        NextPixelError, match=r"a-labels\.npy: must hold a label from 0 for each of 5"
    ):
        load_data(save(tmp_path / "a.npy", counting(5, 2, 2)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((5, 2, 2)),
            r"must hold integers, got float64; .* \(x \* 255\)\.round\(\)\.astype\('uint8'\)",
        ),
        (np.zeros((5, 2, 2), np.complex64), "must hold integers, got complex64"),
        (np.array([["a"]]), "must hold integers, got <U1"),
        (counting(5), r"must have shape .*, got \(5,\)"),
        (counting(5, 4, 4, 3, 1), r"must have shape .*, got \(5, 4, 4, 3, 1\)"),
        (np.full((5, 2, 2), 65536), r"numbers must be 0 to 65535, got 65536 in image 0 \(from 0\)"),
        (
            np.full((5, 2, 2), -1),
            r"numbers must be 0 to 65535, got -1 in image 0 \(from 0\); offset says",
        ),
        (np.zeros((0, 2, 2), int), r"must have shape .*, got \(0, 2, 2\)"),
        (np.array([{}]), "not a whole .npy file of numbers"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_arrays_that_are_no_images_are_refused_by_name(tmp_path, array, message):
    with pytest.raises(NextPixelError, match=rf"a\.npy: {message}"):
        load_data(save(tmp_path / "a.npy", array))


def test_levels_above_those_asked_for_are_refused(tmp_path):
    path = save(tmp_path / "a.npy", np.full((5, 2, 2), 4))
    with pytest.raises(NextPixelError, match=r"a\.npy: levels must be 0 to 3, got 4"):
        load_data(path, levels=4, protocol="levels")


@pytest.mark.parametrize("keep", [0, 5, 60, -1], ids=["empty", "magic", "header", "last byte"])
def test_a_truncated_file_is_refused_by_name(tmp_path, keep):
    path = save(tmp_path / "a.npy", counting(5, 2, 2))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NextPixelError, match=r"a\.npy: not a whole \.npy file of numbers"):
        load_data(path)


def test_a_foreign_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x89PNG\r\n" * 40)
    with pytest.raises(NextPixelError, match=r"a\.npy: not a whole \.npy file of numbers"):
        load_data(tmp_path / "a.npy")


def test_a_damaged_header_is_refused_by_name(tmp_path):
    path = save(tmp_path / "a.npy", counting(5, 2, 2))
    path.write_bytes(path.read_bytes().replace(b"2), }", b"2 , }"))
    with pytest.raises(NextPixelError, match=r"a\.npy: not a whole \.npy file of numbers"):
        load_data(path)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**13, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(NextPixelError, match=r"a\.npy: not a whole \.npy file of numbers"):
        load_data(tmp_path / "a.npy")


def test_two_images_are_too_few(tmp_path):
    with pytest.raises(ValueError, match="at least 3 images, got 2"):
        load_data(save(tmp_path / "a.npy", counting(2, 2, 2)))


def test_one_picture_in_color_is_not_read_as_gray_rows(tmp_path):
    np.save(tmp_path / "picture.npy", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(NextPixelError, match=r"save it as \(1, 20, 30, 3\) or as \(20, 1, 30, 3\)"):
        load_data(tmp_path / "picture.npy")
