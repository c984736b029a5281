"""Compiled tables are those of the rule; faults planted in them and around them are seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from nextpixel.codec import tables
from nextpixel.codec.chunks import ChunkCoder
from nextpixel.codec.tables import frequencies
from nextpixel.codec.tensors import compress, decompress
from nextpixel.engine.cpu.kernels import weigh
from nextpixel.errors import NextPixelError
from tests.laws.cases import CASES
from tests.laws.coding import HEIGHT, WIDTH, a_model, assert_comes_back
from tests.laws.test_exactness import random_levels

# Integer tables


@njit
def entries_of(p, weights, entries):
    tables.tabulate(weights, weigh(p, p.max(), 1.0, weights), entries)


def assert_the_same_table(p: np.ndarray) -> None:
    room = np.zeros((3, len(p) + 8))  # weights are made in eights
    logits, weights, entries = room[:, : len(p)]
    logits[:] = p
    entries_of(logits, weights, entries)
    assert (entries + 1 == frequencies(weights[None])[0]).all()
    assert entries.sum() == tables.PARTS - len(p)
    assert entries.min() >= 0


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


def test_a_table_one_part_short_in_the_decoder_is_seen(monkeypatch):
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False)
    next_entries = tables.next_entries

    def short(plan, block, entries, *place):
        next_entries(plan, block, entries, *place)
        entries[:, 0] = np.maximum(entries[:, 0] - 1, 0)

    blob = compress(model, random_levels(model, 3))
    monkeypatch.setattr(tables, "next_entries", short)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_a_span_of_a_table_one_part_short_is_seen(monkeypatch):
    """The encoder sees no whole table: the law of sizes and of what comes back must."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    spans_of_rows = tables.spans_of_rows

    def short(plan, block, table, starts, parts, *rows):
        spans_of_rows(plan, block, table, starts, parts, *rows)
        starts[starts > 0] -= 1

    monkeypatch.setattr(tables, "spans_of_rows", short)
    blob = compress(model, random_levels(model, 3))
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_tables_of_float32_in_the_decoder_alone_are_seen(monkeypatch):
    """In a model of 256 levels nearly every table differs by a part or two."""
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False)
    blob = compress(model, random_levels(model, 3))
    next_entries = tables.next_entries

    def rounded(plan, block, entries, *place):
        next_entries(plan, block, entries, *place)
        shares = entries.astype(np.float32) / np.float32(3)
        entries[...] = frequencies(shares.astype(float)) - 1.0

    monkeypatch.setattr(tables, "next_entries", rounded)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_an_order_that_depends_on_the_batch_is_seen(monkeypatch):
    """Images of a chunk in another order where there are more than three."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 7)
    spans = ChunkCoder._spans

    def turned(self, plan, block):
        starts, parts = spans(self, plan, block)
        order = slice(None, None, -1 if len(block.levels) > 3 else 1)
        return starts[:, order], parts[:, order]

    monkeypatch.setattr(ChunkCoder, "_spans", turned)
    assert_comes_back(model, levels, per_chunk=3)
    blob = compress(model, levels, per_chunk=7)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)
