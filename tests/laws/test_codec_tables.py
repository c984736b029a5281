"""Compiled tables are those of the rule; faults planted in them and around them are seen."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from nextpixel.codec import scans
from nextpixel.codec.chunks import ChunkCoder
from nextpixel.codec.tables import PARTS, frequencies
from nextpixel.codec.tensors import compress, decompress
from nextpixel.engine.cpu.choosing import weigh
from nextpixel.errors import NextPixelError
from nextpixel.heads import Choice, CompiledHead, Query
from nextpixel.heads.compiled_logistic import below
from nextpixel.runtime.compiling import address_of, compiled
from tests.laws.cases import CASES
from tests.laws.coding import HEIGHT, WIDTH, a_model, assert_comes_back
from tests.laws.test_exactness import random_levels

# Integer tables


@njit
def table_of(p, weights, table):
    scans.tabulate(weights, weigh(p, p.max(), 1.0, weights), table)


def assert_the_same_table(p: np.ndarray) -> None:
    room, table = np.zeros((2, len(p) + 8)), np.zeros(len(p), np.int64)  # weights come in eights
    logits, weights = room[:, : len(p)]
    logits[:] = p
    table_of(logits, weights, table)
    assert (table == frequencies(weights[None])[0]).all()
    assert table.sum() == PARTS
    assert table.min() >= 1


# Bisection


@njit
def path(choice, result, level, part, moments=0):
    return scans.descend(choice, result, level, part, moments)


@compiled
def steep(query):
    """A step from 0 to 1, with a fall in it that no distribution has."""
    k = query.level
    query.result[0] = 0.0 if k < 300 else 0.9 if k < 400 else 0.2 if k < 500 else 1.0


@compiled
def nowhere(query):
    query.result[0] = query.p[0]


@compiled
def moments_said(query):
    """A mean and a distance of nonsense, by the last number of the room."""
    query.result[0] = query.p[1] * (1.0 + query.level)


def choice_with(below, levels: int, value: float = 0.0) -> Choice:
    """What `descend` reads of a choice: the CDF and the number of levels."""
    room, none = np.array([value, 0.0]), np.zeros(0)
    images = [np.zeros((0,) * 4, kind) for kind in (np.int64, bool, np.float64)]
    address = address_of(below, Query(room, 0, room))
    return Choice(0, (0, address, 0), none.astype(np.float32), 0, 0, 0, *images, none, room, none,
                  none, levels, 1.0, 1, 1.0, 0, 0, 0, 0, 0)  # fmt: skip


@pytest.mark.parametrize("levels", [2, 3, 512, 1000, 65536])
@pytest.mark.parametrize(
    ("below", "value"), [(steep, 0.0), (nowhere, 0.0), (nowhere, 1.0), (nowhere, np.nan)]
)
@pytest.mark.parametrize("said", [None, 0.2, 1.0, 2.5, 320.0, -7.0, 1e300, np.nan])
def test_every_level_has_its_own_parts_whatever_the_cdf_is(below, value, levels, said):
    choice, result, end = choice_with(below, levels, value), np.zeros(1), 0
    moments = 0 if said is None else address_of(moments_said, Query(result, 0, result))
    choice.room[1] = 0.0 if said is None else said
    for level in range(levels) if levels < 2000 else [0, 1, 2, 299, 300, 65534, 65535]:
        found, start, parts = path(choice, result, level, -1, moments)
        assert (found, parts >= 1) == (level, True)
        if levels < 2000:
            assert start == end
        for part in (start, start + parts - 1):
            assert path(choice, result, 0, part, moments) == (level, start, parts)
        end = start + parts
    assert end == 1 << scans.BY_CDF


def test_sixteen_bits_take_sixteen_evaluations():
    choice = choice_with(counted, 65536)
    path(choice, np.zeros(1), 40000, -1)
    assert choice.room[1] == 16


def test_a_path_that_begins_near_the_level_is_short():
    result = np.zeros(1)
    choice = choice_with(counted, 65536)
    moments = address_of(near, Query(result, 0, result))
    path(choice, result, 40007, -1, moments)
    assert choice.room[1] == 6  # 40000, 40005, 40015, then by halves: 40010, 40007 and 40008


@compiled
def near(query):
    query.result[0] = 5.0 if query.level else 40000.0


@compiled
def counted(query):
    query.p[1] += 1.0
    query.result[0] = query.level / 65536


LEVELS = (2, 3, 4, 17, 255, 256)


@pytest.mark.parametrize("size", [1.0, 60.0, 1e4])
def test_the_compiled_table_is_that_of_the_rule(size):
    rng = np.random.default_rng(0)
    for levels in LEVELS:
        for _ in range(20):
            assert_the_same_table(rng.normal(0, size, levels).astype(np.float32).astype(float))


@pytest.mark.parametrize("levels", LEVELS)
def test_the_compiled_table_is_that_of_the_rule_at_the_extremes(levels):
    one = np.zeros(levels)
    one[levels // 2] = 1
    for size in (0.0, 1e-7, 60.0, 1e4, 3e38):
        for p in (one * size, one * -size, np.linspace(-size, size, levels), np.sign(one - 0.5)):
            assert_the_same_table(p)


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=256))
def test_the_compiled_table_is_that_of_the_rule_for_any_logits(logits):
    assert_the_same_table(np.array(logits))


# Planted faults: the laws see them


@pytest.mark.parametrize("head", ["categorical", "logistic"])
@pytest.mark.parametrize("fault", ["a part short", "a start moved"])
def test_spans_that_differ_by_a_part_are_seen(head, fault, monkeypatch):
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False, head=head)
    spans_of_row = scans.spans_of_row

    def wrong(plan, block, table, starts, parts, row):
        spans_of_row(plan, block, table, starts, parts, row)
        if fault == "a part short":
            parts[parts > 1] -= 1
        else:
            starts[starts > 0] -= 1

    monkeypatch.setattr(ChunkCoder, "spans_of_row", staticmethod(wrong))
    blob = compress(model, random_levels(model, 3))
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


@compiled
def rounded_log_weights(spot):
    for k in range(len(spot.p)):
        spot.p[k] = spot.state[spot.at + k] * np.float32(1.0001)


@compiled
def rounded_below(query):
    below(query)
    query.result[0] = np.float64(np.float32(query.result[0]))


@pytest.mark.parametrize("head", ["categorical", "logistic"])
def test_a_decoder_with_other_roundings_is_seen(head, monkeypatch):
    """Nearly every level's span differs by a part or two."""
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False, head=head)
    blob = compress(model, random_levels(model, 3))
    model.head = copy.copy(model.head)
    if head == "logistic":
        model.head.compiled = model.head.compiled._replace(below=rounded_below)
    else:
        model.head.compiled = CompiledHead(rounded_log_weights)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_an_order_that_depends_on_the_batch_is_seen(monkeypatch):
    """Images of a chunk in another order where there are more than three."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 7)
    spans = ChunkCoder._spans

    def turned(self, levels, *more):
        starts, parts, log_p = spans(self, levels, *more)
        order = slice(None, None, -1 if len(levels) > 3 else 1)
        return starts[:, order], parts[:, order], log_p

    monkeypatch.setattr(ChunkCoder, "_spans", turned)
    assert_comes_back(model, levels, per_chunk=3)
    blob = compress(model, levels, per_chunk=7)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)
