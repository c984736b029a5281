"""Generated shapes: all distinct, uniformly drawn, of known entropy, and fixed by the seed."""

import math

import pytest
import torch

from nextpixel.data import load_data
from nextpixel.data.sources.shapes import FRAME, KINDS, SIDES, entropy, paint_shapes


@pytest.fixture(scope="module")
def choices():
    """Every kind, side and place: (4, n)."""
    every = [
        (kind, side, top, left)
        for kind in range(len(KINDS))
        for side in SIDES
        for top in range(FRAME + 1 - side)
        for left in range(FRAME + 1 - side)
    ]
    return torch.tensor(every).T


def test_no_two_choices_give_the_same_image(choices):
    images = paint_shapes(*choices)
    assert len(torch.unique(images.flatten(1), dim=0)) == choices.shape[1] == 5620


def test_a_shape_fills_its_box_and_no_more(choices):
    _, side, top, left = choices
    images = paint_shapes(*choices)[:, 0]
    for dim, first in ((2, top), (1, left)):
        used = images.amax(dim).long()
        assert torch.equal(used.sum(1), side)
        assert torch.equal(used.argmax(1), first)


def test_the_entropy_is_that_of_the_choices(choices):
    _, side, _, _ = choices
    chance = 1 / (len(KINDS) * len(SIDES) * (FRAME + 1 - side.double()) ** 2)
    assert float(chance.sum()) == pytest.approx(1)
    assert entropy(colored=False) == pytest.approx(float(-(chance * chance.log()).sum()))
    assert entropy(colored=True) == pytest.approx(entropy(colored=False) + math.log(64 * 63))


@pytest.mark.parametrize(
    ("kind", "picture"),
    [
        ("square", ["#####", "#####", "#####", "#####", "#####"]),
        ("disc", [".###.", "#####", "#####", "#####", ".###."]),
        ("triangle", ["..#..", ".###.", ".###.", "#####", "#####"]),
        ("cross", ["..#..", "..#..", "#####", "..#..", "..#.."]),
    ],
    ids=KINDS,
)
def test_shapes_look_as_they_should(kind, picture):
    numbers = (torch.tensor([number]) for number in (KINDS.index(kind), 5, 2, 3))
    image = paint_shapes(*numbers)[0, 0, 2:7, 3:8]
    assert ["".join(".#"[level] for level in row) for row in image.tolist()] == picture


def test_a_disc_of_even_side_is_round_too():
    numbers = (torch.tensor([number]) for number in (KINDS.index("disc"), 6, 0, 0))
    rows = paint_shapes(*numbers)[0, 0, :6].sum(1)
    assert rows.tolist() == [4, 6, 6, 6, 6, 4]


@pytest.mark.parametrize(("name", "shape", "levels"), [("shapes", 1, 2), ("color-shapes", 3, 4)])
def test_the_sets_have_their_sizes(name, shape, levels):
    data = load_data(name)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [6000, 1000, 1000]
    assert (data.shape, data.level_count, data.protocol) == ((shape, 20, 20), levels, "levels")
    assert data.class_names == KINDS
    assert data.test.levels.unique().tolist() == list(range(levels))


@pytest.mark.parametrize("name", ["shapes", "color-shapes"])
def test_the_seed_fixes_everything(name):
    first, again, other = (load_data(name, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert torch.equal(first.train.labels, again.train.labels)
    assert not torch.equal(first.train.pixels, other.train.pixels)


def test_parts_are_drawn_apart():
    data = load_data("shapes")
    assert not torch.equal(data.validation.pixels, data.test.pixels)
    assert not torch.equal(data.train.pixels[:1000], data.test.pixels)


def test_classes_and_places_are_drawn_evenly():
    train = load_data("shapes").train
    share = train.labels.bincount().double() / len(train)
    assert ((share - 0.25).abs() < 4 * math.sqrt(0.25 * 0.75 / 6000)).all()
    mean = train.pixels.double().mean(0)[0]
    assert (mean - mean.flip(1)).abs().max() < 0.05


def test_validation_is_as_large_as_asked_for():
    data = load_data("shapes", validation=7)
    assert (len(data.train), len(data.validation)) == (6000, 7)


def test_each_colored_shape_has_two_colors_and_the_same_form():
    plain, colored = load_data("shapes"), load_data("color-shapes")
    assert torch.equal(plain.test.labels, colored.test.labels)
    images = colored.test.levels.long()
    codes = images[:, 0] * 16 + images[:, 1] * 4 + images[:, 2]
    lowest, highest = codes.flatten(1).amin(1), codes.flatten(1).amax(1)
    assert (lowest < highest).all()
    high = codes == highest[:, None, None]
    assert torch.equal(high | (codes == lowest[:, None, None]), torch.ones_like(high))
    forms = plain.test.levels[:, 0].bool()
    same, inverse = ((high ^ forms).flatten(1).any(1).logical_not() for high in (high, ~high))
    assert (same ^ inverse).all()
