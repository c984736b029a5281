"""Damaged archives: one clear error, never wrong pixels, and what is whole can be saved."""

import io
import struct
import time
import tracemalloc
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpixel.codec.container import open_archive
from nextpixel.codec.header import FINGERPRINT_BYTES, varint
from nextpixel.errors import NextPixelError
from tests.archives import (
    FINGERPRINT,
    images,
    read_chunk,
    read_images,
    small_archive,
    with_checksum,
)

WHOLE = small_archive()
ARCHIVE = open_archive(io.BytesIO(WHOLE))
HEAD = ARCHIVE.header_bytes
INDEX = HEAD - 4 - 12 * 3
START = 6
"""Where the fingerprint starts: after magic, version and a size of one byte."""


def whole_with(head):
    return with_checksum(head) + WHOLE[HEAD:]


def crafted(shape=(1, 4, 5), levels=4, counts=(10, 4), metadata=b"", index=None):
    """An archive whose header says anything, with checksums that fit."""
    numbers = (*shape, levels, *counts, len(metadata))
    index = WHOLE[INDEX : HEAD - 4] if index is None else index
    body = FINGERPRINT + b"".join(map(varint, numbers)) + metadata + index
    head = b"\x8dNPX\x01" + varint(len(body) + 4) + body + bytes(4)
    return whole_with(head)


def test_the_layout_is_the_one_the_tests_take():
    assert WHOLE[START : START + FINGERPRINT_BYTES] == FINGERPRINT
    assert crafted(metadata=WHOLE[START + 8 + 7 : INDEX]) == WHOLE


@pytest.mark.parametrize("size", range(len(WHOLE)), ids=str)
def test_a_file_cut_off_anywhere_says_so(size):
    text = "the archive is empty" if size == 0 else f"the archive is cut off after {size} "
    with pytest.raises(NextPixelError, match=text):
        read_images(WHOLE[:size])


@pytest.mark.parametrize("place", range(len(WHOLE)), ids=str)
def test_every_flipped_bit_is_noticed_where_it_is(place):
    text = "|".join(texts_of_a_flip(place))
    for bit in range(8):
        data = bytearray(WHOLE)
        data[place] ^= 1 << bit
        with pytest.raises(NextPixelError, match=text):
            read_images(bytes(data))


def texts_of_a_flip(place):
    if place < 4:
        return ["not a nextpixel archive"]
    if place == 4:
        return [r"written in format version \d+, this reads 1"]
    if place == 5:
        return ["header of the archive is damaged", "cut off after"]
    if place < HEAD:
        return ["header of the archive is damaged: its checksum does not fit"]
    chunk = sum(place >= start for start in ARCHIVE.starts[1:])
    return [f"chunk {chunk} is damaged: its checksum does not fit"]


@pytest.mark.parametrize("more", [b"\0", b"x" * 1000, WHOLE], ids=len)
def test_bytes_after_the_end_are_counted(more):
    with pytest.raises(NextPixelError, match=f"followed by {len(more)} bytes not its own"):
        read_images(WHOLE + more)


