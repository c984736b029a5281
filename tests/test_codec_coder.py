"""The entropy coder: the bytes of the reference, the levels back, no longer than it must be."""

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpixel.codec.coder import Decoder, Encoder, spans
from nextpixel.codec.tables import PARTS, frequencies
from nextpixel.errors import NextPixelError
from tests.range_coder import ReferenceDecoder, ReferenceEncoder

law = settings(derandomize=True, deadline=None, max_examples=60, database=None)
EDGES = np.array([[PARTS - 1, 1], [1, PARTS - 1], [PARTS // 2, PARTS // 2]], np.uint32)


@st.composite
def messages(draw, most=200):
    """Levels of shape (n,) and tables of shape (n, K), from flat to all but certain."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 3, 4, 17, 256]))
    count = draw(st.integers(0, most))
    spread = draw(st.sampled_from([0.0, 1.0, 30.0, 700.0]))
    tables = frequencies(np.exp(-spread * rng.random((count, levels))))
    how = draw(st.sampled_from(["likely", "any", "unlikely", "first", "last"]))
    chosen = {
        "likely": tables.argmax(axis=1),
        "any": rng.integers(levels, size=count),
        "unlikely": tables.argmin(axis=1),
        "first": np.zeros(count, np.int64),
        "last": np.full(count, levels - 1),
    }[how]
    return chosen.astype(np.int64), tables


def encoded(levels, tables, batch=7):
    encoder = Encoder()
    for start in range(0, len(levels), batch):
        encoder.encode(levels[start : start + batch], tables[start : start + batch])
    return encoder.finish()


def reference(levels, tables):
    encoder = ReferenceEncoder()
    for start, parts in zip(*spans(levels, tables), strict=True):
        encoder.encode(int(start), int(parts))
    return encoder


def decoded(data, tables, batch=5):
    decoder = Decoder(data)
    pieces = [decoder.decode(tables[at : at + batch]) for at in range(0, len(tables), batch)]
    decoder.finish()
    return np.concatenate([np.zeros(0, np.int64), *pieces])


def ideal_bits(levels, tables):
    return -np.log2(tables[np.arange(len(levels)), levels] / PARTS).sum()


@law
@given(messages())
def test_the_bytes_are_those_of_the_reference(message):
    assert encoded(*message) == reference(*message).shortest()


@law
@given(messages())
def test_constriction_reads_our_integers_out_of_the_floats(message):
    levels, tables = message
    coder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    if len(levels):
        coder.encode(levels.astype(np.int32), family, tables - 1.0)
    words = coder.get_compressed().astype(">u4").tobytes()
    assert words == reference(levels, tables).sealed()


@law
@given(messages())
def test_the_levels_come_back(message):
    levels, tables = message
    found = decoded(encoded(levels, tables), tables)
    assert found.dtype == np.int64
    assert (found == levels).all()


@law
@given(messages())
def test_the_reference_reads_them_too(message):
    levels, tables = message
    decoder = ReferenceDecoder(encoded(levels, tables))
    assert [decoder.decode(table) for table in tables.tolist()] == levels.tolist()


@law
@given(messages(most=3000))
def test_a_stream_is_at_most_five_bytes_over_the_ideal(message):
    # 0.0057 bits a symbol at worst, and below a byte at the end: 3.1 bytes for 3000 symbols.
    assert 8 * len(encoded(*message, batch=256)) <= ideal_bits(*message) + 40


def test_a_long_stream_is_within_a_thousandth_of_the_ideal():
    rng = np.random.default_rng(4)
    tables = frequencies(rng.exponential(size=(50_000, 2)) ** 6)
    levels = (rng.random(50_000) * PARTS >= tables[:, 0]).astype(np.int64)
    assert 8 * len(encoded(levels, tables, batch=500)) <= 1.001 * ideal_bits(levels, tables) + 40


@law
@given(messages(), st.integers(1, 50))
def test_batches_do_not_matter(message, batch):
    assert encoded(*message, batch=batch) == encoded(*message, batch=7)


@law
@given(messages())
def test_a_byte_less_or_more_or_another_is_noticed(message):
    levels, tables = message
    data = encoded(levels, tables)
    wrong = [data + b"\1"]
    if data:
        wrong += [data[:-1], data[:-1] + bytes([data[-1] ^ 1]), bytes([data[0] ^ 128]) + data[1:]]
    for other in wrong:
        assert not reads_as(levels, other, tables)


def reads_as(levels, data, tables):
    try:
        return (decoded(data, tables) == levels).all()
    except NextPixelError:
        return False


@law
@given(messages(), st.integers(1, 9))
def test_zeros_after_the_end_are_refused_though_they_mean_the_same(message, zeros):
    levels, tables = message
    decoder = Decoder(encoded(levels, tables) + bytes(zeros))
    assert (decoder.decode(tables) == levels).all()
    with pytest.raises(NextPixelError, match="does not end with its last symbol"):
        decoder.finish()


@pytest.mark.parametrize("batch", [1, 2, 3], ids=str)
def test_spans_at_the_edges_give_the_bytes_of_the_reference(batch):
    levels, tables = np.array([0, 1, 1, 0, 1, 0]), np.concatenate([EDGES, EDGES])
    assert encoded(levels, tables, batch) == reference(levels, tables).shortest()


def test_spans_of_all_widths_may_stand_in_one_batch():
    starts, parts = np.array([0, 1, 5, 7]), np.array([PARTS - 1, PARTS - 1, 3, PARTS - 7])
    encoder, expected = Encoder(), ReferenceEncoder()
    encoder.encode_spans(starts, parts)
    for start, part in zip(starts.tolist(), parts.tolist(), strict=True):
        expected.encode(start, part)
    assert encoder.finish() == expected.shortest()


def tables_around_a_half(count):
    """Tables of three levels whose middle holds 1/2 each time: two parts from the boundary."""
    coder, tables = ReferenceEncoder(), []
    for _ in range(count):
        half = 1 << (32 * coder.digits - 1)
        start = (half - coder.low) // (coder.width >> 24) - 1
        tables.append([start, 2, PARTS - 2 - start])
        coder.encode(start, 2)
    return np.array(tables, np.uint32)


def test_a_carry_runs_through_many_words():
    # Only the last symbol distinguishes 0.0111... from 0.1000...
    tables = tables_around_a_half(100)
    tables[-1] = [1, PARTS - 2, 1]
    starts = []
    for last in range(3):
        levels = np.array([1] * 99 + [last])
        data = encoded(levels, tables)
        assert data == reference(levels, tables).shortest()
        assert (decoded(data, tables) == levels).all()
        starts.append(data[:250].hex())
    assert starts == ["7f" + "ff" * 249, "80", "80" + "00" * 249]


def test_a_fixed_message_gives_fixed_bytes():
    tables = frequencies(np.array([[0.1, 0.2, 0.7], [5.0, 3.0, 1e-9], [1.0, 1.0, 1.0]] * 5))
    levels = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 0, 1, 2, 2, 1])
    assert encoded(levels, tables).hex() == "7a217420abcf"


def test_nothing_is_no_bytes():
    assert Encoder().finish() == b""
    Decoder(b"").finish()


def test_finish_can_be_asked_on_the_way():
    encoder = Encoder()
    encoder.encode(np.array([1]), EDGES[:1])
    before = encoder.finish()
    encoder.encode(np.array([0]), EDGES[1:2])
    assert encoder.finish() != before
    assert encoder.finish() == encoded(np.array([1, 0]), EDGES[:2])


@pytest.mark.parametrize(
    "table",
    [[5, PARTS - 6], [5, PARTS - 4], [0, PARTS], [1, 1], [2**31, 2**31], [0, 0]],
    ids=["one short", "one over", "a zero", "tiny", "overflowing", "nothing"],
)
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_a_table_that_does_not_sum_to_the_parts_is_refused(table, way):
    tables = np.array([[PARTS // 2, PARTS // 2], table], np.uint32)
    calls = {
        "encode": lambda: Encoder().encode(np.array([0, 0]), tables),
        "decode": lambda: Decoder(b"abc").decode(tables),
    }
    with pytest.raises(ValueError, match=r"must sum to 16777216 without a zero.*in row 1"):
        calls[way]()


def test_a_table_of_floats_is_refused():
    with pytest.raises(ValueError, match="must be uint32, got float32"):
        Encoder().encode(np.array([0]), EDGES[:1].astype(np.float32))


@pytest.mark.parametrize("levels", [[2], [-1], [0, 0], [[0]], [0.0]], ids=str)
def test_levels_that_are_not_of_the_table_are_refused(levels):
    with pytest.raises(ValueError, match="levels must be"):
        Encoder().encode(np.array(levels), EDGES[:1])


@pytest.mark.parametrize("span", [(0, PARTS), (5, 0), (-1, 3), (PARTS, 1), (PARTS - 2, 3)], ids=str)
def test_a_span_outside_the_parts_is_refused(span):
    with pytest.raises(ValueError, match=r"a span must lie in 0\.\.16777216"):
        Encoder().encode_spans(np.array([span[0]]), np.array([span[1]]))


def test_bytes_that_no_encoder_writes_are_one_error():
    decoder = Decoder(b"\xff" * 16)
    thirds = frequencies(np.ones((40, 3)))
    with pytest.raises(NextPixelError, match="cannot decode"):
        decoder.decode(thirds)


@pytest.mark.parametrize("bits", [24, 26])
@law
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.sampled_from([0.0, 1.0, 30.0]))
def test_streams_of_any_precision_are_those_of_the_reference(bits, seed, count, spread):
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(1, 1 << bits, (count, 2)) >> int(spread), 1)
    starts, parts = cuts[:, 0], np.maximum(1, cuts[:, 1] - cuts[:, 0])
    encoder, oracle = Encoder(), ReferenceEncoder(bits)
    encoder.encode_spans(starts, parts, bits)
    for start, part in zip(starts, parts, strict=True):
        oracle.encode(int(start), int(part))
    assert encoder.finish() == oracle.shortest()


@law
@given(messages())
def test_constriction_reads_our_bytes(message):
    levels, tables = message
    ours = encoded(levels, tables)
    words = np.frombuffer(ours + bytes(-len(ours) % 4), ">u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    if len(levels):
        family = constriction.stream.model.Categorical(perfect=False)
        assert decoder.decode(family, tables - 1.0).tolist() == levels.tolist()
