"""Streams: every image once an epoch, none that is held out, the same bits after a stop."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.data import Stream, from_datasets, load_data
from nextpixel.data.batches import level_batches
from nextpixel.data.splits import rng_of
from nextpixel.runtime.distributed import Processes
from tests import extras, runs, worlds

datasets = extras.need("datasets")

IMAGES = np.random.default_rng(0).integers(0, 256, (47, 6, 6), np.uint8)
LABELS = [number % 3 for number in range(47)]
CLASSES = ["cat", "dog", "eel"]
HELD = 5
"""For validation, and as many for the test: 37 images stay."""


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()


def table(images=IMAGES):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    content = {"image": list(map(Image.fromarray, images)), "label": LABELS[: len(images)]}
    return datasets.Dataset.from_dict(content, features=datasets.Features(features))


def of_shards(shards):
    """Pictures that lie in files."""
    return table().to_iterable_dataset(num_shards=shards)


def renamed(names):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    return of_shards(1).cast(datasets.Features(features))


def rows_of(first, last):
    for number in range(first, last):
        yield {"image": IMAGES[number], "label": LABELS[number]}


def ranges(shards):
    for first, last in shards:
        yield from rows_of(first, last)


def generated():
    """Arrays of which nothing is known before they come, in shards of unequal length."""
    shards = [(0, 11), (11, 12), (12, 40), (40, 47)]
    return datasets.IterableDataset.from_generator(ranges, gen_kwargs={"shards": shards})


def shuffled():
    """Whose state the library does not restore, for what is in its buffer."""
    return of_shards(3).shuffle(seed=0, buffer_size=8)


STREAMS = {
    "one shard": lambda: of_shards(1),
    "four shards": lambda: of_shards(4),
    "generated": generated,
    "shuffled": shuffled,
}
each_stream = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())


def data_of(found, **options):
    return from_datasets(found, **{"validation": HELD, "buffer": 9, "name": "tiny", **options})


class Apart(Processes):
    """A process that asks no other."""

    def each(self, call):
        return call()

    def all_gather(self, value):
        return [value] * self.world_size


def load(found, *, rank=0, world=1, batch_size=4, **options):
    stream = data_of(found, **options).train
    return level_batches(stream, batch_size, seed=1, processes=Apart(rank, world))


def batches(images, count):
    return [images.next(rng_of(step)) for step in range(count)]


def numbers(levels):
    """Which of IMAGES these are."""
    return [next(n for n, image in enumerate(IMAGES) if (image == one[0]).all()) for one in levels]


def flat(found):
    return [number for levels, _ in found for number in numbers(levels.numpy())]


@each_stream
def test_an_epoch_gives_every_image_once_but_those_held_out(make):
    data = data_of(make())
    held = numbers(data.validation.levels.numpy()) + numbers(data.test.levels.numpy())
    images = level_batches(data.train, 37, seed=0, processes=Processes())
    for epoch in range(3):
        levels, labels = images.next(rng_of(0))
        trained = numbers(levels.numpy())
        assert images.epoch == epoch
        assert sorted(held + trained) == list(range(47))
        assert labels.tolist() == [LABELS[number] for number in trained]


def test_the_first_images_are_held_out_in_their_order():
    data = data_of(of_shards(4))
    assert isinstance(data.train, Stream)
    assert numbers(data.validation.levels.numpy()) == list(range(5))
    assert numbers(data.test.levels.numpy()) == list(range(5, 10))
    assert data.class_names == tuple(CLASSES)


def test_each_epoch_has_an_order_of_its_own():
    images = load(of_shards(4), batch_size=37)
    orders = {tuple(flat(batches(images, 1))) for _ in range(3)}
    assert len(orders) == 3


def test_without_a_buffer_rows_come_as_they_lie():
    assert flat(batches(load(of_shards(1), buffer=1), 9)) == list(range(10, 46))


def test_an_epoch_that_ends_within_a_batch_goes_over_into_the_next():
    images = load(of_shards(3), batch_size=10)
    found = batches(images, 8)
    assert {len(levels) for levels, _ in found} == {10}
    assert sorted(flat(found)[:37]) == sorted(flat(found)[37:74]) == list(range(10, 47))


@each_stream
def test_batches_go_on_where_they_stood(make):
    before = load(make(), batch_size=5)
    for _ in range(10):  # a buffer holds 9, and an epoch 37
        after = load(make(), batch_size=5)
        after.restore(before.state())
        assert flat(batches(after, 1)) == flat(batches(before, 1))


def test_a_state_is_of_plain_values(tmp_path):
    images = load(of_shards(4))
    batches(images, 5)
    torch.save(images.state(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == images.state()


def test_a_stream_that_has_changed_is_refused_on_resume():
    images = load(of_shards(1))
    batches(images, 5)
    other = data_of(
        datasets.Dataset.from_list(list(table())).select(range(46, -1, -1)).to_iterable_dataset()
    ).train
    with pytest.raises(npx.NextPixelError, match="does not give the images again"):
        level_batches(other, 4, seed=1, processes=Processes()).restore(images.state())


@pytest.mark.parametrize("world", [2, 4])
def test_processes_that_divide_the_shards_read_shards_of_their_own(world):
    numbers_read = []
    for rank in range(world):
        images = load(of_shards(4), rank=rank, world=world, batch_size=world)
        assert images.by_shards
        while (found := images.next(rng_of(0))[0]) is not None and images.epoch == 0:
            numbers_read += numbers(found[rank::world].numpy())
    assert sorted(numbers_read) == list(range(10, 47))  # together all of an epoch, each once


def test_other_processes_share_the_batches_of_one_process():
    world, expected = 3, batches(load(of_shards(4), batch_size=6, protocol="dynamic"), 15)
    for rank in range(world):
        images = load(of_shards(4), rank=rank, world=world, batch_size=6, protocol="dynamic")
        for (levels, labels), (whole, all_labels) in zip(
            batches(images, 15), expected, strict=True
        ):
            assert torch.equal(levels[rank::world], whole[rank::world])
            assert torch.equal(labels[rank::world], all_labels[rank::world])
            assert not levels[(rank + 1) % world :: world].any()


def test_another_number_of_processes_begins_the_next_epoch():
    images = load(of_shards(4), world=2, batch_size=8)
    batches(images, 2)
    alone = load(of_shards(4), batch_size=8)
    alone.restore(images.state())
    assert alone.epoch == 1
    assert sorted(flat(batches(alone, 5))[:37]) == list(range(10, 47))


def test_streams_of_their_own_for_validation_and_test():
    found = {"train": of_shards(2), "validation": of_shards(1).take(3), "test": of_shards(1)}
    data = data_of(datasets.IterableDatasetDict(found))
    assert [len(data.validation), len(data.test)] == [3, 5]
    trained = flat(batches(level_batches(data.train, 42, seed=0, processes=Processes()), 1))
    assert sorted(trained) == list(range(5, 47))  # those of the others are left out


def test_levels_are_made_as_of_sets_with_random_access():
    data = data_of(table().to_iterable_dataset(), levels=4, size=3)
    same = from_datasets(table(), levels=4, size=3)
    assert (data.shape, data.level_count, data.protocol) == ((1, 3, 3), 4, "quantized")
    levels, _ = level_batches(data.train, 37, seed=0, processes=Processes()).next(rng_of(0))
    every = [*levels, *data.validation.levels, *data.test.levels]
    others = [image for part in (same.train, same.validation, same.test) for image in part.levels]
    assert sorted(map(_digest, every)) == sorted(map(_digest, others))


def _digest(image):
    return hashlib.sha256(image.to(torch.uint8).numpy().tobytes()).hexdigest()


def test_a_folder_of_shards_is_streamed(tmp_path):
    for number in range(2):
        part = table().shard(num_shards=2, index=number, contiguous=True)
        part.to_parquet(tmp_path / f"train-{number}.parquet")
    options = {"streaming": True, "validation": HELD, "buffer": 9}
    data = load_data(f"hf:{tmp_path}", **options)
    assert data.train.shards == 2
    assert sorted(
        flat(batches(level_batches(data.train, 37, seed=0, processes=Processes()), 1))
    ) == [*range(10, 47)]


def test_a_saved_folder_is_streamed(tmp_path):
    table().save_to_disk(tmp_path / "saved", num_shards=3)
    data = load_data(tmp_path / "saved", streaming=True, validation=HELD)
    assert (data.train.shards, data.train.buffer, len(data.test)) == (3, 1000, 5)


def failing(after):
    yield from rows_of(0, after)
    raise RuntimeError("the cable is out\nand more lines")


def of_rows(*rows):
    return datasets.IterableDataset.from_generator(lambda: iter(rows))


def images_of(count):
    return [{"image": image} for image in IMAGES[:count]]


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: of_rows(), {}, npx.NextPixelError, "must hold at least one image, got none"),
        (
            lambda: of_rows({"photo": IMAGES[0]}),
            {},
            ValueError,
            "tiny/train must have a column 'image', it has photo",
        ),
        (lambda: of_shards(1), {"validation": None}, npx.NextPixelError, "give a smaller valida"),
        (lambda: of_shards(1), {"limit": 3}, ValueError, "limit must be left out for a stream"),
        (lambda: table(), {}, ValueError, "buffer must be left out for a set with random access"),
        (
            lambda: of_rows(*images_of(12), {"image": IMAGES[0][:, :4]}),
            {},
            npx.NextPixelError,
            r"image \d is 4 x 6 pixels and image 0 is 6 x 6; give `size`",
        ),
        (lambda: of_rows(*images_of(10)), {}, npx.NextPixelError, "got none but the 10 held"),
        (
            lambda: of_rows(*images_of(12), {"image": None}),
            {},
            npx.NextPixelError,
            "row .* has nothing in column 'image'",
        ),
        (
            lambda: of_rows(*({"image": i, "label": n} for n, i in enumerate(IMAGES))),
            {},
            npx.NextPixelError,
            r"labels must be below 10, .* got \d+ in row",
        ),
        (
            lambda: datasets.IterableDataset.from_generator(failing, gen_kwargs={"after": 20}),
            {},
            npx.NextPixelError,
            "tiny/train: shard 0: row 20 cannot be read: RuntimeError: the cable is out$",
        ),
        (
            lambda: datasets.IterableDatasetDict(
                train=of_shards(1), test=renamed(["dog", "cat", "eel"])
            ),
            {},
            npx.NextPixelError,
            "tiny: its splits must name their classes alike, got cat, dog, eel in train and dog, ",
        ),
        (lambda: of_shards(1), {"label": "fine"}, ValueError, "must have a column 'fine', it has"),
        (
            lambda: datasets.IterableDatasetDict(test=of_shards(1), dev=of_shards(1)),
            {},
            ValueError,
            "tiny must have train among its splits, got test, dev",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused(make, options, error, message):
    with pytest.raises(error, match=message):
        batches(load(make(), **options), 10)


@pytest.mark.parametrize("options", [{"streaming": True}, {"streaming": True, "buffer": 3}])
def test_only_sets_of_the_library_are_streamed(options):
    with pytest.raises(ValueError, match="streaming must be left out for mnist, got True"):
        load_data("mnist", **options)
    with pytest.raises(ValueError, match="buffer must be left out without streaming, got 3"):
        load_data("mnist", buffer=3)


def test_a_piece_that_one_process_cannot_read_fails_in_all(monkeypatch):
    """Reading happens within `Processes.each`; outside it, the others would wait."""
    split, calls = runs.make_split("test", 6, protocol="threshold"), []

    class Counting(Apart):
        def each(self, call):
            calls.append(call)
            return call()

    class Elsewhere:
        shape = split.pixels.shape

        def __len__(self):
            return 6

        def __getitem__(self, indices):
            assert calls
            raise npx.NextPixelError("the disk is gone")

    monkeypatch.setattr(Processes, "current", lambda: Counting(0, 2))
    with pytest.raises(npx.NextPixelError, match="the disk is gone"):
        npx.evaluate(runs.make_model(), replace(split, pixels=Elsewhere()))
    with pytest.raises(npx.NextPixelError, match="the disk is gone"):
        level_batches(replace(split, pixels=Elsewhere()), 2, seed=0, processes=Counting(0, 2)).next(
            rng_of(0)
        )
    assert len(calls) == 2


def stop_at(step):
    def stop(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return stop


def train(folder, *, make=of_shards, shards=3, **how):
    data = data_of(make(shards), protocol="dynamic")
    runs.run(folder, data=data, steps=12, **how)


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(tmp_path):
    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", on_progress=stop_at(7))
    train(tmp_path / "parts", resume=True)
    assert runs.outcome(tmp_path / "parts") == runs.outcome(tmp_path / "whole")


def test_a_stream_that_fails_leaves_the_resume_point(tmp_path):
    def make(after):
        return datasets.IterableDataset.from_generator(failing, gen_kwargs={"after": after})

    with pytest.raises(npx.NextPixelError, match="row 46 cannot be read"):
        train(tmp_path / "run", make=make, shards=46, save_every=1)
    assert runs.resume_step(tmp_path / "run") == 3


def test_another_buffer_makes_it_another_run(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", on_progress=stop_at(5))
    data = data_of(of_shards(3), protocol="dynamic", buffer=10)
    with pytest.raises(ValueError, match="its training set is 'a stream of 3 shards, buffer 9"):
        runs.run(tmp_path / "run", data=data, steps=12, resume=True)


def train_member(folder, options, pipe):
    """A process of a run; see `tests.worlds`."""
    datasets.disable_progress_bars()
    begun = (folder / "resume" / "state.pt").exists()
    stop = options.pop("stop", None)
    try:
        train(folder, resume=begun, on_progress=stop and stop_at(stop), **options)
    except npx.NextPixelError:
        if stop is None:
            raise
    return dict(runs.outcome(folder)) if Processes.current().is_first else None


@pytest.mark.slow
@pytest.mark.parametrize("shards", [2, 3], ids=["shards of its own", "rows of its own"])
def test_two_processes_that_are_stopped_and_resumed_end_with_the_same_bits(tmp_path, shards):
    def go(name, **options):
        return worlds.run(tmp_path / name, 2, train_member, {"shards": shards, **options})

    whole, _ = go("whole")
    go("parts", stop=7)
    parts, _ = go("parts")
    assert parts == whole
