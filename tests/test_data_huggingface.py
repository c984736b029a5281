"""Sets of Hugging Face's datasets: read as needed, the same bits as a `.npy`, refused in a line."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.data import from_datasets, load_data
from nextpixel.data.huggingface.columns import ColumnReader, Form
from tests import extras
from tests.runs import outcome, run

datasets = extras.need("datasets")

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)
LABELS = [number % 3 for number in range(60)]
CLASSES = ["cat", "dog", "eel"]


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()


def make(images=IMAGES, **columns):
    features = {
        "image": datasets.Image(),
        **{name: feature for name, (feature, _) in columns.items()},
    }
    content = {name: values for name, (_, values) in columns.items()}
    pictures = [Image.fromarray(image) for image in images]
    return datasets.Dataset.from_dict(
        {"image": pictures, **content}, features=datasets.Features(features)
    )


def labelled(images=IMAGES):
    return make(images, label=(datasets.ClassLabel(names=CLASSES), LABELS[: len(images)]))


def unnamed(labels):
    return make(label=(datasets.Value("int64"), labels))


def named(names, labels=LABELS):
    """Of classes of these names, whatever numbers are stored."""
    numbers = unnamed(labels)
    features = numbers.features.copy()
    features["label"] = datasets.ClassLabel(names=names)
    return datasets.Dataset(numbers.data, info=datasets.DatasetInfo(features=features))


def as_array(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "a-labels.npy", np.array(LABELS))
    return load_data(tmp_path / "a.npy")


@pytest.mark.parametrize("prefix", ["", "hf:"])
def test_a_saved_folder_gives_the_images_of_the_same_array(tmp_path, prefix):
    labelled().save_to_disk(tmp_path / "saved")
    data, expected = load_data(f"{prefix}{tmp_path / 'saved'}"), as_array(tmp_path)
    assert data.class_names == tuple(CLASSES)
    assert not data.train.in_memory
    for part in ("train", "validation", "test"):
        one, other = getattr(data, part), getattr(expected, part)
        assert torch.equal(one.levels, other.levels)
        assert torch.equal(one.labels, other.labels)


def test_named_splits_are_kept_and_validation_is_held_out(tmp_path):
    parts = datasets.DatasetDict(train=labelled(), test=labelled(IMAGES[:5]))
    parts.save_to_disk(tmp_path / "saved")
    data = load_data(tmp_path / "saved", validation=4)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [56, 4, 5]
    assert torch.equal(data.test.levels[:, 0], torch.from_numpy(IMAGES[:5]))


def test_a_set_in_hand_is_used_as_it_is():
    chosen = labelled().select([7, 3, 59, 8])
    data = from_datasets(chosen.with_format("torch"), levels=4, name="mine")
    assert (data.name, data.level_count, data.shape) == ("mine", 4, (1, 6, 6))
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 4


def test_columns_may_have_other_names_and_labels_be_missing():
    found = labelled().rename_columns({"image": "img", "label": "fine"})
    assert from_datasets(found, image="img", label="fine").class_names == tuple(CLASSES)
    assert from_datasets(found, image="img").train.labels is None


def test_a_column_of_labels_that_is_asked_for_must_be_there():
    with pytest.raises(ValueError, match="must have a column 'fine', it has image, label"):
        from_datasets(labelled(), label="fine")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5)), ((4, 5, 3), (3, 4, 5)), ((4, 5, 1), (1, 4, 5))],
    ids=str,
)
def test_columns_of_numbers_are_pixels(shape, expected):
    numbers = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    found = datasets.Dataset.from_dict({"image": numbers.tolist()})
    assert from_datasets(found).shape == expected


def test_where_the_colors_of_numbers_are_is_stated_where_sizes_do_not_say_it():
    numbers = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 3), np.uint8)
    found = datasets.Dataset.from_dict({"image": numbers.tolist()})
    with pytest.raises(
        npx.NextPixelError, match=r"image 0: .* give `channels` as first \(3 colors of 4"
    ):
        from_datasets(found)
    for channels, shape in (("first", (3, 4, 3)), ("last", (3, 3, 4))):
        assert from_datasets(found, channels=channels).shape == shape
        streamed = from_datasets(found.to_iterable_dataset(), channels=channels, validation=1)
        assert streamed.shape == shape


def test_pictures_in_color_and_encoded_ones_are_decoded():
    colored = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    found = make(colored).cast_column("image", datasets.Image(decode=False))
    rows = ColumnReader(found, "mine", "image", Form())
    read = rows.read(np.array([4, 1]))
    assert torch.equal(read, torch.from_numpy(colored[[4, 1]]).permute(0, 3, 1, 2))


def test_a_gray_picture_among_colored_ones_has_three_equal_colors():
    images = [np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 9, np.uint8)]
    rows = ColumnReader(make(images), "mine", "image", Form())
    assert rows.read(np.array([1])).unique().tolist() == [9]


def test_size_resizes_pictures():
    assert from_datasets(labelled(), size=3).shape == (1, 3, 3)


def drawn(found, **options):
    return from_datasets(found, **options).train.draw(torch.arange(4))


def broken():
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(buffer, "png")
    whole = buffer.getvalue()
    values = [{"bytes": whole, "path": None}] + [{"bytes": whole[:40], "path": None}] * 5
    return datasets.Dataset.from_dict(
        {"image": values}, features=datasets.Features({"image": datasets.Image()})
    )


@pytest.mark.parametrize(
    ("make_set", "error", "message"),
    [
        (lambda: 5, TypeError, "datasets must be a datasets.Dataset or IterableDataset, got int"),
        (lambda: labelled().select([]), npx.NextPixelError, "at least one image, got none"),
        (lambda: labelled().select([0, 1]), ValueError, "at least 3 images, got 2"),
        (
            lambda: labelled().rename_column("image", "photo"),
            ValueError,
            "must have a column 'image', it has photo, label",
        ),
        (
            lambda: make(label=(datasets.Value("int64"), [0, -1] * 30)),
            npx.NextPixelError,
            "labels must be from 0, got -1 in row 1",
        ),
        (
            lambda: make(label=(datasets.Value("string"), ["a"] * 60)),
            npx.NextPixelError,
            "its column 'label' must hold integers",
        ),
        (
            lambda: make([IMAGES[0]] + [IMAGES[0][:, :4]] * 9),
            npx.NextPixelError,
            r"image \d is 4 x 6 pixels and image 0 is 6 x 6; give `size`",
        ),
        (
            lambda: make([IMAGES[0]] + [np.full((6, 6, 3), [9, 0, 1], np.uint8)] * 9),
            npx.NextPixelError,
            r"image \d has colors and image 0 has none",
        ),
        (
            lambda: datasets.Dataset.from_dict({"image": [[[0, 256]]] * 9}),
            npx.NextPixelError,
            "image 0: numbers must be 0 to 255, got 0 to 256",
        ),
        (
            lambda: datasets.Dataset.from_dict({"image": ["text"] * 9}),
            npx.NextPixelError,
            "image 0: must be a picture, or integers",
        ),
        (broken, npx.NextPixelError, r"datasets: image \d: not a whole picture"),
        (
            lambda: datasets.DatasetDict(train=labelled(), test=named(["dog", "cat", "eel"])),
            npx.NextPixelError,
            "datasets: its splits must name their classes alike, got cat, dog, eel in train and "
            "dog, cat, eel in test",
        ),
        (
            lambda: named(["cat", "dog"], [5] * 60),
            npx.NextPixelError,
            "datasets: labels must be below 2, the number of its names, got 5 in row 0",
        ),
        (
            lambda: datasets.DatasetDict(train=labelled(), test=unnamed([7] * 60)),
            npx.NextPixelError,
            "datasets/test: labels must be below 3, the number of its names, got 7 in row 0",
        ),
        (
            lambda: datasets.DatasetDict(train=labelled(), dev=labelled()),
            ValueError,
            "must have train and test among its splits, got train, dev",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused(make_set, error, message):
    with pytest.raises(error, match=message):
        drawn(make_set())


@pytest.mark.parametrize(
    "name", ["hf:", "hf:nowhere", "hf:no/where/at/all", "hf:/no/where", "hf:~x"]
)
def test_a_mistyped_folder_is_refused_before_the_network_is_tried(name, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("asked the Hub"))
    with pytest.raises(ValueError, match=f"got '{name}': no such folder"):
        load_data(name)


def test_a_mistyped_folder_in_a_folder_that_exists_is_no_name_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("asked the Hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()
    with pytest.raises(ValueError, match="got 'hf:sets/faces': no such folder"):
        load_data("hf:sets/faces")


def test_what_the_hub_does_not_give_is_one_error(monkeypatch):
    def refuse(name):
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(npx.NextPixelError, match=r"hf:some/body: .* the Hub did not give it: Conn"):
        load_data("hf:some/body")


def test_a_damaged_saved_folder_is_one_error(tmp_path):
    labelled().save_to_disk(tmp_path / "saved")
    (file,) = (tmp_path / "saved").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(npx.NextPixelError, match="saved: cannot be read as a saved data set"):
        load_data(tmp_path / "saved")


def test_without_the_library_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "state.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(npx.NextPixelError, match=r"pip install 'nextpixel\[datasets\]'"):
        load_data(tmp_path)


@pytest.mark.slow
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(tmp_path):
    labelled().save_to_disk(tmp_path / "saved")

    def stop(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    def go(name, **more):
        run(
            tmp_path / name,
            data=load_data(tmp_path / "saved", protocol="dynamic"),
            steps=12,
            **more,
        )

    go("whole")
    with pytest.raises(KeyboardInterrupt):
        go("parts", on_progress=stop)
    go("parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
