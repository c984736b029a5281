"""The command with models of several orders, and with one of any order."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from tests.commands import caller

RECIPE = """
data: {{name: digits}}
model: {{{model}}}
train: {{steps: 30, batch_size: 32, learning_rate: 0.01, validate_every: 30, validation_images: 20,
        previews: 1, preview_count: 4}}
"""
MODELS = {
    "mirror": "name: pixelcnn, features: 8, layers: 2, side: 3, orders: 8",
    "any": "name: locally-masked, features: 8, blocks: 1, first_side: 3, head_features: 8",
    "plain": "name: pixelcnn, features: 4, layers: 1",
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orders")
    for name, model in MODELS.items():
        (folder / f"{name}.yaml").write_text(RECIPE.format(model=model))
        assert main(["train", str(folder / f"{name}.yaml"), "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def call(made, capsys):
    capsys.readouterr()
    command = caller(made, capsys)
    return lambda *words: command(*map(str, words))


@pytest.mark.parametrize(
    ("model", "order"), [("mirror", "columns-from-bottom-right"), ("any", "hilbert")]
)
def test_samples_in_an_order_are_the_librarys(call, made, tmp_path, model, order):
    out = tmp_path / "drawn.npy"
    assert call("sample", model, "--count", 4, "--order", order, "--out", out)[0] == 0
    loaded = npx.load(made / model)
    rng = torch.Generator().manual_seed(0)
    expected = npx.sample(loaded, 4, order=order, rng=rng)
    assert np.array_equal(np.load(out), expected.numpy())


@pytest.mark.parametrize(
    ("model", "known", "warned"),
    [
        ("plain", "bottom", True), ("plain", "top", False), ("mirror", "bottom", False),
        ("mirror", "right", False), ("mirror", "mask", True), ("any", "mask", False),
    ],
)  # fmt: skip
def test_complete_says_where_known_pixels_shape_nothing(call, tmp_path, model, known, warned):
    if known == "mask":
        pixels = np.zeros((8, 8), np.uint8)
        pixels[0], pixels[-1] = 255, 255
        known = tmp_path / "mask.png"
        Image.fromarray(pixels).save(known)
    out = tmp_path / "made.npy"
    words = ("--images", "digits", "--images-count", 2, "--known", known, "--out", out)
    status, _, errors = call("complete", model, *words)
    assert status == 0
    assert any("do not shape them" in line for line in errors) is warned
    assert np.load(out).shape == (2, 3, 1, 8, 8)


def test_evaluate_measures_one_order_or_their_mixture(call):
    every = json.loads(call("evaluate", "mirror", "--order", "all", "--limit", 30, "--json")[1][0])
    one = json.loads(
        call("evaluate", "mirror", "--order", "rows-from-bottom-left", "--limit", 30, "--json")[1][
            0
        ]
    )
    assert every["orders"] == 8
    assert one["orders"] == 1
    assert "mixture of 8 orders" in call("evaluate", "mirror", "--order", "all", "--limit", 5)[1][0]


def test_a_region_knowing_another_is_exact_in_the_order_that_begins_with_it(call):
    words = ("--region", "top", "--given", "bottom", "--limit", 5)
    for model in ("mirror", "any"):
        assert "(exact)" in "\n".join(call("evaluate", model, *words)[1])
    assert "(by particles)" in "\n".join(call("evaluate", "plain", *words)[1])


def test_audit_goes_through_an_order(call):
    assert call("audit", "mirror", "--order", "columns-from-top-right", "--probes", 1)[0] == 0
    assert call("audit", "any", "--order", "spiral", "--probes", 1)[0] == 0


def test_an_archive_in_the_best_orders_comes_back(call, made, tmp_path):
    levels = npx.load_data("digits").test.levels[:30].numpy()
    np.save(tmp_path / "digits.npy", levels)
    for model, more in (("mirror", ("--orders", "best")), ("mirror", ()), ("any", ())):
        archive, back = tmp_path / "digits.npx", tmp_path / "back.npy"
        assert call("compress", model, tmp_path / "digits.npy", archive, *more)[0] == 0
        assert call("decompress", model, archive, back)[0] == 0
        assert np.array_equal(np.load(back), levels)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("sample", "plain", "--order", "hilbert", "--out", "x.npy"), "has the raster order only"),
        (
            ("sample", "mirror", "--order", "hilbert", "--out", "x.npy"),
            "there is no order 'hilbert'",
        ),
        (("evaluate", "mirror", "--order", "all", "--per-image", "x.csv"), "model's own order"),
        (("evaluate", "plain", "--order", "all"), "has the raster order only"),
        (("audit", "plain", "--order", "spiral"), "has the raster order only"),
        (("sample", "any", "--order", "zigzag", "--out", "x.npy"), "there is no order 'zigzag'"),
        (
            ("compress", "mirror", "x.npy", "x.npx", "--orders", "best", "--verbose"),
            "verbose must be left out with --orders best",
        ),
    ],
)
def test_orders_that_a_model_does_not_have_are_refused(call, words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, errors = call(*words)
    assert status in (1, 2)
    assert text in errors[-1]
