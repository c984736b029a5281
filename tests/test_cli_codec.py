"""`nextpixel compress`, `decompress`, `info`: files come back to the byte, bad ones are refused."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.codec import archive, files
from nextpixel.codec.container import read_archive
from nextpixel.codec.header import Header
from nextpixel.codec.tensors import TensorSource
from nextpixel.images import to_pixels
from tests import fixed

SMALL = {"features": 6, "layers": 1, "side": 3}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folders of models: those of `fixed`, one for colors, one for two, one told vectors."""
    folder = tmp_path_factory.mktemp("codec")
    for name in fixed.MODELS:
        npx.save(fixed.model(name), folder / name)
    for name, shape, options in (
        ("color", (3, 4, 4), {}),
        ("pair", (2, 4, 4), {}),
        ("vector", (1, 4, 4), {"condition": [{"size": 2}]}),
    ):
        npx.save(npx.build("pixelcnn", shape=shape, levels=256, **SMALL, **options), folder / name)
    return folder


@pytest.fixture
def run(made, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; its status, lines of output, lines of errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        names = [str(made / word) if (made / word).is_dir() else str(word) for word in words]
        status = main(names)
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return call


def there_and_back(run, model, source, out, *words):
    assert run("compress", model, source, "a.npx", *words)[0] == 0
    status, told, err = run("decompress", model, "a.npx", out)
    assert (status, err) == (0, [])
    assert not list(Path().rglob("*.partial"))
    return told


def counted(shape, levels):
    numbers = np.arange(np.prod(shape))
    return ((numbers * 7 + numbers // 5 * 3) % levels).reshape(shape)


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


def test_labels_beside_an_array_come_back(run):
    for name in ("a", "x-images"):
        np.save(f"{name}.npy", counted((5, 3, 5, 4), 7).astype("u1"))
    for name in ("a-labels", "x-labels"):
        np.save(f"{name}.npy", np.array([2, 0, 1, 1, 0]))
    there_and_back(run, "labels", "a.npy", "b.npy")
    assert Path("b-labels.npy").read_bytes() == Path("a-labels.npy").read_bytes()
    there_and_back(run, "labels", "x-images.npy", "y-images.npy")
    assert np.load("y-labels.npy").tolist() == [2, 0, 1, 1, 0]
    there_and_back(run, "labels", "y-images.npy", "z.npy")  # what came back can be read again


def test_labels_are_left_where_they_are_by_a_model_that_is_not_told_them(run):
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


def draw(path, size, mode="L"):
    height, width = size
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(counted(shape, 251).astype(np.uint8)).save(path)


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
    reader = archive.Reader(read_archive(stream.getvalue()), model)
    assert (report.images, report.values, reader.tiles.count) == (2, 60, 7)
    for number, (image, _) in enumerate(reader.images()):
        assert (image == source.image(number)).all()


def class_folders():
    """Five pictures of the levels of the model that is told labels, in three folders."""
    images = to_pixels(fixed.images("labels"), 7).numpy()
    for number, (image, name) in enumerate(zip(images, "acabb", strict=True)):
        Path("in", name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(image, 0, 2)).save(Path("in", name, f"{number}.png"))
    return sorted(Path("in").rglob("*.png"))


def test_a_folder_of_classes_comes_back_and_tells_the_model_its_labels(run, made):
    paths = class_folders()
    there_and_back(run, "labels", "in", "out")
    for path in paths:
        assert pixels_of(Path("out", *path.parts[1:])) == pixels_of(path)
    model = npx.load(made / "labels")
    reader = archive.Reader(read_archive(Path("a.npx").read_bytes()), model)
    assert [label for _, label in reader.images()] == [0, 0, 1, 1, 2]


# Ranges, damage, what is said


def five(run):
    np.save("a.npy", counted((5, 6, 5), 2).astype(bool))
    assert run("compress", "levels", "a.npy", "a.npx", "--chunk", "2")[0] == 0
    return np.load("a.npy")


@pytest.mark.parametrize(
    ("text", "part"), [("1:3", slice(1, 3)), (":2", slice(2)), ("3:", slice(3, 5)), ("4:5", [4])]
)
def test_a_range_is_written_alone(run, text, part):
    images = five(run)
    status, out, _ = run("decompress", "levels", "a.npx", "b.npy", "--range", text)
    assert (status, out) == (0, [f"{len(images[part])} images in b.npy"])
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


def damage(place):
    data = bytearray(Path("a.npx").read_bytes())
    data[place] ^= 1
    Path("a.npx").write_bytes(bytes(data))


def test_what_is_whole_of_a_damaged_file_is_saved(run):
    images = five(run)
    damage(read_archive(Path("a.npx").read_bytes()).starts[1])
    status, _, err = run("decompress", "levels", "a.npx", "b.npy")
    assert (status, err) == (1, ["nextpixel: error: chunk 1 is damaged: its checksum does not fit"])
    assert not Path("b.npy").exists()
    status, out, _ = run("decompress", "levels", "a.npx", "b.npy", "--salvage")
    assert (status, out) == (0, ["3 images in b.npy; lost: images 2:4"])
    assert (np.load("b.npy") == images[[0, 1, 4]]).all()


def test_pictures_beside_a_damaged_one_are_saved_under_their_names(run):
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
    told = json.loads(out[0])
    assert (status, len(out)) == (0, 1)
    assert told == {
        "images": 5, "shape": [1, 6, 5], "levels": 2, "source": "npy", "chunks": 3,
        "images per chunk": 2, "header bytes": header_bytes, "bytes": size,
        "bits/dim": round(8 * size / 150, 4), "model": told["model"],
    }  # fmt: skip
    status, out, _ = run("info", "a.npx")
    assert [line.split()[0] for line in out[:3]] == ["images", "shape", "levels"]


def test_info_counts_the_values_of_pictures_not_of_their_tiles(run):
    draw("a.png", (9, 7))
    assert run("compress", "tiles", "a.png", "a.npx")[0] == 0
    told = json.loads(run("info", "a.npx", "--json")[1][0])
    assert (told["images"], told["tiles"]) == (1, 6)
    assert told["bits/dim"] == round(8 * told["bytes"] / 63, 4)


# What is refused: one line, the right status, and nothing written


def save_palette():
    Image.fromarray(np.zeros((4, 4), np.uint8)).convert("P").save("in.png")


def save_with_labels(labels):
    np.save("in.npy", counted((3, 3, 5, 4), 7).astype("u1"))
    np.save("in-labels.npy", np.array(labels))


def four_classes():
    class_folders()
    draw("in/d/9.png", (5, 4), "RGB")


def damaged_png():
    draw("in.png", (4, 4))
    Path("in.png").write_bytes(Path("in.png").read_bytes()[:40])


REFUSED = {
    "absent": (None, "levels", "in.npy", 1, "in.npy: "),
    "absent folder": (None, "levels", "in", 1, "in: there is no such file or folder"),
    "empty": (lambda: Path("in.npy").touch(), "levels", "in.npy", 1, "in.npy: not a whole .npy"),
    "empty folder": (lambda: Path("in").mkdir(), "tiles", "in", 1, "in: holds no pictures"),
    "another kind": (lambda: Path("in.txt").touch(), "levels", "in.txt", 1,
                     "in.txt: must be a .npy, a .png or a folder of PNGs"),
    "floats": (lambda: np.save("in.npy", np.zeros((3, 6, 5))), "levels", "in.npy", 1,
               "in.npy: must hold integers of shape"),
    "one row": (lambda: np.save("in.npy", np.zeros(5, int)), "levels", "in.npy", 1,
                "in.npy: must hold integers of shape"),
    "no images": (lambda: np.save("in.npy", np.zeros((0, 6, 5), int)), "levels", "in.npy", 1,
                  "in.npy: must hold integers of shape"),
    "negative": (lambda: np.save("in.npy", np.full((1, 6, 5), -1)), "levels", "in.npy", 1,
                 "in.npy: numbers must be 0 to 255, got -1 to -1"),
    "beyond bytes": (lambda: np.save("in.npy", np.full((1, 6, 5), 256)), "tiles", "in.npy", 1,
                     "in.npy: numbers must be 0 to 255, got 256 to 256"),
    "between levels": (lambda: np.save("in.npy", np.full((1, 6, 5), 128)), "levels", "in.npy", 1,
                       "in.npy, image 0: this model has 2 levels, and none of them is pixel 128"),
    "three colors": (lambda: np.save("in.npy", np.ones((2, 3, 6, 5), int)), "levels", "in.npy", 2,
                     "images must have 1 colors, got shape (3, 6, 5)"),
    "RGB picture": (lambda: draw("in.png", (4, 4), "RGB"), "tiles", "in.png", 1,
                    "in.png: must be a PNG of mode L for this model, got RGB; convert it first"),
    "grey picture": (lambda: draw("in.png", (4, 4)), "color", "in.png", 1,
                     "in.png: must be a PNG of mode RGB for this model, got L; convert it first"),
    "palette": (save_palette, "tiles", "in.png", 1,
                "in.png: must be a PNG of mode L for this model, got P; convert it first"),
    "picture between levels": (lambda: draw("in.png", (6, 5)), "levels", "in.png", 1,
                               "in.png: this model has 2 levels, and none of them is pixel "),
    "damaged picture": (damaged_png, "tiles", "in.png", 1, "in.png: not a whole picture: "),
    "no picture": (lambda: Path("in.png").write_text("x"), "tiles", "in.png", 1,
                   "in.png: not a whole picture: "),
    "two colors": (lambda: draw("in.png", (4, 4)), "pair", "in.png", 1,
                   "in.png: a PNG has 1 or 3 colors, this model has 2"),
    "JPEG": (lambda: draw("in/a.jpg", (4, 4)), "tiles", "in", 1,
             "in/a.jpg: only PNG files are compressed, which lose nothing"),
    "missing labels": (lambda: np.save("in.npy", counted((3, 3, 5, 4), 7)), "labels", "in.npy", 2,
                       "model is told labels 0..2: put them into in-labels.npy beside the array"),
    "labels out of range": (lambda: save_with_labels([0, 1, 3]), "labels", "in.npy", 2,
                            "labels must be 0..2 for this model, got 3"),
    "too few labels": (lambda: save_with_labels([0, 1]), "labels", "in.npy", 1,
                       "in-labels.npy: must hold a label from 0 for each of 3 images"),
    "too many classes": (four_classes, "labels", "in", 2,
                         "labels must be 0..2 for this model, got 3"),
    "vectors": (lambda: draw("in.png", (4, 4)), "vector", "in.png", 2,
                "model is told vectors (B, 2), which files do not hold; use npx.compress"),
    "no such model": (lambda: draw("in.png", (4, 4)), "modle", "in.png", 2,
                      "there is no model 'modle'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compressed_is_refused_in_one_line(run, what):
    prepare, model, source, expected, text = REFUSED[what]
    if prepare is not None:
        prepare()
    before = {path.name for path in Path().iterdir()}
    status, out, err = run("compress", model, source, "a.npx")
    assert (status, out, len(err)) == (expected, [], 1)
    assert err[0].startswith(f"nextpixel: error: {text}")
    assert {path.name for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("compress", "levels", "a.npy", "a.zip"), "out must end in .npx, got 'a.zip'"),
        (("compress", "levels", "a.npy", "a.npx", "--chunk", "0"), "chunk must be at least 1"),
        (("decompress", "levels", "a.npx", "b.png"), "out must be a file that ends in .npy, since"),
        (("decompress", "levels", "a.npx", "b"), "out must be a file that ends in .npy, since"),
    ],
    ids=str,
)
def test_a_wrong_name_is_refused(run, words, text):
    five(run)
    status, out, err = run(*words)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"nextpixel: error: {text}")


def cut(size):
    data = Path("a.npx").read_bytes()
    Path("a.npx").write_bytes(data[:size])


BROKEN = {
    "absent": (lambda: Path("a.npx").unlink(), "levels", "[Errno 2] No such file or directory"),
    "empty": (lambda: cut(0), "levels", "a.npx: the archive is empty"),
    "cut": (lambda: cut(-1), "levels", "a.npx: the archive is cut off after"),
    "another file": (lambda: draw("b.png", (1, 1)) or Path("b.png").rename("a.npx"), "levels",
                     "a.npx: this is not a nextpixel archive"),
    "another model": (lambda: None, "tiles", "the archive was made with model "),
    "damaged header": (lambda: damage(9), "levels", "a.npx: the header of the archive is damaged"),
    "damaged chunk": (lambda: damage(-1), "levels", "chunk 2 is damaged: its checksum does not"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_an_archive_that_cannot_be_read_is_refused_in_one_line(run, what):
    prepare, model, text = BROKEN[what]
    five(run)
    prepare()
    before = {path.name for path in Path().iterdir()}
    status, out, err = run("decompress", model, "a.npx", "b.npy")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"nextpixel: error: {text}")
    assert {path.name for path in Path().iterdir()} == before


def with_metadata(made, metadata, name="tiles"):
    """An archive as this model writes it, that says anything else of its source."""
    model = npx.load(made / name)
    source = TensorSource(torch.zeros(2, *model.shape, dtype=torch.long))
    source.metadata = metadata
    archive.write(Path("a.npx"), model, source)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["good.png", "../evil.png"], "the archive names a file outside of its folder: '../evil."),
        (["good.png", "/evil.png"], "the archive names a file outside of its folder: '/evil.png'"),
        (["good.png", "a/../../evil.png"], "the archive names a file outside of its folder"),
        (["good.png", "evil.sh"], "the archive names a file outside of its folder: 'evil.sh'"),
        (["good.png", "evil\0.png"], "the archive names a file outside of its folder"),
        (["good.png"], "the archive must have a name for each of 2 pictures"),
        (None, "the archive must have a name for each of 2 pictures"),
        ("ab", "the archive must have a name for each of 2 pictures"),
    ],
    ids=str,
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(made, run, names, text):
    with_metadata(made, {"kind": "folder", "names": names})
    status, _, err = run("decompress", "tiles", "a.npx", "out")
    assert (status, len(err)) == (1, 1)
    assert err[0].startswith(f"nextpixel: error: {text}")
    assert [path.name for path in Path().rglob("*")] == ["a.npx"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"shape": [2, 4, 5]},
        {"shape": [2, 10**6, 10**6]},
        {"shape": [2, 4]},
        {"shape": ["x"]},
        {"shape": 5},
        {"dtype": "O"},
        {"dtype": "<f8"},
        {"dtype": "rubbish"},
        {"kind": "film"},
        {"kind": ["npy"]},
    ],
    ids=str,
)
def test_a_source_that_the_images_cannot_have_come_of_is_refused(made, run, metadata):
    with_metadata(made, {"kind": "npy", "dtype": "|u1", "shape": [2, 4, 4], **metadata})
    status, _, err = run("decompress", "tiles", "a.npx", "b.npy")
    assert (status, len(err)) == (1, 1)
    assert "the archive " in err[0]
    assert [path.name for path in Path().rglob("*")] == ["a.npx"]