def test_another_format_version_is_named():
    with pytest.raises(NextPixelError, match="format version 7, this reads 1"):
        read_images(WHOLE[:4] + b"\x07" + WHOLE[5:])


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(50), b"x", bytes(100)], ids=len)
def test_another_file_is_no_archive(data):
    with pytest.raises(NextPixelError, match="not a nextpixel archive"):
        read_images(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (crafted(shape=(1, 2**40, 5)), "at most 268435456 sub-pixels"),
        (crafted(shape=(1, 0, 5)), "shape must be"),
        (crafted(levels=2**20), "levels must be in"),
        (crafted(levels=0), "levels must be in"),
        (crafted(counts=(10, 0)), "per_chunk at least 1"),
        (crafted(counts=(2**62, 4)), "chunks need an index of"),
        (crafted(counts=(2**62, 2**62)), "at most 268435456 sub-pixels"),
        (crafted(counts=(13, 4)), "4 chunks need an index of 48 bytes, there are 36"),
        (crafted(index=b""), "3 chunks need an index of 36 bytes, there are 0"),
        (crafted(metadata=b"\0{"), "the description of the source cannot be read"),
        (crafted(index=struct.pack("<III", 2**32 - 1, 0, 0) * 3), "cut off after"),
        (
            WHOLE[:5] + varint(2**62) + WHOLE[6:],
            "cut off after 111 bytes: its header needs at least 46116860",
        ),
        (WHOLE[:5] + b"\xff" * 12 + WHOLE[6:], "a number in it has no end"),
        (WHOLE[:5] + b"\0" + WHOLE[6:], "its checksum does not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(data, text):
    with pytest.raises(NextPixelError, match=text), at_most(1_000_000):
        read_images(data)


@contextmanager
def at_most(allocated):
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < allocated


def test_bytes_of_a_chunk_that_fit_their_checksum_but_not_the_pixels_are_refused():
    data = bytearray(WHOLE)
    data[HEAD] ^= 128
    chunk = bytes(data[HEAD : ARCHIVE.starts[1]])
    data[INDEX + 4 : INDEX + 8] = struct.pack("<I", crc32(chunk))
    with pytest.raises(NextPixelError, match=r"chunk 0 did not decode|cannot decode"):
        read_images(with_checksum(bytes(data[:HEAD])) + bytes(data[HEAD:]))


@pytest.mark.parametrize("lost", range(3))
def test_chunks_next_to_a_damaged_one_are_saved(lost):
    data = bytearray(WHOLE)
    data[ARCHIVE.starts[lost]] ^= 1
    archive = open_archive(io.BytesIO(bytes(data)))
    assert archive.damaged() == [lost]
    for chunk in {0, 1, 2} - {lost}:
        assert (read_chunk(archive, chunk) == images()[archive.header.images_in(chunk)]).all()


@pytest.mark.parametrize("chunks", range(3))
def test_chunks_before_the_cut_are_saved(chunks):
    data = WHOLE[: ARCHIVE.starts[chunks] + 1]
    archive = open_archive(io.BytesIO(data), salvage=True)
    assert archive.damaged() == list(range(chunks, 3))
    with pytest.raises(NextPixelError, match=f"chunk {chunks} is damaged: the archive is cut off"):
        archive.payload(chunks)


def test_chunks_before_other_bytes_are_saved():
    assert open_archive(io.BytesIO(WHOLE + b"more"), salvage=True).damaged() == []


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(st.binary(max_size=80), st.sampled_from([0, 4, 5, 6, 14, 22, HEAD - 4]))
def test_any_bytes_after_a_good_beginning_are_one_error(data, good):
    for begun in (WHOLE[:good] + data, with_checksum(WHOLE[:good] + data + bytes(4))):
        if begun != WHOLE:
            with pytest.raises(NextPixelError):
                read_images(begun)


def mutate(data, rng):
    """One of eight kinds of damage; the checksums of header and chunks may be made to fit again."""
    kind, data = rng.integers(8), bytearray(data)
    reach = rng.choice([HEAD, len(data)]) + 1  # half of the damage is in the header
    place, other = int(rng.integers(reach)), int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 9))
    piece = rng.bytes(length)
    if kind == 0:
        data[place : place + 1] = bytes(
            value ^ 1 << int(rng.integers(8)) for value in data[place:][:1]
        )
    elif kind == 1:
        data[place : place + length] = piece
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        data[place:place] = piece
    elif kind == 4:
        del data[place:]
    elif kind == 5:
        data += piece
    elif kind == 6:
        data[place : place + length] = data[other : other + length]
    else:
        data[place : place + length] = bytes([int(rng.choice([0, 1, 127, 128, 255]))]) * length
    return bytes(data)


def mended(data):
    """Make every checksum fit but those of the pixels, as only a forger would."""
    data = bytearray(data)
    if len(data) < len(WHOLE):
        return bytes(data)
    for chunk, start in enumerate(ARCHIVE.starts[:-1]):
        piece = bytes(data[start : ARCHIVE.starts[chunk + 1]])
        data[INDEX + 12 * chunk + 4 : INDEX + 12 * chunk + 8] = struct.pack("<I", crc32(piece))
    return with_checksum(bytes(data[:HEAD])) + bytes(data[HEAD:])


def damage(count, seed):
    """Read so many damaged archives; how each ended."""
    rng = np.random.default_rng(seed)
    tally = dict.fromkeys(("refused", "same", "other header", "larger"), 0)
    for number in range(count):
        data = WHOLE
        for _ in range(int(rng.integers(1, 4))):
            data = mutate(data, rng)
        data = mended(data) if number % 2 else data
        try:
            found = read_images(data)
        except NextPixelError:
            tally["refused"] += 1
            continue
        except MemoryError:
            tally["larger"] += 1
            continue
        # With forged checksums a header may give another shape of the same pixels, no other pixels.
        assert (found.ravel() == images().ravel()).all()
        assert data == WHOLE or number % 2
        tally["same" if data == WHOLE else "other header"] += 1
    return tally


def test_a_thousand_damaged_archives_are_refused_or_the_same():
    tally = damage(1000, seed=1)
    assert tally["refused"] > 800


@pytest.mark.slow
@pytest.mark.parametrize("count", [20_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_many_damaged_archives_are_refused_or_the_same(count):
    started = time.perf_counter()
    tally = damage(count, seed=2)
    print(f"\n{count} mutations in {time.perf_counter() - started:.0f} s: {tally}")
    assert sum(tally.values()) == count
    assert tally["refused"] > 0.8 * count
