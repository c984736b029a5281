"""`nextpixel compress`, `decompress`: what is bad is refused, interrupted work leaves nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.codec import archive
from nextpixel.codec.chunks import ChunkCoder
from nextpixel.codec.header import Header
from nextpixel.codec.tensors import TensorSource
from tests import codec_files
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


# What is refused: one line, the right status, and nothing written


def save_transparent():
    draw("in.png", (4, 4), "RGB")
    Image.open("in.png").save("in.png", transparency=(1, 2, 3))


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
                     "in.txt: no kind of data that is read"),
    "floats": (lambda: np.save("in.npy", np.zeros((3, 6, 5))), "levels", "in.npy", 1,
               "in.npy: must hold integers of shape"),
    "one row": (lambda: np.save("in.npy", np.zeros(5, int)), "levels", "in.npy", 1,
                "in.npy: must hold integers of shape"),
    "no images": (lambda: np.save("in.npy", np.zeros((0, 6, 5), int)), "levels", "in.npy", 1,
                  "in.npy: must hold integers of shape"),
    "negative": (lambda: np.save("in.npy", np.full((1, 6, 5), -1)), "levels", "in.npy", 1,
                 "in.npy: numbers must be 0 to 65535, got -1 to -1"),
    "beyond bytes": (lambda: np.save("in.npy", np.full((1, 6, 5), 65536)), "tiles", "in.npy", 1,
                     "in.npy: numbers must be 0 to 65535, got 65536 to 65536"),
    "between levels": (lambda: np.save("in.npy", np.full((1, 6, 5), 128)), "levels", "in.npy", 1,
                       "in.npy, image 0: this model has 2 levels, and none of them is pixel 128"),
    "three colors": (lambda: np.save("in.npy", np.ones((2, 3, 6, 5), int)), "levels", "in.npy", 2,
                     "images must have 1 colors, got shape (3, 6, 5)"),
    "colors last": (lambda: np.save("in.npy", np.ones((2, 4, 4, 2), int)), "pair", "in.npy", 1,
                    "in.npy: must have its 2 colors first, (N, C, H, W), to be compressed, got (2, "
                    "4, 4, 2); save numpy.moveaxis(array, 3, 1)"),
    "RGB picture": (lambda: draw("in.png", (4, 4), "RGB"), "tiles", "in.png", 1,
                    "in.png: must be of mode L for this model, got RGB; convert it first"),
    "grey picture": (lambda: draw("in.png", (4, 4)), "color", "in.png", 1,
                     "in.png: must be of mode RGB for this model, got L; convert it first"),
    "a transparent color": (save_transparent, "color", "in.png", 1,
                            "in.png: must have no transparent color, which is not kept"),
    "alpha": (lambda: Image.new("RGBA", (4, 4)).save("in.png"), "color", "in.png", 1,
              "in.png: must be of mode RGB for this model, got RGBA; convert it first"),
    "palette": (save_palette, "tiles", "in.png", 1,
                "in.png: must be of mode L for this model, got P; convert it first"),
    "picture between levels": (lambda: draw("in.png", (6, 5)), "levels", "in.png", 1,
                               "in.png: this model has 2 levels, and none of them is pixel "),
    "damaged picture": (damaged_png, "tiles", "in.png", 1, "in.png: not a whole picture: "),
    "no picture": (lambda: Path("in.png").write_text("x"), "tiles", "in.png", 1,
                   "in.png: not a whole picture: "),
    "two colors": (lambda: draw("in.png", (4, 4)), "pair", "in.png", 1,
                   "in.png: a PNG has 1 or 3 colors here, this model has 2"),
    "JPEG": (lambda: draw("in/a.jpg", (4, 4)), "tiles", "in", 1,
             "in/a.jpg: only PNG and TIFF files are written back to the pixel"),
    "missing labels": (lambda: np.save("in.npy", counted((3, 3, 5, 4), 7)), "labels", "in.npy", 2,
                       "model is conditioned on labels 0..2: put them into in-labels.npy next"),
    "labels out of range": (lambda: save_with_labels([0, 1, 3]), "labels", "in.npy", 2,
                            "labels must be 0..2 for this model, got 3"),
    "too few labels": (lambda: save_with_labels([0, 1]), "labels", "in.npy", 1,
                       "in-labels.npy: must hold a label from 0 for each of 3 images"),
    "too many classes": (four_classes, "labels", "in", 2,
                         "labels must be 0..2 for this model, got 3"),
    "vectors": (lambda: draw("in.png", (4, 4)), "vector", "in.png", 2,
                "model is conditioned on vectors (B, 2), which files do not hold; use npx"),
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
    "absent": (lambda: Path("a.npx").unlink(), "levels", "a.npx: there is no such file"),
    "empty": (lambda: cut(0), "levels", "a.npx: the archive is empty"),
    "cut": (lambda: cut(-1), "levels", "a.npx: the archive is cut off after"),
    "another file": (lambda: draw("b.png", (1, 1)) or Path("b.png").rename("a.npx"), "levels",
                     "a.npx: this is not a nextpixel archive"),
    "another model": (lambda: None, "tiles", "a.npx: the archive was made with model "),
    "damaged header": (lambda: damage(9), "levels", "a.npx: the header of the archive is damaged"),
    "damaged chunk": (lambda: damage(-1), "levels",
                      "a.npx: chunk 2 is damaged: its checksum does not fit; --salvage writes"),
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
    encode = ChunkCoder.encode

    def interrupted(self, levels, *rest):
        if len(levels) == 1:  # the last of three chunks
            raise KeyboardInterrupt
        return encode(self, levels, *rest)

    monkeypatch.setattr(ChunkCoder, "encode", interrupted)
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
