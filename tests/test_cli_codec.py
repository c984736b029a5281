"""`nextpixel compress`, `decompress`, `info`: files come back to the byte, also in part."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.codec import archive, files
from nextpixel.codec.container import read_archive
from nextpixel.codec.reader import Reader
from nextpixel.images import to_pixels
from tests import codec_files, fixed
from tests.codec_files import class_folders, counted, damage, draw, five
from tests.commands import caller


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folders of models."""
    return codec_files.make_models(tmp_path_factory.mktemp("codec"))


@pytest.fixture
def run(made, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; its status, lines of output, lines of errors."""
    monkeypatch.chdir(tmp_path)
    return caller(made, capsys)


def there_and_back(run, model, source, out, *words):
    assert run("compress", model, source, "a.npx", *words)[0] == 0
    status, out_lines, err = run("decompress", model, "a.npx", out)
    assert (status, err) == (0, [])
    assert not list(Path().rglob("*.partial"))
    return out_lines


# Arrays

SHAPES = {
    "levels": [(6, 5), (3, 6, 5), (3, 1, 6, 5), (3, 6, 5, 1), (2, 9, 7)],
    "tiles": [(4, 4), (9, 10), (3, 4, 4), (2, 5, 3)],
    "color": [(2, 3, 4, 4), (2, 4, 4, 3), (2, 9, 5, 3), (1, 3, 3, 3)],
    "pair": [(2, 2, 4, 4)],
}


EACH = [(name, shape) for name in SHAPES for shape in SHAPES[name]]


@pytest.mark.parametrize(
    ("model", "shape", "dtype", "order"),
    [
        *[(*each, "uint8", "C") for each in EACH],
        *[(*each, "int64", "F") for each in EACH[::3]],
        *[("levels", (3, 6, 5), dtype, "C") for dtype in ("bool", ">i2", "uint16", "int8")],
    ],
    ids=str,
)
def test_an_array_comes_back_to_the_byte(run, model, shape, dtype, order):
    levels = 2 if dtype == "bool" or model == "levels" else 256
    np.save("a.npy", np.asarray(counted(shape, levels).astype(dtype), order=order))
    there_and_back(run, model, "a.npy", "b.npy")
    assert Path("b.npy").read_bytes() == Path("a.npy").read_bytes()


def test_a_model_says_where_the_colors_of_an_array_are(run):
    last = counted((30, 4, 4, 2), 256)  # which says it by itself to nobody
    found = []
    for images in (last, np.moveaxis(last, 3, 1)):
        np.save("a.npy", images)
        found.append(run("evaluate", "pair", "--data", "a.npy", "--json"))
    assert found[0] == found[1]
    assert found[0][0] == 0


@pytest.mark.parametrize("levels", [2, 7])
def test_pixels_that_are_the_models_levels_come_back(run, levels):
    """An array of 0 and 255 for a model of two levels."""
    model = {2: "levels", 7: "labels"}[levels]
    shape = {2: (3, 6, 5), 7: (3, 5, 4, 3)}[levels]
    pixels = to_pixels(torch.from_numpy(counted(shape, levels)), levels).numpy()
    np.save("a.npy", pixels)
    np.save("a-labels.npy", np.array([2, 0, 1]))
    there_and_back(run, model, "a.npy", "b.npy")
    assert Path("b.npy").read_bytes() == Path("a.npy").read_bytes()


def test_labels_next_to_an_array_come_back(run):
    for name in ("a", "x-images"):
        np.save(f"{name}.npy", counted((5, 3, 5, 4), 7).astype("u1"))
    for name in ("a-labels", "x-labels"):
        np.save(f"{name}.npy", np.array([2, 0, 1, 1, 0]))
    there_and_back(run, "labels", "a.npy", "b.npy")
    assert Path("b-labels.npy").read_bytes() == Path("a-labels.npy").read_bytes()
    there_and_back(run, "labels", "x-images.npy", "y-images.npy")
    assert np.load("y-labels.npy").tolist() == [2, 0, 1, 1, 0]
    there_and_back(run, "labels", "y-images.npy", "z.npy")  # what came back can be read again


def test_labels_are_left_where_they_are_by_a_model_without_a_condition(run):
    np.save("a.npy", counted((2, 6, 5), 2))
    np.save("a-labels.npy", np.array([2, 0]))
    there_and_back(run, "levels", "a.npy", "b.npy")
    assert not Path("b-labels.npy").exists()


def test_the_library_reads_what_the_command_wrote_and_the_other_way_round(run, made):
    model, images = npx.load(made / "levels"), fixed.images("levels")
    np.save("a.npy", images.numpy())
    there_and_back(run, "levels", "a.npy", "b.npy")
    assert torch.equal(npx.decompress(model, Path("a.npx").read_bytes()).long(), images)
    Path("c.npx").write_bytes(npx.compress(model, images))
    assert run("decompress", "levels", "c.npx", "c.npy")[0] == 0
    assert (np.load("c.npy") == images.numpy()).all()


# Pictures


def pixels_of(path):
    with Image.open(path) as picture:
        return picture.mode, np.asarray(picture).tolist()


@pytest.mark.parametrize("size", [(4, 4), (9, 7), (1, 1)], ids=str)
@pytest.mark.parametrize(("model", "mode"), [("tiles", "L"), ("color", "RGB")])
def test_a_picture_comes_back(run, model, mode, size):
    draw("a.png", size, mode)
    there_and_back(run, model, "a.png", "b.png")
    assert pixels_of("b.png") == pixels_of("a.png")


@pytest.mark.parametrize(("model", "mode"), [("tiles", "L"), ("color", "RGB")])
def test_a_folder_of_pictures_of_several_sizes_comes_back_with_their_names(run, model, mode):
    sizes = {"b": (4, 4), "a b": (9, 6), "ü": (1, 7), "c.d": (4, 4)}
    for name, size in sizes.items():
        draw(f"in/{name}.png", size, mode)
    there_and_back(run, model, "in", "out", "--chunk", "2")
    assert {path.stem for path in Path("out").iterdir()} == set(sizes)
    for name in sizes:
        assert pixels_of(f"out/{name}.png") == pixels_of(f"in/{name}.png")


def test_sizes_that_differ_cost_tiles_only_where_the_model_is_tied_to_its_own(made, tmp_path):
    draw(tmp_path / "a.png", (9, 6))
    draw(tmp_path / "b.png", (3, 2))
    model = npx.load(made / "tiles")
    source = files.PictureSource(tmp_path, model)
    assert source.sizes == [(9, 6), (3, 2)]
    stream = io.BytesIO()
    report = archive.write(stream, model, source, per_chunk=4)
    reader = Reader(read_archive(stream.getvalue()), model)
    assert (report.images, report.values, reader.tiles.count) == (2, 60, 7)
    for number, (image, _) in enumerate(reader.images()):
        assert (image == source.image(number)).all()


def test_a_folder_of_classes_comes_back_and_tells_the_model_its_labels(run, made):
    paths = class_folders()
    there_and_back(run, "labels", "in", "out")
    for path in paths:
        assert pixels_of(Path("out", *path.parts[1:])) == pixels_of(path)
    model = npx.load(made / "labels")
    reader = Reader(read_archive(Path("a.npx").read_bytes()), model)
    assert [label for _, label in reader.images()] == [0, 0, 1, 1, 2]


# Ranges, damage, what is said


@pytest.mark.parametrize(
    ("text", "part"), [("1:3", slice(1, 3)), (":2", slice(2)), ("3:", slice(3, 5)), ("4:5", [4])]
)
def test_a_range_is_written_alone(run, text, part):
    images = five(run)
    status, out, _ = run("decompress", "levels", "a.npx", "b.npy", "--range", text)
    words = "1 image" if len(images[part]) == 1 else f"{len(images[part])} images"
    assert (status, out) == (0, [f"{words} in b.npy"])
    found = np.load("b.npy")
    assert found.dtype == bool
    assert (found == images[part]).all()


@pytest.mark.parametrize("text", ["3", "3:3", "4:2", "0:6", "-1:2", "a:b", "1:2:3"])
def test_a_range_that_is_none_is_refused(run, text):
    five(run)
    status, out, err = run("decompress", "levels", "a.npx", "b.npy", f"--range={text}")
    assert (status, out) == (2, [])
    assert err == [
        "nextpixel: error: range must be A:B with A below B, within 0:5, the images there are, "
        f"got {text!r}"
    ]


def test_what_is_whole_of_a_damaged_file_is_saved(run):
    images = five(run)
    damage(read_archive(Path("a.npx").read_bytes()).starts[1])
    status, _, err = run("decompress", "levels", "a.npx", "b.npy")
    said = "a.npx: chunk 1 is damaged: its checksum does not fit; --salvage writes what is whole"
    assert (status, err) == (1, [f"nextpixel: error: {said}"])
    assert not Path("b.npy").exists()
    status, out, _ = run("decompress", "levels", "a.npx", "b.npy", "--salvage")
    assert (status, out) == (0, ["3 images in b.npy; lost: images 2:4"])
    assert (np.load("b.npy") == images[[0, 1, 4]]).all()


def test_pictures_around_a_damaged_one_are_saved_under_their_names(run):
    for name in "abc":
        draw(f"in/{name}.png", (4, 4))
    assert run("compress", "tiles", "in", "a.npx", "--chunk", "1")[0] == 0
    damage(read_archive(Path("a.npx").read_bytes()).starts[1])
    status, out, _ = run("decompress", "tiles", "a.npx", "out", "--salvage")
    assert (status, out) == (0, ["2 images in out; lost: images 1:2"])
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]
    assert pixels_of("out/c.png") == pixels_of("in/c.png")


def test_where_nothing_is_whole_there_is_nothing_to_write(run):
    five(run)
    data = read_archive(Path("a.npx").read_bytes())
    Path("a.npx").write_bytes(Path("a.npx").read_bytes()[: data.header_bytes])
    status, _, err = run("decompress", "levels", "a.npx", "b.npy", "--salvage")
    assert (status, err) == (1, ["nextpixel: error: a.npx: there is no image to write"])


def test_what_png_takes_is_said_and_a_model_that_does_worse_is_warned_of(run):
    rng = np.random.default_rng(0)
    np.save("small.npy", rng.integers(0, 2, (40, 6, 5), dtype=np.uint8))
    np.save("noise.npy", rng.integers(0, 2, (1, 200, 200), dtype=np.uint8))
    status, out, err = run("compress", "levels", "small.npy", "a.npx")
    assert (status, err) == (0, [])
    said = re.search(r": ([\d,]+) bytes, .*; as PNG ([\d,]+) bytes$", out[0])
    ours, png = (int(number.replace(",", "")) for number in said.groups())
    assert ours == len(Path("a.npx").read_bytes()) < png
    status, _, err = run("compress", "levels", "noise.npy", "a.npx")
    assert status == 0
    assert re.search(r"warning: .*levels takes [\d.]+ times the bytes of PNG.*train", err[0])


def test_verified_archives_are_written(run):
    np.save("a.npy", np.ones((3, 6, 5), np.uint8))
    assert run("compress", "levels", "a.npy", "a.npx", "--verify")[0] == 0
    assert run("compress", "levels", "a.npy", "b.npx")[0] == 0
    assert Path("a.npx").read_bytes() == Path("b.npx").read_bytes()


def test_what_does_not_come_back_is_not_written(run, monkeypatch):
    np.save("a.npy", np.ones((3, 6, 5), np.uint8))
    monkeypatch.setattr(archive.Reader, "images", lambda _: iter([(np.zeros((1, 6, 5)), None)]))
    status, out, err = run("compress", "levels", "a.npy", "a.npx", "--verify")
    text = "nextpixel: error: image 0 did not come back as it was: nothing is written"
    assert (status, out, err) == (1, [], [text])
    assert [path.name for path in Path().iterdir()] == ["a.npy"]


def test_pictures_beyond_the_limit_of_pillow_are_read_and_the_limit_stays(run, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    draw("a.png", (9, 7))
    assert run("compress", "tiles", "a.png", "a.npx")[0] == 0
    assert Image.MAX_IMAGE_PIXELS == 10


def test_verbose_says_where_the_bytes_go(run, made):
    np.save("a.npy", fixed.images("labels").numpy())
    np.save("a-labels.npy", fixed.labels("labels").numpy())
    status, out, _ = run("compress", "labels", "a.npy", "a.npx", "--verbose")
    assert status == 0
    starts = ("5 images in a.npx: ", "model's bits along the scan", "model's bits in one pass",
              "coded", "header and index", "PNG, each image by itself")  # fmt: skip
    assert all(line.startswith(start) for line, start in zip(out, starts, strict=True))
    scan, one_pass = (float(line.split()[5].replace(",", "")) for line in out[1:3])
    assert scan == pytest.approx(one_pass, abs=0.2)
    size = len(Path("a.npx").read_bytes())
    assert f": {size} bytes, {8 * size / 300:.4f} bits/dim" in out[0]


def test_info_says_what_is_in_it_and_reads_no_chunk(run):
    five(run)
    header_bytes = read_archive(Path("a.npx").read_bytes()).header_bytes
    size = len(Path("a.npx").read_bytes())
    for place in range(header_bytes, size):
        damage(place)
    status, out, _ = run("info", "a.npx", "--json")
    found = json.loads(out[0])
    assert (status, len(out)) == (0, 1)
    assert found == {
        "images": 5, "shape": [1, 6, 5], "levels": 2, "source": "npy", "chunks": 3,
        "images per chunk": 2, "header bytes": header_bytes, "bytes": size,
        "bits/dim": round(8 * size / 150, 4), "model": found["model"],
    }  # fmt: skip
    status, out, _ = run("info", "a.npx")
    assert [line.split()[0] for line in out[:3]] == ["images", "shape", "levels"]


def test_info_counts_the_values_of_pictures_not_of_their_tiles(run):
    draw("a.png", (9, 7))
    assert run("compress", "tiles", "a.png", "a.npx")[0] == 0
    found = json.loads(run("info", "a.npx", "--json")[1][0])
    assert (found["images"], found["tiles"]) == (1, 6)
    assert found["bits/dim"] == round(8 * found["bytes"] / 63, 4)
