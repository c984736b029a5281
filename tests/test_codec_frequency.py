"""Integer tables: exact sum, no zero, near the weights, the same integers as a scalar loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpixel.codec.tables import PARTS, frequencies
from nextpixel.errors import NextPixelError

TINY = 5e-324
HUGE = 1.7976931348623157e308
EXTREMES = {
    "one of two": [1.0, 0.0],
    "the other of two": [0.0, 1.0],
    "one and denormals": [TINY, 1.0, TINY, 2 * TINY],
    "denormals alone": [TINY, 3 * TINY, 0.0],
    "least and most": [1e-300, 1e300],
    "sum overflows": [HUGE, HUGE, HUGE],
    "ties": [0.5, 0.5, 0.5],
    "all equal, 256": [0.1] * 256,
    "all equal, 65536": [1.0] * 65536,
    "one of 65536": [0.0] * 65535 + [1.0],
    "falling, 65536": [1.0 / (1 + k) for k in range(65536)],
    "steps of a half": [2.0**-k for k in range(1100)],
}
law = settings(derandomize=True, deadline=None, max_examples=60, database=None)
weight = st.one_of(
    st.floats(0.0, 1.0),
    st.floats(0.0, HUGE),
    st.sampled_from([0.0, -0.0, TINY, 2.2250738585072014e-308, 1e-300, 1.0, 1e300, HUGE]),
)
rows = st.lists(weight, min_size=2, max_size=40).filter(lambda row: max(row) > 0)


def by_a_scalar_loop(row):
    """The order of operations that the module states, one number at a time."""
    best = 0
    for k in range(1, len(row)):
        if row[k] > row[best]:
            best = k
    shares = [value / row[best] for value in row]
    total = shares[0]
    for share in shares[1:]:
        total += share
    scale = (PARTS - len(row)) / total
    table = [1 + math.floor(share * scale) for share in shares]
    table[best] += PARTS - sum(table)
    return table


def one(row):
    return frequencies(np.array([row], np.float64))[0].tolist()


@pytest.mark.parametrize("row", EXTREMES.values(), ids=EXTREMES.keys())
def test_an_extreme_row_sums_to_the_parts_without_a_zero(row):
    table = one(row)
    assert sum(table) == PARTS
    assert min(table) >= 1


@pytest.mark.parametrize("row", EXTREMES.values(), ids=EXTREMES.keys())
def test_an_extreme_row_is_the_scalar_loops(row):
    assert one(row) == by_a_scalar_loop([float(value) for value in row])


@law
@given(rows)
def test_any_row_sums_to_the_parts_without_a_zero_and_is_the_scalar_loops(row):
    table = one(row)
    assert sum(table) == PARTS
    assert min(table) >= 1
    assert table == by_a_scalar_loop(row)


@law
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=40).filter(lambda row: max(row) > 1e-9))
def test_no_level_takes_more_bits_than_the_leak(row):
    parts, total = one(row), math.fsum(row)
    leak = -math.log2(1 - len(row) / PARTS) + 1e-9
    for value, part in zip(row, parts, strict=True):
        if value > 1e-300:
            assert -math.log2(part / PARTS) <= -math.log2(value / total) + leak


@law
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 256, 1000]))
def test_rows_do_not_depend_on_their_neighbours(seed, levels):
    weights = np.random.default_rng(seed).exponential(size=(5, levels)) ** 4
    together = frequencies(weights)
    assert (together == [one(row) for row in weights]).all()
    assert (frequencies(np.asfortranarray(weights)) == together).all()
    assert together.dtype == np.uint32


def test_sums_are_taken_from_left_to_right():
    # 2 + 2^-53 is 2, so the total is 2 and the scale an integer; in pairs, the small ones would add
    # up before they meet the large ones, and the second level would get a part less.
    row = [1.0, 1.0] + [2.0**-53] * 298
    assert np.sum(row) > 2.0
    assert one(row)[1] == (PARTS - 300) // 2 + 1
    assert one(row) == by_a_scalar_loop(row)


def test_the_rest_goes_to_the_first_of_the_largest():
    assert one([1.0, 1.0, 1.0]) == [5592406, 5592405, 5592405]


def test_fixed_weights_give_fixed_integers():
    weights = np.array([[0.1, 0.2, 0.7], [1e-9, 3.0, 5.0]])
    expected = [[1677722, 3355443, 11744051], [1, 6291455, 10485760]]
    assert frequencies(weights).tolist() == expected


def test_no_rows_give_no_tables():
    assert frequencies(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize(
    "row",
    [[0.0, 0.0], [1.0, math.nan], [math.nan, 1.0], [1.0, math.inf], [1.0, -1e-9], [-1.0, -2.0]],
    ids=str,
)
def test_what_is_no_distribution_is_refused_by_its_row(row):
    with pytest.raises(NextPixelError, match="weights of row 1 must be finite"):
        frequencies(np.array([[1.0, 2.0], row]))


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 0), (1, 65537), (1, 2, 2)], ids=str)
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(n, K\) with K in 2..65536"):
        frequencies(np.ones(shape))


def test_weights_of_another_type_are_refused():
    with pytest.raises(ValueError, match="must be float64, got float32"):
        frequencies(np.ones((1, 2), np.float32))