# What is interrupted leaves nothing


@pytest.mark.parametrize("before", [b"what was there", None])
def test_an_interrupted_compression_leaves_what_was_there(run, monkeypatch, before):
    np.save("a.npy", counted((5, 6, 5), 2))
    if before is not None:
        Path("a.npx").write_bytes(before)
    encode = archive.ChunkCoder.encode

    def interrupted(self, levels, *rest):
        if len(levels) == 1:  # the last of three chunks
            raise KeyboardInterrupt
        return encode(self, levels, *rest)

    monkeypatch.setattr(archive.ChunkCoder, "encode", interrupted)
    status, _, err = run("compress", "levels", "a.npy", "a.npx", "--chunk", "2")
    assert (status, err) == (130, ["nextpixel: interrupted"])
    assert (Path("a.npx").read_bytes() if Path("a.npx").exists() else None) == before
    assert not list(Path().glob("*.partial"))


def test_an_interrupted_decompression_leaves_nothing(run, monkeypatch):
    five(run)
    put = Header.images_in

    def interrupted(self, chunk):
        if chunk == 2:
            raise KeyboardInterrupt
        return put(self, chunk)

    monkeypatch.setattr(Header, "images_in", interrupted)
    status, _, err = run("decompress", "levels", "a.npx", "b.npy")
    assert (status, err) == (130, ["nextpixel: interrupted"])
    assert sorted(path.name for path in Path().iterdir()) == ["a.npx", "a.npy"]


def test_a_disk_that_is_full_leaves_nothing(run, monkeypatch):
    for name in "ab":
        draw(f"in/{name}.png", (4, 4))
    assert run("compress", "tiles", "in", "a.npx")[0] == 0
    save = Image.Image.save

    def full(self, path, **options):
        save(self, path, **options)
        if Path(path).name.startswith("b"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    status, _, err = run("decompress", "tiles", "a.npx", "out")
    assert (status, err) == (
        1, ["nextpixel: error: cannot write out/b.png: No space left on device"]
    )  # fmt: skip
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]
