"""Every command on every kind of path, as the table in docs/files.md says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from tests.extras import need
from tests.test_data_idx import idx

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (12, 1, 5, 6)).astype(np.uint8)
COLOR = RNG.integers(0, 256, (12, 3, 5, 6)).astype(np.uint8)
CIFAR = RNG.integers(0, 256, (12, 3, 32, 32)).astype(np.uint8)
GRAY[0], COLOR[0], CIFAR[0] = 255, 255, 255  # so that no other number of levels is meant
TEST = 4  # the last so many images are those of the test, where there is one
MODELS = {
    "pixelcnn": {"features": 3, "layers": 1, "side": 3},
    "autoencoder": {
        "features": 3, "layers": 1, "code": 2, "encoder_features": 2, "head_features": 3
    },
}  # fmt: skip
TINY = """
model: {name: pixelcnn, features: 3, layers: 1, side: 3}
data: {name: digits}
train: {steps: 1, batch_size: 4, validate_every: 1, threads: 1, test_images: 2, previews: 0}
"""


def npy():
    np.save("in.npy", COLOR.transpose(0, 2, 3, 1))
    return "in.npy", COLOR


def one_npy():
    np.save("in.npy", GRAY[0, 0])
    return "in.npy", GRAY[:1]


def npz():
    np.savez("in.npz", levels=GRAY)
    return "in.npz", GRAY


def write_idx(path, images):
    Path(path).write_bytes(idx(len(images), 5, 6)[:16] + images.tobytes())


def one_idx():
    write_idx("in-idx3-ubyte", GRAY)
    return "in-idx3-ubyte", GRAY


def four_idx():
    Path("in").mkdir()
    write_idx("in/train-images-idx3-ubyte", GRAY[:-TEST])
    write_idx("in/t10k-images-idx3-ubyte", GRAY[-TEST:])
    return "in", GRAY


def folder_of_npy():
    Path("in").mkdir()
    np.save("in/a.npy", GRAY[:5])
    np.save("in/b.npy", GRAY[5:])
    return "in", GRAY


def saved():
    datasets = need("datasets")
    made = datasets.Dataset.from_dict({"image": [Image.fromarray(image[0]) for image in GRAY]})
    made.save_to_disk("in")
    return "in", GRAY


def cifar():
    Path("in").mkdir()
    records = [bytes([number % 10]) + image.tobytes() for number, image in enumerate(CIFAR)]
    for number in range(1, 6):
        some = records[:-TEST][number - 1 :: 5]
        Path(f"in/data_batch_{number}.bin").write_bytes(b"".join(some))
    Path("in/test_batch.bin").write_bytes(b"".join(records[-TEST:]))
    return "in", CIFAR


def draw(path, image):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(path)


def png():
    draw("in.png", COLOR[1])
    return "in.png", COLOR[1:2]


def bmp():
    draw("in.bmp", GRAY[0])
    return "in.bmp", GRAY[:1]


def pictures():
    for number, image in enumerate(GRAY):
        draw(f"in/{number:02}.tif", image)
    return "in", GRAY


def classes():
    for number, image in enumerate(COLOR):
        draw(f"in/{number // 6}/{number:02}.png", image)
    return "in", COLOR


def divided():
    for number, image in enumerate(COLOR):
        part = "train" if number < len(COLOR) - TEST else "test"
        draw(f"in/{part}/{number % 2}/{number:02}.png", image)
    test = [*range(8, 12, 2), *range(9, 12, 2)]
    return "in", COLOR[[*range(8), *test]]


KINDS: list[Callable[[], tuple[str, np.ndarray]]] = [
    npy, one_npy, npz, one_idx, four_idx, folder_of_npy, saved, cifar, png, bmp, pictures, classes,
    divided,
]  # fmt: skip
NAMES = [write.__name__ for write in KINDS]


def table():
    """Rows of the table in the docs: a cell for each command."""
    text = (ROOT / "docs/files.md").read_text().partition("<!-- kinds -->")[2]
    lines = text.partition("<!-- end of kinds -->")[0].strip().splitlines()
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]]


def taken(how, images):
    return images[-TEST:] if how == "test" else images


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nextpixel.cli.job.draw", lambda out: None)  # curves take a second
    monkeypatch.setattr("nextpixel.data.sources.cifar._VALIDATION", 1)
    Path("tiny.yaml").write_text(TINY)


@pytest.mark.slow
@pytest.mark.parametrize(("write", "row"), [*zip(KINDS, table(), strict=True)], ids=NAMES)
def test_each_command_takes_of_each_kind_what_the_table_says(write, row, capsys):
    source, images = write()
    for name, options in MODELS.items():
        npx.save(npx.build(name, shape=images.shape[1:], levels=256, seed=0, **options), name)
    train, evaluate, draw, compress = row
    check_training(train, source)
    capsys.readouterr()
    check_evaluation(evaluate, source, images, capsys)
    for words in (["complete", "pixelcnn", "--known", "top"], ["reconstruct", "autoencoder"]):
        check_drawing(words, source, taken(draw, images)[:3])
    check_coding(compress, source, images, capsys)


def check_training(how, source):
    status = main(
        ["train", "tiny.yaml", "--data", source, "--data.validation", "1", "--out", "trained"]
    )
    assert (status == 0) == (how != "no")
    if how != "no":
        count = npx.checkpoint.read_config("trained")["evaluation"]["n"]
        assert count == (TEST if how == "divided" else 1)


def check_evaluation(how, source, images, capsys):
    assert main(["evaluate", "pixelcnn", "--data", source, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["data"]) == (len(taken(how, images)), f"{source}/{how}")
    levels = torch.from_numpy(taken(how, images))
    assert found["nats"] == npx.evaluate(npx.load("pixelcnn"), levels).nats


def check_drawing(words, source, images):
    some = ["--images", source, "--images-count", "3", "--count", "1", "--out", "out.npy"]
    assert main([*words, *some]) == 0
    made = np.load("out.npy")[:, 0]
    assert made.shape == images.shape
    if words[0] == "complete":
        np.testing.assert_array_equal(made[:, :, :2], images[:, :, :2])


def check_coding(how, source, images, capsys):
    capsys.readouterr()
    status = main(["compress", "pixelcnn", source, "a.npx"])
    error = capsys.readouterr().err
    assert (status == 0) == (how != "no"), error
    if how == "no":
        assert "numpy.save" in error
        return
    back = "back.npy" if "npy" in how else f"back{Path(source).suffix}"
    assert main(["decompress", "pixelcnn", "a.npx", back]) == 0
    if back == "back.npy":
        before = np.load(source) if source.endswith(".npy") else images
        np.testing.assert_array_equal(np.load(back).reshape(before.shape), before)
    else:
        check_pictures(Path(source), Path(back), len(images))


def check_pictures(before, after, count):
    names = [path.relative_to(after) for path in after.rglob("*") if path.is_file()] or [Path()]
    assert len(names) == count
    for name in names:
        with Image.open(before / name) as one, Image.open(after / name) as other:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
