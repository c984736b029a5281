"""Archives: written whole, read by chunk, few bytes besides the chunks."""

import io
import os
import tracemalloc

import numpy as np
import pytest

from nextpixel.codec.container import (
    Writer,
    open_archive,
    pixels_crc,
    read_archive,
    replacing,
    write_archive,
)
from nextpixel.codec.header import Entry, Header, read_varint, unpack_header, varint
from nextpixel.errors import NextPixelError
from tests.archives import FINGERPRINT, header, images, read_chunk, read_images, small_archive

GOLDEN = (
    "8d4e505801400001020304050607010405040a0409008031302c342c35a40e0000002e817c8318951fd70d000000"
    "34d986fb54c4a5dc0600000056ec6476a1e95a4bcb605d4c65db16630c476bd964e976423e0e4ecb3ce04b0edba9"
    "e69026e990458a6a5adaff"
)


class Watched(io.BytesIO):
    """A stream that remembers which bytes were read."""

    def __init__(self, data):
        super().__init__(data)
        self.touched = set()

    def read(self, size=-1):
        place = self.tell()
        data = super().read(size)
        self.touched |= set(range(place, place + len(data)))
        return data


def test_an_archive_comes_back():
    assert (read_images(small_archive()) == images()).all()


def test_a_fixed_archive_has_fixed_bytes():
    assert small_archive().hex() == GOLDEN


def test_the_fixed_bytes_are_read():
    assert (read_images(bytes.fromhex(GOLDEN)) == images()).all()


def test_the_header_comes_back():
    assert open_archive(io.BytesIO(small_archive())).header == header()


def test_opening_reads_no_more_than_the_header():
    stream = Watched(small_archive())
    archive = open_archive(stream)
    assert stream.touched == set(range(archive.header_bytes))
    assert archive.header_bytes + archive.payload_bytes == len(small_archive())


@pytest.mark.parametrize("chunk", range(3))
def test_a_chunk_is_read_alone(chunk):
    stream = Watched(small_archive())
    archive = open_archive(stream)
    stream.touched.clear()
    found = read_chunk(archive, chunk)
    assert (found == images()[header().images_in(chunk)]).all()
    assert stream.touched == set(range(archive.starts[chunk], archive.starts[chunk + 1]))


def test_an_archive_may_start_within_a_stream():
    stream = io.BytesIO(b"before" + small_archive())
    stream.seek(6)
    archive = open_archive(stream)
    assert (read_chunk(archive, 1) == images()[4:8]).all()


@pytest.mark.parametrize("count", [0, 1, 4, 5], ids=str)
def test_any_count_of_images_has_its_chunks(count):
    head = header(images=count)
    assert [image for chunk in range(head.chunks) for image in head.images_in(chunk)] == list(
        range(count)
    )
    stream = io.BytesIO()
    write_archive(stream, head, [(b"x", 7)] * head.chunks)
    stream.seek(0)
    assert open_archive(stream).index == (Entry(1, 0x8CDC1683, 7),) * head.chunks


@pytest.mark.parametrize(
    ("shape", "metadata"),
    [
        ((1, 28, 28), {"kind": "npy", "dtype": "|u1", "shape": [28, 28]}),
        ((1, 28, 28), {"kind": "npy", "dtype": "<i8", "shape": [1, 1, 28, 28], "labels": True}),
        ((3, 512, 768), {"kind": "png"}),
    ],
    ids=["8 bit array", "levels with a label", "a color picture"],
)
def test_the_header_of_one_image_is_at_most_64_bytes(shape, metadata):
    assert len(Header(FINGERPRINT, shape, 256, 1, metadata=metadata).pack()) <= 64


def test_the_header_of_ten_thousand_images_is_far_below_a_kibibyte():
    described = {"kind": "npy", "dtype": "|u1", "shape": [10_000, 28, 28]}
    assert len(Header(FINGERPRINT, (1, 28, 28), 256, 10_000, metadata=described).pack()) <= 550


def test_memory_stays_flat_however_many_chunks(tmp_path):
    def peak(chunks):
        head = header(images=4 * chunks)
        tracemalloc.start()
        write_archive(tmp_path / "a.npx", head, ((os.urandom(10_000), 0) for _ in range(chunks)))
        with (tmp_path / "a.npx").open("rb") as stream:
            assert open_archive(stream).damaged() == []
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(200) < peak(20) + 150_000  # 2 MB against 0.2 MB of chunks


