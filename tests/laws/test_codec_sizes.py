"""Any number of levels and colors, and images of any size, come back."""

import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpixel import build
from nextpixel.codec import archive
from nextpixel.codec.container import read_archive
from nextpixel.codec.tensors import TensorSource, compress, decompress
from tests.laws.cases import CASES
from tests.laws.coding import HEIGHT, WIDTH, a_model, assert_comes_back, varied_condition
from tests.laws.test_exactness import random_levels

NAMES = ["pixelcnn", "residual-pixelcnn", "gated-pixelcnn"]
SIDES = st.one_of(st.integers(1, 9), st.integers(1, 64))


def draw_and_try(data: st.DataObject) -> None:
    colors, levels = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 256))
    own, size = (tuple(data.draw(SIDES) for _ in range(2)) for _ in range(2))
    own = data.draw(st.sampled_from([own, size]))
    name, position = data.draw(st.sampled_from(NAMES)), data.draw(st.booleans())
    model = a_model(name, (colors, *own), levels, position=position)
    count = data.draw(st.integers(0, 3))
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, levels, (count, colors, *size), generator=rng)
    assert_comes_back(model, images, per_chunk=data.draw(st.sampled_from([1, 2, 256])))


@settings(derandomize=True, deadline=None, max_examples=6, database=None)
@given(st.data())
def test_any_levels_colors_and_sizes_come_back(data):
    draw_and_try(data)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(st.data())
def test_many_levels_colors_and_sizes_come_back(data):
    draw_and_try(data)


@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (64, 64)], ids=str)
def test_the_ends_of_what_is_possible_come_back(levels, size):
    colors = 1 if size == (64, 64) else 3
    model = a_model("gated-pixelcnn", (colors, *size), levels, position=False)
    assert_comes_back(model, random_levels(model, 1))


def test_no_image_at_all_comes_back():
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    assert decompress(model, compress(model, random_levels(model, 0))).shape == (0, 1, 6, 7)
    tied = CASES["gated-skip-position"].build(HEIGHT, WIDTH).float()
    assert_comes_back(tied, torch.zeros(0, 1, 9, 10, dtype=torch.long))


@pytest.mark.parametrize("value", [0, 255])
def test_images_that_the_model_holds_for_all_but_certain_cost_next_to_nothing(value):
    """60 nats for one level at each pixel: a table of one part for all others."""
    model = build("pixelcnn", seed=0, shape=(1, 16, 16), levels=256, features=2, layers=1, side=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        next(p for p in reversed(list(model.parameters())) if p.ndim == 1)[value] = 60.0
    images = torch.full((4, 1, 16, 16), value)
    assert len(assert_comes_back(model, images)) < 64
    unlikely = 255 - images
    assert len(assert_comes_back(model, unlikely)) < 1.01 * 4 * 256 * 24 / 8 + 64


@pytest.mark.parametrize("size", [(3, 2), (17, 20)], ids=str)
@pytest.mark.parametrize("name", ["plain", "residual-dependent-colors", "gated-class-gate"])
def test_a_model_that_is_not_tied_to_its_size_codes_another_whole(name, size):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, model.levels, (2, model.colors, *size), generator=rng)
    opened = read_archive(assert_comes_back(model, images, varied_condition(model, 2)))
    assert opened.header.shape[1:] == size


@pytest.mark.parametrize(
    ("size", "tiles"), [((3, 2), 1), ((6, 8), 2), ((17, 20), 9), ((12, 14), 4)], ids=str
)
@pytest.mark.parametrize("name", ["residual-position", "gated-skip-position"])
def test_a_model_that_is_tied_to_its_size_codes_tiles(name, size, tiles):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, model.levels, (3, 1, *size), generator=rng)
    for per_chunk in (2, 256):
        opened = read_archive(assert_comes_back(model, images, per_chunk=per_chunk))
        assert opened.header.shape[1:] == (HEIGHT, WIDTH)
        assert opened.header.images == 3 * tiles
    part = decompress(model, compress(model, images, per_chunk=2), first=1, last=2)
    assert torch.equal(part.long(), images[1:2])


def test_what_lies_outside_of_an_image_costs_nothing():
    model = CASES["residual-position"].build(HEIGHT, WIDTH).float()
    images = torch.zeros(40, 1, 1, 1, dtype=torch.long)
    report = archive.write(io.BytesIO(), model, TensorSource(images))
    with torch.inference_mode():
        padded = torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.long)
        first = model(padded).logits[0, 0, 0, 0, 0]
    assert report.ideal_bits == pytest.approx(-40 * float(first) / math.log(2), rel=1e-4)
    assert report.values == 40
