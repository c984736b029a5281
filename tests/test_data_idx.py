"""IDX files: read exactly, packed or not; damaged and foreign ones refused by name."""

import gzip
import lzma
import struct
from functools import partial

import pytest
import torch

from nextpixel import NextPixelError
from nextpixel.data import load_data
from nextpixel.data.sources.idx import read_idx, read_images

PACK = {"": bytes, ".gz": partial(gzip.compress, mtime=0), ".xz": lzma.compress}


def idx(*sizes, fill=None):
    """Bytes of an IDX file that counts 0, 1, ... or repeats `fill`."""
    count = torch.Size(sizes).numel()
    body = bytes(i % 256 for i in range(count)) if fill is None else bytes([fill]) * count
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + body


def write(path, content):
    path.write_bytes(PACK[path.suffix if path.suffix in PACK else ""](content))
    return path


@pytest.mark.parametrize("packing", PACK, ids=["raw", "gz", "xz"])
@pytest.mark.parametrize("sizes", [(5,), (3, 4, 5), (2, 3, 4, 5), (1, 300, 2)], ids=str)
def test_a_file_is_read_whatever_its_packing(tmp_path, packing, sizes):
    path = write(tmp_path / f"some-idx{len(sizes)}-ubyte{packing}", idx(*sizes))
    numbers = torch.arange(torch.Size(sizes).numel()) % 256
    assert torch.equal(read_idx(path), numbers.view(sizes).to(torch.uint8))


@pytest.mark.parametrize("images", ["x-images-idx3-ubyte", "x-images.idx3-ubyte"])
@pytest.mark.parametrize("packings", [("", ""), (".gz", ".gz"), (".xz", "")], ids=str)
def test_labels_in_the_same_folder_are_found(tmp_path, images, packings):
    labels = images.replace("images", "labels").replace("idx3", "idx1")
    path = write(tmp_path / (images + packings[0]), idx(7, 2, 2))
    write(tmp_path / (labels + packings[1]), idx(7))
    got = read_images(path)
    assert (got.pixels.shape, got.labels.tolist()) == ((7, 1, 2, 2), list(range(7)))
    assert got.labels.dtype == torch.int64


@pytest.mark.parametrize("name", ["x-images-idx3-ubyte", "plain-idx3-ubyte", "plain.idx"])
def test_images_without_labels_have_none(tmp_path, name):
    assert read_images(write(tmp_path / name, idx(7, 2, 2))).labels is None


def test_a_file_is_split_by_the_seed(tmp_path):
    path = write(tmp_path / "x-images-idx3-ubyte", idx(100, 1, 1))
    write(tmp_path / "x-labels-idx1-ubyte", idx(100))
    data = load_data(path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [80, 10, 10]
    assert torch.equal(data.test.pixels.flatten().long(), data.test.labels)
    assert (data.classes, data.level_count) == (100, 256)
    assert not torch.equal(data.test.labels, load_data(path, seed=1).test.labels)


@pytest.mark.parametrize("joint", [".", "-"])
def test_a_folder_with_the_names_of_mnist_keeps_its_test_images(tmp_path, joint):
    for part, count in (("train", 30), ("t10k", 5)):
        write(tmp_path / f"{part}-images{joint}idx3-ubyte.gz", idx(count, 2, 2))
        write(tmp_path / f"{part}-labels{joint}idx1-ubyte.gz", idx(count))
    data = load_data(tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [27, 3, 5]
    assert data.test.labels.tolist() == list(range(5))
    assert data.classes == 30


def whole(packing):
    return PACK[packing](idx(3, 8, 8))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a-idx3-ubyte", b"", "not an IDX file of unsigned bytes"),
        ("a-idx3-ubyte", b"\x89PNG\r\n", "not an IDX file of unsigned bytes"),
        ("a-idx3-ubyte", b"\0\0\x0d" + idx(1, 1, 1)[3:], "not an IDX file of unsigned bytes"),
        ("a-idx3-ubyte", b"\0\0\x08", "truncated or damaged: its header ends too early"),
        ("a-idx3-ubyte", b"\0\0\x08\0", "truncated or damaged: its header ends too early"),
        ("a-idx3-ubyte", idx(3, 8, 8)[:15], "truncated or damaged: its header ends too early"),
        ("a-idx3-ubyte", idx(3, 8, 8)[:-1], "truncated or damaged: 207 bytes, .* states 208"),
        ("a-idx3-ubyte", idx(3, 8, 8) + b"x", "truncated or damaged: 209 bytes, .* states 208"),
        ("a.gz", whole(".gz")[:-9], "cannot be read"),
        ("a.gz", idx(3, 8, 8), "cannot be read"),
        ("a.gz", whole(".gz")[:12] + b"\xff" * 30, "cannot be read"),
        ("a.xz", whole(".xz")[:-9], "cannot be read"),
        ("a.xz", idx(3, 8, 8), "cannot be read"),
        ("a-idx1-ubyte", idx(9), r"images must have shape \(N, H, W\), none 0, got \(9,\)"),
        ("a-idx3-ubyte", idx(0, 2, 2), r"images must have .*, got \(0, 2, 2\)"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_damaged_and_foreign_files_are_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NextPixelError, match=f"{name}: {message}"):
        load_data(path)


@pytest.mark.parametrize("labels", [idx(6), idx(7, 1)], ids=["fewer", "two dimensions"])
def test_labels_of_other_images_are_refused(tmp_path, labels):
    path = write(tmp_path / "x-images-idx3-ubyte", idx(7, 2, 2))
    write(tmp_path / "x-labels-idx1-ubyte", labels)
    with pytest.raises(
        NextPixelError, match="x-labels-idx1-ubyte: labels must be one for each of 7"
    ):
        load_data(path)


@pytest.mark.parametrize(
    ("test_size", "labelled"), [((5, 3, 3), True), ((5, 2, 2), False)], ids=["size", "labels"]
)
def test_training_and_test_images_that_do_not_match_are_refused(tmp_path, test_size, labelled):
    write(tmp_path / "train-images-idx3-ubyte", idx(30, 2, 2))
    write(tmp_path / "train-labels-idx1-ubyte", idx(30))
    write(tmp_path / "t10k-images-idx3-ubyte", idx(*test_size))
    if labelled:
        write(tmp_path / "t10k-labels-idx1-ubyte", idx(5))
    with pytest.raises(
        NextPixelError, match="t10k-images-idx3-ubyte: not of the image size of train"
    ):
        load_data(tmp_path)
