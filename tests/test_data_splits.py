"""Seeded generators and seeded splits: disjoint, complete, and a function of the seed alone."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextpixel.data.splits import (
    Images,
    hold_out,
    hold_out_validation,
    number_names,
    rng_of,
    split_images,
)


def numbered(count):
    """Images of one pixel whose label says which they are."""
    return Images(
        (torch.arange(count) % 256).to(torch.uint8).view(-1, 1, 1, 1), torch.arange(count)
    )


def labels_of(parts):
    return [part.labels.tolist() for part in parts]


def test_generators_depend_on_every_key_and_on_all_its_bits():
    keys = [(), (0,), (0, 0), (0, 1), (1, 0), (0, 2**32 + 1), (2**32, 1), (2**40, 1), (0, "1")]
    drawn = [int(torch.randint(2**62, (), generator=rng_of(*key))) for key in keys]
    assert len(set(drawn)) == len(keys)


def test_generators_draw_the_same_on_every_machine():
    drawn = torch.randint(100, (6,), generator=rng_of(1, 2))
    assert drawn.tolist() == [22, 0, 73, 34, 58, 93]


@given(st.integers(2, 300), st.data())
def test_held_out_and_staying_images_make_up_the_whole(count, data):
    held = data.draw(st.integers(1, count - 1))
    stay, away = hold_out(count, held, seed=data.draw(st.integers(0, 9)))
    assert len(away) == held
    assert sorted(stay.tolist() + away.tolist()) == list(range(count))


@given(st.integers(3, 300), st.integers(0, 9))
def test_a_split_is_disjoint_complete_and_none_of_it_empty(count, seed):
    parts = labels_of(split_images(numbered(count), None, seed=seed))
    assert min(len(part) for part in parts) >= 1
    assert sorted(itertools.chain(*parts)) == list(range(count))


def test_a_split_is_80_10_10():
    assert [len(part) for part in split_images(numbered(1000), None, seed=0)] == [800, 100, 100]


def test_labels_and_pixels_stay_together():
    for part in split_images(numbered(200), None, seed=0):
        assert torch.equal(part.pixels.flatten().long(), part.labels)


def test_the_same_seed_gives_the_same_split_and_another_another():
    first, again, other = (split_images(numbered(100), None, seed=seed) for seed in (0, 0, 1))
    assert labels_of(first) == labels_of(again)
    assert all(one != two for one, two in zip(labels_of(first), labels_of(other), strict=True))


def test_the_test_images_do_not_depend_on_the_number_held_out():
    few, many = (split_images(numbered(100), held, seed=0) for held in (5, 50))
    assert (len(few[1]), len(many[1])) == (5, 50)
    assert labels_of(few)[2] == labels_of(many)[2]


def test_images_are_shuffled_before_they_are_split():
    train, _, test = labels_of(split_images(numbered(1000), None, seed=0))
    assert train != sorted(train)
    assert 350 < sum(test) / len(test) < 650


@pytest.mark.parametrize(
    ("held", "default", "expected"), [(None, None, 10), (None, 7, 7), (3, 7, 3)]
)
def test_what_is_asked_for_goes_before_the_set_and_that_before_a_tenth(held, default, expected):
    stay, away = hold_out_validation(numbered(100), held, default=default, seed=0)
    assert (len(stay), len(away)) == (100 - expected, expected)


@pytest.mark.parametrize("held", [10, 11])
def test_holding_out_everything_is_refused(held):
    with pytest.raises(ValueError, match=f"validation must .*: at most 9, got {held}"):
        hold_out(10, held, seed=0)


def test_too_few_images_to_split_are_refused():
    with pytest.raises(ValueError, match="a set to split must have at least 3 images, got 2"):
        split_images(numbered(2), None, seed=0)


def test_images_without_labels_are_split_without_labels():
    parts = split_images(Images(numbered(10).pixels, None), None, seed=0)
    assert [part.labels for part in parts] == [None] * 3


def test_classes_are_named_up_to_the_largest_label_of_any_part():
    assert number_names(torch.tensor([0, 2]), None, torch.tensor([3])) == ("0", "1", "2", "3")
