"""Images of other sizes than the model's: measured, drawn and completed."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.codec import archive
from nextpixel.codec.tensors import TensorSource
from nextpixel.data import Split
from nextpixel.data.splits import LoosePixels
from nextpixel.likelihood import log_probs
from nextpixel.models import sizes
from tests.laws.cases import CASES

SIZES = [(5, 6), (7, 4), (5, 6), (12, 13), (7, 4), (3, 2)]


def build(name):
    return CASES[name].build(5, 6)


def images(model, shapes=SIZES, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randint(0, model.levels, (model.colors, *size), generator=rng) for size in shapes]


@torch.inference_mode()
def nats_of(model, image):
    """By the definition: of a model of that size, by itself."""
    return -npx.at_size(model, *image.shape[1:]).log_prob(image[None]).item()


@torch.inference_mode()
def nats_in_tiles(model, image):
    """By the definition: of each tile of 5x6, the log-probabilities of what lies in the image."""
    total, (_, height, width) = 0.0, image.shape
    for top in range(0, height, 5):
        for left in range(0, width, 6):
            part = image[:, top : top + 5, left : left + 6]
            tile = torch.zeros(1, *model.shape, dtype=torch.int64)
            tile[0, :, : part.shape[1], : part.shape[2]] = part
            log_p = model(tile).log_prob(tile)
            total -= log_p[0, :, : part.shape[1], : part.shape[2]].sum().item()
    return total


WAYS = {"plain-dependent-colors": nats_of, "residual-position": nats_in_tiles}


@pytest.mark.parametrize("name", WAYS)
def test_images_of_several_sizes_are_measured_each_at_its_own(name):
    model, seen = build(name), []
    some = images(model)
    nats = [WAYS[name](model, image) for image in some]
    found = npx.evaluate(model, some, batch_size=2, on_progress=seen.append)
    assert found.nats == pytest.approx(sum(nats) / 6, rel=1e-12)
    count = sum(image.numel() for image in some)
    assert found.bits_per_dim == pytest.approx(sum(nats) / math.log(2) / count, rel=1e-12)
    assert sum(found.by_color) / model.colors == pytest.approx(found.bits_per_dim, rel=1e-12)
    assert (found.n, found.sizes, seen[-1]) == (6, 4, 6)
    assert found.tiles == ((5, 6) if name == "residual-position" else None)
    assert log_probs(model, some).tolist() == pytest.approx([-one for one in nats], rel=1e-12)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("size", [(7, 4), (3, 2), (12, 13)], ids=str)
def test_one_other_size_takes_the_bits_of_an_archive(name, size):
    model = build(name)
    some = torch.stack(images(model, [size] * 3))
    nats = npx.evaluate(model, some).nats
    report = archive.write(io.BytesIO(), model.float(), TensorSource(some))
    assert report.ideal_bits == pytest.approx(3 * nats / math.log(2), abs=1e-3)


def test_the_error_of_bits_per_dim_is_that_of_a_ratio():
    """Images that all cost the same per sub-pixel leave none, however their sizes differ."""
    model = npx.build("pixelcnn", shape=(1, 5, 6), levels=8, features=2, layers=1).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    found = npx.evaluate(model, images(model))
    assert found.bits_per_dim == pytest.approx(3, rel=1e-12)
    assert found.bits_error == pytest.approx(0, abs=1e-12)
    assert found.standard_error > 1


def test_a_line_says_how_images_of_several_sizes_were_measured():
    free, tied = (str(npx.evaluate(model, images(model))) for model in map(build, WAYS))
    assert "(6 images of levels given, of 4 sizes, protocol levels)" in free
    assert "(6 images of levels given, of 4 sizes, in tiles of 5x6, protocol levels)" in tied
    one = str(npx.evaluate(build("plain"), torch.zeros(2, 1, 7, 4).long()))
    assert "(2 images of levels given, protocol levels)" in one


def test_pictures_of_several_sizes_keep_their_labels():
    model = build("gated-class-gate")
    some, labels = images(model), torch.tensor([0, 1, 2, 0, 1, 2])
    split = Split("loose/test", LoosePixels([one.to(torch.uint8) for one in some]), labels, 2,
                  "levels", 0)  # fmt: skip
    whole = log_probs(model, split)
    assert torch.equal(whole, log_probs(model, some, labels))
    each = [log_probs(model, [one], labels[n : n + 1]) for n, one in enumerate(some)]
    assert torch.allclose(whole, torch.cat(each), rtol=1e-12)
    with pytest.raises(ValueError, match="images must have one size to be read together"):
        _ = split.levels
    with pytest.raises(ValueError, match="must have the model's 2 levels, got loose/test with 4"):
        npx.evaluate(model, replace(split, level_count=4))


def test_a_part_of_images_of_another_size_is_measured_in_that_size():
    model = build("plain")
    some = torch.stack(images(model, [(7, 4)] * 3))
    top = torch.arange(7).view(7, 1) < 3
    found = npx.evaluate(model, some, region=top.expand(7, 4)).region
    bits = npx.surprise_map(model, some)[:, :, :3].double().sum((1, 2, 3)).mean()
    assert found.nats / math.log(2) == pytest.approx(bits.item(), rel=1e-5)
    with pytest.raises(ValueError, match="region must be left out with several sizes or tiles"):
        npx.evaluate(model, images(model), region=top.expand(7, 4))


def test_what_has_no_meaning_for_other_sizes_is_refused():
    model, tied = build("plain"), build("residual-orders-class")
    with pytest.raises(ValueError, match="5x6 at most for a model with a condition that adds a"):
        npx.evaluate(tied, [torch.zeros(1, 7, 4).long()], torch.tensor([0]))
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        npx.evaluate(model, [])
    with pytest.raises(ValueError, match=r"levels must have shape \(B, 1, 5, 6\), got \(1, 3, 7"):
        npx.evaluate(model, [torch.zeros(3, 7, 4).long()])
    positions = npx.build("residual-pixelcnn", shape=(1, 5, 6), levels=2, features=2, inner=1,
                          blocks=1, head_features=2, position=True)  # fmt: skip
    with pytest.raises(ValueError, match="both models must score images of another size alike"):
        npx.compare(model.float(), positions, torch.zeros(1, 1, 7, 4).long())


def test_large_images_are_measured_in_bounded_passes(monkeypatch):
    model = build("windowed-colors")
    some = torch.stack(images(model, [(30, 9)] * 3))
    whole = npx.evaluate(model, some)
    passes = []
    monkeypatch.setattr(sizes, "SLAB", 90)
    network = type(model).network
    monkeypatch.setattr(
        type(model), "network",
        lambda self, x, *more: (passes.append(x[:, 0].numel()), network(self, x, *more))[1],
    )  # fmt: skip
    assert npx.evaluate(model, some).nats == pytest.approx(whole.nats, rel=1e-12)
    assert max(passes) <= 90 + some[:, 0, 0].numel() * model.reach


def test_samples_and_completions_have_the_size_that_is_asked_for():
    model, rng = build("plain-dependent-colors").float(), torch.Generator()
    drawn = npx.sample(model, 2, size=(7, 4), rng=rng.manual_seed(0))
    assert drawn.shape == (2, 3, 7, 4)
    assert torch.equal(drawn, npx.sample(npx.at_size(model, 7, 4), 2, rng=rng.manual_seed(0)))
    known = torch.arange(7).view(7, 1) < 3
    made = npx.complete(model, drawn, known.expand(7, 4), rng=rng.manual_seed(1))
    assert torch.equal(made[:, :, :3], drawn[:, :, :3])
    assert not torch.equal(made, drawn)
    tied = build("residual-position").float()
    with pytest.raises(ValueError, match="images must be 5x6 for this residual-pixelcnn, which"):
        npx.sample(tied, 1, size=(7, 4))
    with pytest.raises(
        ValueError, match=r"got \(1, 1, 7, 4\): this residual-pixelcnn adds a learned"
    ):
        npx.complete(tied, torch.zeros(1, 1, 7, 4).long(), known)


PICTURES = {"a": (9, 12), "b": (5, 6), "c": (9, 12), "d": (4, 20)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Models of 8 levels, 5x6 pixels, one of them tied to that; and pictures of several sizes."""
    monkeypatch.chdir(tmp_path)
    for name, model, options in (
        ("free", "pixelcnn", {"layers": 1}),
        ("tied", "residual-pixelcnn", {"inner": 2, "blocks": 1, "position": True}),
        ("color", "pixelcnn", {"layers": 1}),
    ):
        shape = (3 if name == "color" else 1, 5, 6)
        made = npx.build(model, shape=shape, levels=8, seed=0, features=6, **options)
        npx.save(made, tmp_path / name)
    (tmp_path / "pictures").mkdir()
    for name, size in PICTURES.items():
        Image.fromarray(pixels(size)).save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path


