"""Deep images of any number of colors through all commands, to the last bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.cli.images import data_of, read_part
from nextpixel.data.sources.pictures import read_picture

RECIPE = """
data: {{name: {data}}}
model: {{name: residual-pixelcnn, features: 20, blocks: 1, block: single, head_features: 20,
         position: true, {model}}}
train: {{steps: 6, batch_size: 8, learning_rate: 0.003, validate_every: 6, previews: 1,
         preview_count: 2, test_images: 4, threads: 1}}
"""
RNG = np.random.default_rng(0)
TIFFS = RNG.integers(900, 20_000, (24, 2, 24, 40)).astype(np.uint16)
FIVE = (RNG.poisson(300, (24, 5, 8, 6)) - 200).astype(np.int16)


def tiffs(folder: Path) -> str:
    (folder / "pages").mkdir()
    for number, image in enumerate(TIFFS):
        first, *rest = [Image.fromarray(page) for page in image]
        first.save(folder / "pages" / f"{number:02}.tif", save_all=True, append_images=rest)
    return "pages"


def array(name: str, values: np.ndarray):
    def write(folder: Path) -> str:
        np.save(folder / name, values)
        return name

    return write


SETS = {
    "16-bit TIFFs of 2 pages": (tiffs, "", "components: 3"),
    "int16 of 5 colors": (array("five.npy", FIVE), ", offset: 200, levels: 1024", "components: 3"),
    "512 codes": (
        array("codes.npy", RNG.integers(0, 512, (24, 1, 8, 8))), ", levels: 512",
        "head: categorical",
    ),
    "4096 codes": (
        array("codes.npy", RNG.integers(0, 4096, (24, 1, 8, 8)).astype(np.uint16)),
        ", levels: 4096", "head: categorical",
    ),
}  # fmt: skip


def same(before: Path, after: Path) -> bool:
    if before.is_dir():
        names = sorted(path.name for path in before.iterdir())
        assert names == sorted(path.name for path in after.iterdir())
        pairs = [(read_picture(before / n, None), read_picture(after / n, None)) for n in names]
        return all(np.array_equal(*pair) for pair in pairs)
    return before.read_bytes() == after.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_deep_images_go_through_every_command(name, tmp_path, monkeypatch, capsys):
    write, settings, model = SETS[name]
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path)
    Path("r.yaml").write_text(RECIPE.format(data=source + settings, model=model))
    assert main(["train", "r.yaml", "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 < figures["bits_per_dim"] < 16
    one = "pages/00.tif" if source == "pages" else source
    for words in (
        ["sample", "run", "--count", "2", "--out", "s.png"],
        ["sample", "run", "--count", "2", "--out", "s.npy"],
        [
            "complete",
            "run",
            "--images",
            one,
            "--known",
            "top",
            "--images-count",
            "1",
            "--out",
            "c.png",
        ],
        ["compress", "run", source, "a.npx"],
        ["decompress", "run", "a.npx", "back.npy" if source.endswith("npy") else "back"],
        ["audit", "run"],
    ):
        assert main(words) == 0, words
    assert np.load("s.npy").dtype == np.uint16
    assert same(Path(source), Path("back.npy" if source.endswith("npy") else "back"))


@pytest.fixture
def quantized(tmp_path, monkeypatch):
    """A model of 4,096 levels that was trained on quantised 16-bit pixels, with an offset."""
    monkeypatch.chdir(tmp_path)
    model = npx.build("pixelcnn", shape=(1, 4, 5), levels=4096, features=2, layers=1, seed=0)
    data = {"name": "first.npy", "levels": 4096, "protocol": "quantized", "offset": 32768}
    npx.save(model, tmp_path / "run", data=data)
    return model


def test_other_data_are_read_as_a_model_was_trained(quantized, tmp_path):
    """A dark file, whose numbers are all below K, is no file of levels."""
    dark = np.full((12, 1, 4, 5), 3198 - 32768, np.int16)
    np.save("other.npy", dark)
    found = data_of("run", quantized, "other.npy")
    assert (found.protocol, found.level_count) == ("quantized", 4096)
    assert set(found.test.levels.flatten().tolist()) == {3198 * 4096 // 65535}
    images = read_part("run", quantized, "other.npy", first=2).images.levels
    assert set(images.flatten().tolist()) == {3198 * 4096 // 65535}


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "CMYK"])
def test_a_tiff_that_would_not_come_back_is_not_compressed(mode, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    colors = 1 if mode == "LA" else 3
    model = npx.build("pixelcnn", shape=(colors, 4, 5), levels=256, features=3, layers=1)
    npx.save(model, tmp_path / "run")
    Image.new(mode, (5, 4)).save("a.tif")
    assert main(["compress", "run", "a.tif", "a.npx"]) == 1
    assert "must be of mode" in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "colors"), [("L", 1), ("RGB", 3)])
def test_8_bit_tiffs_come_back(mode, colors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = npx.build("pixelcnn", shape=(colors, 4, 5), levels=256, features=3, layers=1)
    npx.save(model, tmp_path / "run")
    values = RNG.integers(0, 256, (4, 5, 3)[: 2 + (colors > 1)]).astype(np.uint8)
    Image.fromarray(values).save("a.tif")
    assert main(["compress", "run", "a.tif", "a.npx"]) == 0
    assert main(["decompress", "run", "a.npx", "b.tif"]) == 0
    with Image.open("b.tif") as back:
        assert back.mode == mode
        assert np.array_equal(np.asarray(back), values)