def test_the_index_must_be_full():
    writer = Writer(io.BytesIO(), header())
    writer.append(b"one", 0)
    with pytest.raises(ValueError, match="index must have 3 entries, got 1"):
        writer.finish()


def test_a_chunk_too_many_is_refused():
    with pytest.raises(ValueError, match="must have 3 chunks, got one more"):
        write_archive(io.BytesIO(), header(), [(b"", 0)] * 4)


def test_another_model_is_refused_by_both_names():
    with pytest.raises(NextPixelError, match=r"model 0001020304050607, this is model 0{16}"):
        read_images(small_archive(), fingerprint=bytes(8))


def test_other_pixels_than_went_in_are_refused():
    archive = open_archive(io.BytesIO(small_archive()))
    other = images()[:4].copy()
    archive.check_pixels(0, pixels_crc(other))
    other[3, 0, 3, 4] ^= 1
    with pytest.raises(NextPixelError, match="chunk 0 did not decode to the pixels"):
        archive.check_pixels(0, pixels_crc(other))


def test_the_checksum_of_pixels_is_that_of_their_values():
    levels = images()
    expected = pixels_crc(levels)
    assert pixels_crc(levels.astype(np.uint8)) == expected
    assert pixels_crc(np.asfortranarray(levels).astype(">i4")) == expected
    assert pixels_crc(levels[5:], pixels_crc(levels[:5])) == expected


@pytest.mark.parametrize("value", [-1, 65536])
def test_pixels_outside_two_bytes_have_no_checksum(value):
    with pytest.raises(ValueError, match="levels must be in"):
        pixels_crc(np.array([0, value]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fingerprint": b"short"}, "fingerprint must be 8 bytes, got 5"),
        ({"shape": (1, 0, 5)}, "shape must be"),
        ({"shape": (4, 5)}, "shape must be"),
        ({"levels": 1}, r"levels must be in 2\.\.65536, got 1"),
        ({"levels": 65537}, r"levels must be in 2\.\.65536, got 65537"),
        ({"images": -1}, "images must be at least 0"),
        ({"per_chunk": 0}, "per_chunk at least 1"),
        ({"shape": (3, 20_000, 20_000)}, "at most 268435456 sub-pixels, got 4800000000"),
    ],
    ids=str,
)
def test_a_header_out_of_range_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        header(**change)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63 - 1], ids=str)
def test_a_varint_comes_back(number):
    data = varint(number)
    assert read_varint(b"\xff" + data + b"\xff", 1) == (number, 1 + len(data))


@pytest.mark.parametrize("data", ["", "80", "8000", "ff" * 9, "ff" * 12], ids=str)
def test_a_varint_without_an_end_or_too_long_is_refused(data):
    with pytest.raises(NextPixelError, match="a number in it has no end"):
        read_varint(bytes.fromhex(data), 0)


def test_a_header_is_read_from_its_bytes_alone():
    index = [Entry(5, 6, 7), Entry(0, 0, 0), Entry(2**32 - 1, 1, 2)]
    assert unpack_header(header().pack(index), 6) == (header(), tuple(index))


def test_nothing_is_unpacked_of_an_archive_of_another_model(monkeypatch):
    monkeypatch.setattr("nextpixel.codec.header.unpack_metadata", lambda _: 1 / 0)
    with pytest.raises(NextPixelError, match="made with model 0001020304050607, this is model ff"):
        read_archive(small_archive(), bytes([255] * 8))
    with pytest.raises(ZeroDivisionError):
        read_archive(small_archive(), FINGERPRINT)


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.npx"
    seen = []

    def chunks():
        for _ in range(3):
            seen.append(path.exists())
            yield b"chunk", 0

    write_archive(path, header(), chunks())
    assert seen == [False] * 3
    assert [file.name for file in path.parent.iterdir()] == ["a.npx"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt], ids=lambda e: e.__name__)
def test_an_interrupted_file_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.npx"
    path.write_bytes(b"before")

    def chunks():
        yield b"chunk", 0
        raise error

    with pytest.raises(error):
        write_archive(path, header(), chunks())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "a.npx").mkdir()
    with (
        pytest.raises(NextPixelError, match=r"cannot write .*a\.npx"),
        replacing(tmp_path / "a.npx") as stream,
    ):
        stream.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npx"]
