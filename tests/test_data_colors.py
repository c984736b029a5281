"""Colored sets: ink and paper differ, and colors depend on seed and place only."""

import pytest
import torch

from nextpixel.data.config import DataConfig
from nextpixel.data.sources import mnist as source
from nextpixel.data.sources.shapes import draw_colors, paint
from nextpixel.data.splits import Images, rng_of


def code(color):
    return (color.long() * torch.tensor([16, 4, 1])).sum(1)


@pytest.fixture
def mnist(monkeypatch):
    """A stand-in for MNIST: half ink, half paper; the label says which image it is."""
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).repeat(6000, 1, 1, 1)
    parts = (Images(pixels, torch.arange(6000)), Images(pixels[:100], torch.arange(100)))
    monkeypatch.setattr(source, "read_mnist", lambda: parts)


def load(**options):
    return source.load_color_mnist(DataConfig(name="color-mnist", **options))


def by_label(images):
    return {int(label): image for label, image in zip(images.labels, images.pixels, strict=True)}


def test_ink_and_paper_are_two_of_64_colors_each_as_likely():
    ink, paper = (code(color) for color in draw_colors(64_000, rng_of(0)))
    assert (ink != paper).all()
    for counts in (ink.bincount(minlength=64), paper.bincount(minlength=64)):
        assert len(counts) == 64
        assert ((counts - 1000).abs() < 5 * 1000**0.5).all()
    assert len(((ink - paper) % 64).unique()) == 63


def test_paint_gives_paper_ink_and_the_nearest_level_between():
    coverage = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256)
    ink, paper = torch.tensor([[3, 0, 1]]), torch.tensor([[0, 2, 1]])
    got = paint(coverage, ink, paper)[0, :, 0].double()
    share = torch.arange(256, dtype=torch.float64) / 255
    exact = paper.T * (1 - share) + ink.T * share
    assert (got - exact).abs().max() <= 0.5
    assert got[:, 0].tolist() == [0, 2, 1]
    assert got[:, 255].tolist() == [3, 0, 1]


def test_paint_is_the_same_for_many_images_as_for_one():
    coverage = torch.randint(256, (2500, 1, 2, 2), generator=rng_of(1)).to(torch.uint8)
    ink, paper = draw_colors(2500, rng_of(2))
    whole = paint(coverage, ink, paper)
    for i in (0, 1023, 1024, 2499):
        one = slice(i, i + 1)
        assert torch.equal(whole[one], paint(coverage[one], ink[one], paper[one]))


@pytest.mark.usefixtures("mnist")
def test_colors_do_not_depend_on_what_is_held_out_or_left_away():
    few, many = load(validation=100), load(validation=3000)
    one, other = ({**by_label(x.train), **by_label(x.validation)} for x in (few, many))
    assert all(torch.equal(one[label], other[label]) for label in range(6000))
    short = by_label(load(validation=100, limit=9).train)
    assert len(short) == 9
    assert all(torch.equal(one[label], image) for label, image in short.items())


@pytest.mark.usefixtures("mnist")
def test_colors_depend_on_the_seed_and_on_the_file():
    first, again, other = load(), load(), load(seed=1)
    assert torch.equal(first.test.pixels, again.test.pixels)
    assert not torch.equal(first.test.pixels, other.test.pixels)
    train = {**by_label(first.train), **by_label(first.validation)}
    inks = torch.stack([train[label] for label in range(100)])[..., 1], first.test.pixels[..., 1]
    assert (inks[0] == inks[1]).flatten(1).all(1).sum() < 10


@pytest.mark.usefixtures("mnist")
def test_colored_mnist_is_divided_as_mnist_is():
    parts = load()
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [1000, 5000, 100]
    assert (parts.level_count, parts.train.pixels.shape[1:]) == (4, (3, 1, 2))


def test_real_colored_mnist_has_four_levels_and_more_than_one_ink():
    parts = load(limit=50)
    assert parts.test.pixels.shape == (50, 3, 28, 28)
    assert parts.test.pixels.unique().tolist() == [0, 1, 2, 3]
    assert len(code(parts.test.pixels[:, :, 0, 0]).unique()) > 20
    assert parts.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
