"""Batches: every image once an epoch, an order fixed by (seed, epoch), and an exact resume."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextpixel.data import Batches

COUNTS, SIZES = st.integers(1, 40), st.integers(1, 50)


def take(batches, count):
    return [batches.next().tolist() for _ in range(count)]


def epoch_of(batches, number):
    """All indices that `batches`, when fresh, gives in an epoch."""
    batches.restore({"epoch": number, "position": 0})
    return list(itertools.chain(*take(batches, -(-batches.count // batches.batch_size))))


@given(COUNTS, SIZES, st.integers(0, 2**40), st.integers(0, 5))
def test_every_epoch_gives_every_image_once(count, size, seed, epoch):
    assert sorted(epoch_of(Batches(count, size, seed=seed), epoch)) == list(range(count))


@given(COUNTS, SIZES)
def test_only_the_last_batch_of_an_epoch_is_short(count, size):
    batches = Batches(count, size, seed=0)
    lengths = [len(batch) for batch in take(batches, -(-count // size))]
    assert all(length == size for length in lengths[:-1])
    assert lengths[-1] == (count - 1) % size + 1
    assert batches.state() == {"epoch": 0, "position": count}


@given(COUNTS, SIZES, st.integers(0, 30), st.integers(0, 2**40))
def test_restored_batches_go_on_exactly(count, size, steps, seed):
    first = Batches(count, size, seed=seed)
    take(first, steps)
    second = Batches(count, size, seed=seed)
    second.restore(first.state())
    assert second.state() == first.state()
    assert take(second, 12) == take(first, 12)


def test_the_epoch_is_that_of_the_last_batch():
    batches = Batches(3, 2, seed=0)
    epochs = []
    for _ in range(5):
        batches.next()
        epochs.append(batches.epoch)
    assert epochs == [0, 0, 1, 1, 2]


def test_orders_differ_between_epochs_and_between_seeds():
    orders = [
        tuple(epoch_of(Batches(50, 7, seed=seed), epoch))
        for seed, epoch in itertools.product([0, 1, 2**32], [0, 1, 2**32])
    ]
    assert len(set(orders)) == len(orders)
    assert tuple(range(50)) not in orders


def test_the_order_does_not_depend_on_the_batch_size():
    assert epoch_of(Batches(50, 7, seed=3), 2) == epoch_of(Batches(50, 50, seed=3), 2)


def test_batches_do_not_touch_the_global_generator():
    before = torch.get_rng_state()
    take(Batches(5, 2, seed=0), 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_indices_are_int64():
    assert Batches(5, 2, seed=0).next().dtype == torch.int64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0), "count must be at least 1, got 0"),
        ((1, 0, 0), "batch_size must be at least 1, got 0"),
        ((1, 1, -1), "seed must be at least 0, got -1"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(arguments, message):
    count, size, seed = arguments
    with pytest.raises(ValueError, match=message):
        Batches(count, size, seed=seed)


@pytest.mark.parametrize(
    "state",
    [{}, {"epoch": 0}, {"epoch": -1, "position": 0}, {"epoch": 0, "position": 6}],
    ids=str,
)
def test_a_foreign_state_is_refused(state):
    with pytest.raises(ValueError, match="state must have an epoch, and a position 0 to 5"):
        Batches(5, 2, seed=0).restore(state)
