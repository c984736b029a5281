"""Splits: levels in the right form, a fixed draw, and fresh draws for training."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from nextpixel.data import Dataset, Split

PROTOCOLS = [("threshold", 2), ("dynamic", 2), ("quantized", 4), ("quantized", 256), ("levels", 17)]


def split(protocol="threshold", level_count=2, count=20, name="set/test", seed=0):
    high = level_count if protocol == "levels" else 256
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(high, (count, 3, 4, 5), generator=rng).to(torch.uint8)
    return Split(name, pixels, torch.arange(count), level_count, protocol, seed)


@pytest.mark.parametrize(("protocol", "level_count"), PROTOCOLS)
def test_levels_are_bytes_below_k(protocol, level_count):
    levels = split(protocol, level_count).levels
    assert (levels.dtype, levels.shape) == (torch.uint8, (20, 3, 4, 5))
    assert int(levels.max()) == level_count - 1 or level_count == 256


@pytest.mark.parametrize(("protocol", "level_count"), PROTOCOLS)
def test_a_draw_without_rng_is_the_fixed_levels_at_the_indices(protocol, level_count):
    some = split(protocol, level_count)
    indices = torch.tensor([7, 0, 7, 19])
    drawn = some.draw(indices)
    assert drawn.dtype == torch.int64
    assert torch.equal(drawn, some.levels[indices].long())


@pytest.mark.parametrize(("protocol", "level_count"), [p for p in PROTOCOLS if p[0] != "dynamic"])
def test_protocols_without_chance_leave_the_rng_alone(protocol, level_count):
    some, rng = split(protocol, level_count), torch.Generator().manual_seed(3)
    before = rng.get_state()
    assert torch.equal(some.draw(torch.arange(20), rng), some.levels.long())
    assert torch.equal(rng.get_state(), before)


def test_dynamic_levels_are_the_same_each_time_and_for_equal_splits():
    first, second = split("dynamic"), split("dynamic")
    assert torch.equal(first.levels, second.levels)
    assert torch.equal(first.draw(torch.arange(20)), first.draw(torch.arange(20)))


def test_dynamic_levels_differ_between_seeds_and_between_parts():
    levels = [split("dynamic", seed=0).levels, split("dynamic", seed=1).levels]
    levels.append(split("dynamic", name="set/validation").levels)
    assert not any(torch.equal(levels[i], levels[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


def test_dynamic_levels_do_not_depend_on_where_the_data_lie():
    here, there = split("dynamic", name="a/set/test"), split("dynamic", name="/b/test")
    assert torch.equal(here.levels, there.levels)


def test_dynamic_draws_follow_the_rng():
    some, indices = split("dynamic"), torch.arange(20)
    rng, twin = (torch.Generator().manual_seed(5) for _ in range(2))
    first, second = some.draw(indices, rng), some.draw(indices, rng)
    assert not torch.equal(first, second)
    assert torch.equal(first, some.draw(indices, twin))


def test_dynamic_draws_come_from_the_pixels_at_the_indices():
    black, white = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 255)
    pixels = torch.cat([black, white]).to(torch.uint8)
    drawn = Split("set/train", pixels, None, 2, "dynamic", 0).draw(
        torch.tensor([1, 0]), torch.Generator().manual_seed(0)
    )
    assert drawn.flatten(1).sum(1).tolist() == [64, 0]


@pytest.mark.parametrize(("protocol", "level_count"), PROTOCOLS)
def test_the_first_so_many_have_the_same_levels(protocol, level_count):
    some = split(protocol, level_count)
    first = some.take(6)
    assert (len(first), first.labels.tolist()) == (6, list(range(6)))
    assert torch.equal(first.levels, some.levels[:6])


def test_the_first_so_many_of_dynamic_are_the_same_across_chunks():
    pixels = torch.full((5000, 1, 3, 3), 100, dtype=torch.uint8)
    some = Split("set/test", pixels, None, 2, "dynamic", 0)
    assert torch.equal(some.take(4500).levels, some.levels[:4500])


def test_taking_more_than_there_are_gives_all():
    assert len(split().take(100)) == 20


def test_taking_none_is_refused():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        split().take(0)


def test_a_data_set_tells_shape_levels_protocol_and_classes():
    part = split("quantized", 4)
    data = Dataset("set", part, part, part, ("cat", "dog"))
    assert part.shape == (3, 4, 5)
    assert (data.shape, data.level_count, data.protocol) == ((3, 4, 5), 4, "quantized")
    assert data.classes == 2
    assert (
        repr(data) == "Dataset(set: 20 + 20 + 20 images of 3x4x5, 4 levels by quantized, 2 classes)"
    )


@pytest.mark.parametrize(("protocol", "level_count"), PROTOCOLS)
def test_an_item_is_the_fixed_levels_of_an_image_and_its_label(protocol, level_count):
    some = split(protocol, level_count)
    for index in (0, 7, 19, -1, -20, np.int64(3), torch.tensor(5)):
        levels, label = some[index]
        assert (levels.dtype, levels.shape) == (torch.int64, (3, 4, 5))
        assert torch.equal(levels, some.levels[int(index)].long())
        assert (type(label), label) == (int, some.labels[int(index)])


@pytest.mark.parametrize("index", [20, -21])
def test_an_item_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match=f"index must be below 20, .* got {index}"):
        split()[index]


@pytest.mark.parametrize("index", [slice(2), True, 1.0, "1", [1, 2]])
def test_what_is_no_index_of_one_image_is_refused(index):
    with pytest.raises(TypeError, match=f"index must be an integer, got {type(index).__name__}"):
        split()[index]


def test_a_split_can_be_walked_through_once():
    assert [label for _, label in split(count=3)] == [0, 1, 2]


def test_torchs_loader_makes_batches_of_a_split():
    some = split("quantized", 4)
    batches = list(DataLoader(some, batch_size=8))
    assert [len(levels) for levels, _ in batches] == [8, 8, 4]
    assert torch.equal(torch.cat([levels for levels, _ in batches]), some.levels.long())
    labels = torch.cat([labels for _, labels in batches])
    assert (labels.dtype, labels.tolist()) == (torch.int64, list(range(20)))


def test_torchs_loader_makes_batches_of_levels_alone_where_there_are_no_labels():
    some = Split("set/test", split().pixels, None, 2, "threshold", 0)
    (levels,) = DataLoader(some, batch_size=20)
    assert torch.equal(levels, some.levels.long())
    assert repr(some) == "Split(set/test: 20 images of 3x4x5, 2 levels by threshold)"