def pixels(size):
    return (np.arange(math.prod(size)).reshape(size) * 37 % 256).astype(np.uint8)


def evaluated(capsys, *words):
    capsys.readouterr()
    assert main(["evaluate", *words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("name", "tiles"), [("free", None), ("tied", [5, 6])])
def test_the_command_measures_a_folder_of_several_sizes(name, tiles, folder, capsys):
    found = evaluated(capsys, name, "--data", "pictures", "--per-image", "each.csv")
    assert (found["n"], found["sizes"], found["tiles"]) == (4, 3, tiles)
    model = npx.load(name)
    split = npx.data.load_images("pictures/a.png", levels=8)
    one = evaluated(capsys, name, "--data", "pictures/a.png")
    assert one["nats"] == pytest.approx(npx.evaluate(model, split).nats)
    lines = (folder / "each.csv").read_text().splitlines()[1:]
    rows = [[float(word) for word in line.split(",")] for line in lines]
    assert rows[0][1] == pytest.approx(one["nats"], rel=1e-5)
    assert rows[0][2] == pytest.approx(one["bits_per_dim"], rel=1e-5)
    count = sum(math.prod(size) for size in PICTURES.values())
    assert found["bits_per_dim"] * count == pytest.approx(
        sum(
            bits * math.prod(size)
            for (_, _, bits), size in zip(rows, PICTURES.values(), strict=True)
        ),
        rel=1e-5,
    )


def test_the_command_compares_models_at_another_size(folder, capsys):
    one = evaluated(capsys, "free", "--data", "pictures/a.png", "--against", "free")
    assert one["against"]["nats"] == 0
    several = evaluated(capsys, "free", "--data", "pictures", "--against", "free")
    assert several["against"]["nats"] == 0


def test_the_command_shows_gray_pictures_in_three_colors(folder, capsys):
    found = evaluated(capsys, "color", "--data", "pictures")
    assert (found["n"], len(found["by_color"])) == (4, 3)


REFUSED = [
    ("evaluate free --data pictures --map a.npy",
     "classify, region, given and map must be left out for images of several sizes"),
    ("evaluate tied --data pictures/a.png --map a.npy",
     "for images of another size by a model that adds a learned map of positions"),
    ("complete free --images pictures --known top --out a.png",
     "images must have one size to be drawn together, got 20x4 and 6x5"),
    ("complete tied --images pictures/a.png --known top --out a.png",
     "got (1, 1, 9, 12): this residual-pixelcnn adds a learned map of positions"),
    ("sample free --size 12 --out a.png",
     "size must be WIDTHxHEIGHT in pixels, such as 64x48, got '12'"),
    ("sample tied --size 12x9 --out a.png",
     "images must be 5x6 for this residual-pixelcnn, which adds a learned map of positions"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "text"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_a_command_cannot_do_at_another_size_is_refused(words, text, folder, capsys):
    assert main(words.split()) == 2
    assert text in capsys.readouterr().err
    assert not list(folder.glob("a.*"))


def test_commands_draw_and_complete_at_another_size(folder):
    assert main("sample free --size 12x9 --count 2 --out a.npy".split()) == 0
    assert np.load("a.npy").shape == (2, 1, 9, 12)
    Image.fromarray(255 * (np.arange(108).reshape(9, 12) < 50).astype(np.uint8)).save("mask.png")
    words = "complete free --images pictures/a.png --known mask.png --count 2 --out b.npy"
    assert main(words.split()) == 0
    made = np.load("b.npy")
    original = npx.data.load_images("pictures/a.png", levels=8).levels.numpy()
    assert made.shape == (1, 2, 1, 9, 12)
    assert (made.reshape(2, -1)[:, :50] == original.reshape(1, -1)[:, :50]).all()
