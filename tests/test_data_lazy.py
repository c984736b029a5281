"""Images that stay in their files: the same as in memory, split without copies, read on demand."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.data import Dataset, load_data
from nextpixel.data.joining import ConcatReader
from nextpixel.data.sources.npy import ArrayFile
from nextpixel.data.splits import LazyPixels
from tests.runs import outcome, run

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)


def save(path, array):
    np.save(path, array)
    return path


@pytest.fixture
def file(tmp_path):
    return save(tmp_path / "a.npy", IMAGES)


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, (first, last) in enumerate([(0, 7), (7, 8), (8, 60)]):
        save(folder / f"{number}.npy", IMAGES[first:last])
        save(folder / f"{number}-labels.npy", np.arange(first, last) % 4)
    return folder


def in_memory(data):
    """The same data set with all of its pixels read."""
    parts = [
        replace(part, pixels=part.pixels.load())
        for part in (data.train, data.validation, data.test)
    ]
    return Dataset(data.name, *parts, data.class_names)


def test_images_are_read_in_the_order_asked_for(file):
    pixels = LazyPixels(ArrayFile(file))
    asked = torch.tensor([59, 0, 0, 31])
    assert torch.equal(pixels[asked][:, 0], torch.from_numpy(IMAGES)[asked])


def test_a_selection_of_a_selection_is_by_place(file):
    pixels = (
        LazyPixels(ArrayFile(file)).select(torch.tensor([5, 9, 2])).select(torch.tensor([2, 0]))
    )
    assert pixels.shape == (2, 1, 6, 6)
    assert torch.equal(pixels.load()[:, 0], torch.from_numpy(IMAGES[[2, 5]]))


def test_files_joined_are_as_one(shards):
    files = [ArrayFile(shards / f"{number}.npy") for number in range(3)]
    asked = torch.randperm(60)
    assert torch.equal(
        LazyPixels(ConcatReader(files))[asked][:, 0], torch.from_numpy(IMAGES)[asked]
    )


@pytest.mark.parametrize("source", ["file", "shards"])
@pytest.mark.parametrize(
    "asked",
    [torch.tensor([-1, -60, 7]), torch.arange(60) % 7 == 3],
    ids=["negative indices", "mask"],
)
def test_images_are_indexed_as_those_of_a_tensor(request, source, asked):
    path = request.getfixturevalue(source)
    found = [path] if path.is_file() else sorted(path.glob("?.npy"))
    pixels = LazyPixels(ConcatReader([ArrayFile(one) for one in found]))
    assert torch.equal(pixels[asked][:, 0], torch.from_numpy(IMAGES)[asked])
    assert torch.equal(pixels.select(asked).load()[:, 0], torch.from_numpy(IMAGES)[asked])


@pytest.mark.parametrize("index", [60, -61])
def test_an_index_out_of_range_is_refused(file, index):
    with pytest.raises(IndexError, match=f"index must be -60 to 59, got {index}"):
        LazyPixels(ArrayFile(file))[torch.tensor([3, index])]


@pytest.mark.parametrize("protocol", ["threshold", "dynamic", "quantized"])
def test_levels_are_those_of_images_in_memory(file, protocol):
    data = load_data(file, protocol=protocol)
    there = in_memory(data)
    asked = torch.tensor([3, 1, 40])
    assert not data.train.in_memory
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(data, part).levels, getattr(there, part).levels)
    one = data.train.draw(asked, torch.Generator().manual_seed(1))
    assert torch.equal(one, there.train.draw(asked, torch.Generator().manual_seed(1)))
    assert torch.equal(data.train.take(5).levels, there.train.levels[:5])


def test_pieces_are_the_levels_of_all(file):
    test = load_data(file, protocol="dynamic").train
    assert torch.equal(torch.cat(list(test.pieces(7))), test.levels)


def test_a_folder_of_files_is_one_set_with_its_labels(file, shards):
    one, other = load_data(file), load_data(shards)
    assert torch.equal(one.train.levels, other.train.levels)
    assert other.class_names == tuple("0123")
    first = other.train.pixels.load()[0, 0].numpy()
    number = next(n for n in range(60) if (IMAGES[n] == first).all())
    assert other.train.labels[0] == number % 4


def test_a_shard_of_another_shape_or_without_labels_is_refused(shards):
    save(shards / "3.npy", IMAGES[:3, :4])
    with pytest.raises(npx.NextPixelError, match=r"3\.npy: must have images like those of 0\.npy"):
        load_data(shards)
    save(shards / "3.npy", IMAGES[:3])
    with pytest.raises(npx.NextPixelError, match=r"3\.npy: lacks 3-labels\.npy"):
        load_data(shards)


def test_a_number_out_of_range_is_named_by_its_image_wherever_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("nextpixel.data.sources.npy._BLOCK", 1000)
    array = IMAGES.astype(np.int32)
    array[43, 2, 5] = 70000
    with pytest.raises(npx.NextPixelError, match="got 70000 in image 43"):
        load_data(save(tmp_path / "a.npy", array))
    array = (IMAGES // 64).copy()
    array[51, 0, 0] = 4
    with pytest.raises(npx.NextPixelError, match=r"levels must be 0 to 3, got 4 in image 51"):
        load_data(save(tmp_path / "b.npy", array), levels=4, protocol="levels")


def test_a_truth_value_that_is_none_is_refused(tmp_path):
    path = save(tmp_path / "a.npy", IMAGES > 100)
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(npx.NextPixelError, match="numbers must be 0 to 1, got 7 in image 59"):
        load_data(path)


def test_a_file_cut_short_while_in_use_is_an_error_of_ours(file):
    data = load_data(file)
    with file.open("r+b") as opened:
        opened.truncate(500)
    with pytest.raises(npx.NextPixelError, match=r"a\.npy: image \d+ cannot be read: .* cut short"):
        data.train.draw(torch.arange(48))


def test_numbers_that_change_while_in_use_cannot_leave_their_range(tmp_path):
    path = save(tmp_path / "a.npy", IMAGES // 64)
    data = load_data(path, levels=4)
    save(path, IMAGES)
    with pytest.raises(npx.NextPixelError, match=r"a\.npy: changed while it was in use"):
        data.train.draw(torch.arange(48))


def test_a_file_that_changes_while_in_use_is_noticed(file):
    data, later = load_data(file), file.stat().st_mtime_ns + 10**9
    data.train.draw(torch.arange(48))
    save(file, IMAGES[::-1])
    os.utime(file, ns=(later, later))  # some clocks of files tick but every few milliseconds
    with pytest.raises(npx.NextPixelError, match=r"a\.npy: changed while it was in use"):
        data.train.draw(torch.arange(1))


def test_a_file_written_anew_with_the_same_numbers_is_used_on(file):
    data, later = load_data(file), file.stat().st_mtime_ns + 10**9
    before = data.train.draw(torch.arange(48))
    save(file, IMAGES)
    os.utime(file, ns=(later, later))
    assert torch.equal(data.train.draw(torch.arange(48)), before)


def test_several_threads_may_read_together(file):
    pixels, asked = LazyPixels(ArrayFile(file)), torch.arange(60)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: pixels[asked], range(200)))
    assert all(torch.equal(one[:, 0], torch.from_numpy(IMAGES)) for one in found)


def test_a_checksum_tells_images_and_their_order(tmp_path, file):
    one, other = load_data(file).train, load_data(file, seed=1).train
    changed = IMAGES.copy()
    changed[7, 0, 0] ^= 1
    last = load_data(save(tmp_path / "b.npy", changed)).train
    assert one.checksum() == load_data(file).train.checksum()
    assert len({one.checksum(), other.checksum(), last.checksum()}) == 3


def test_likelihoods_are_those_of_images_in_memory(file, monkeypatch):
    monkeypatch.setattr("nextpixel.likelihood.scoring._PIECE", 300)
    data = load_data(file, levels=4)
    model = npx.build("pixelcnn", seed=0, shape=(1, 6, 6), levels=4, features=4, layers=1, side=3)
    counts = []
    found = npx.evaluate(model, data.train, batch_size=5, on_progress=counts.append)
    assert found == npx.evaluate(model, in_memory(data).train, batch_size=5)
    assert counts == [*range(5, 48, 5), 48]


def test_images_with_labels_are_evaluated_piece_by_piece(shards, monkeypatch):
    monkeypatch.setattr("nextpixel.likelihood.scoring._PIECE", 300)
    data = load_data(shards, levels=4)
    condition = npx.ClassCondition(4)
    options = {"features": 4, "layers": 1, "side": 3, "condition": condition}
    model = npx.build("pixelcnn", seed=0, shape=(1, 6, 6), levels=4, **options)
    found = npx.evaluate(model, data.train, batch_size=5)
    assert found == npx.evaluate(model, in_memory(data).train, batch_size=5)


@pytest.mark.parametrize("source", ["file", pytest.param("shards", marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(tmp_path, request, source):
    def data():
        return load_data(request.getfixturevalue(source), protocol="dynamic")

    def stop(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    run(tmp_path / "whole", data=data(), steps=14)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", data=data(), steps=14, on_progress=stop)
    run(tmp_path / "parts", data=data(), steps=14, resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_a_run_on_other_images_is_not_resumed(tmp_path, file):
    run(tmp_path / "run", data=load_data(file, protocol="dynamic"), steps=4)
    changed = IMAGES.copy()
    changed[7] += 1
    data = load_data(save(file, changed), protocol="dynamic")
    with pytest.raises(ValueError, match="holds another run: its training set"):
        run(tmp_path / "run", data=data, steps=8, resume=True)
