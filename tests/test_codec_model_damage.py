"""Damaged archives of real models: an error or the same pixels, whatever was done to the bytes.

`test_codec_damage.py` does the same to the container alone; here the model decodes what is left.
"""

import io
import struct
import time
from zlib import crc32

import numpy as np
import pytest
import torch

from nextpixel.codec import header
from nextpixel.codec.container import open_archive, read_archive
from nextpixel.codec.header import unpack_header, varint
from nextpixel.codec.metadata import pack_metadata
from nextpixel.codec.reader import Reader
from nextpixel.codec.tensors import compress, decompress
from nextpixel.errors import NextPixelError
from tests import fixed
from tests.archives import with_checksum
from tests.test_codec_damage import mutate

NAMES = list(fixed.MODELS)
MODELS = {name: fixed.model(name) for name in NAMES}
WHOLE = {name: fixed.golden(name) for name in NAMES}
READ = {name: read_archive(WHOLE[name]) for name in NAMES}
START = 6
"""Where the fingerprint starts: after magic, version and a size of one byte."""


def read(name, data):
    return decompress(MODELS[name], data)


@pytest.mark.parametrize("name", NAMES)
def test_cut_off_at_any_byte_it_says_so(name):
    for size in range(len(WHOLE[name])):
        with pytest.raises(NextPixelError, match=f"empty|cut off after {size} "):
            read(name, WHOLE[name][:size])


SLOWLY = ["levels", *[pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:]]]
FORGED = [
    pytest.param("learned", marks=[pytest.mark.slow, pytest.mark.long]),
    *[name for name in SLOWLY if getattr(name, "values", None) != ("learned",)],
]


@pytest.mark.parametrize("name", SLOWLY)
def test_with_any_bit_flipped_it_is_refused(name):
    for bit in range(8 * len(WHOLE[name])):
        with pytest.raises(NextPixelError):
            read(name, flipped(WHOLE[name], bit))


@pytest.mark.parametrize("name", FORGED)
def test_with_any_bit_of_a_chunk_flipped_and_its_checksum_forged_it_is_refused(name):
    """So the decoder itself is reached: the bytes have one spelling, the pixels a checksum."""
    for bit in range(8 * READ[name].header_bytes, 8 * len(WHOLE[name])):
        with pytest.raises(NextPixelError, match=r"chunk \d+ (is damaged: cannot de|did not dec)"):
            read(name, mended(flipped(WHOLE[name], bit)))


@pytest.mark.parametrize("name", SLOWLY)
def test_whatever_is_saved_of_a_damaged_archive_is_whole(name):
    header_bytes = READ[name].header_bytes
    for bit in range(8 * header_bytes, 8 * len(WHOLE[name]), 7):
        saved = salvaged(name, flipped(WHOLE[name], bit))
        assert len(saved) < len(fixed.images(name))
    for size in range(header_bytes, len(WHOLE[name])):
        salvaged(name, WHOLE[name][:size])
    assert len(salvaged(name, WHOLE[name] + b"more")) == len(fixed.images(name))


def salvaged(name, data):
    """Numbers of the images that could be saved; each is checked."""
    reader = Reader(open_archive(io.BytesIO(data), salvage=True), MODELS[name])
    found = {}
    for run in reader.intact():
        found |= dict(zip(run, reader.images(run.start, run.stop), strict=True))
    labels = fixed.labels(name)
    for number, (image, label) in found.items():
        assert (image == fixed.images(name)[number].numpy()).all()
        assert label is None or label == labels[number]
    return found


def test_images_next_to_a_damaged_chunk_are_saved():
    starts = READ["labels"].starts
    assert list(salvaged("labels", flipped(WHOLE["labels"], 8 * starts[1]))) == [0, 1, 4]
    assert list(salvaged("labels", WHOLE["labels"][: starts[2] + 1])) == [0, 1, 2, 3]


def test_a_picture_is_saved_whole_or_not_at_all():
    """Its tiles may lie in several chunks."""
    images = fixed.images("tiles")
    data = compress(MODELS["tiles"], images, per_chunk=1)
    starts = read_archive(data).starts
    for chunk in range(8):
        expected = [1 - chunk // 4]
        assert list(salvaged("tiles", flipped(data, 8 * starts[chunk]))) == expected


@pytest.mark.parametrize("more", [b"\0", WHOLE["levels"]], ids=len)
def test_bytes_after_the_end_are_counted(more):
    with pytest.raises(NextPixelError, match=f"followed by {len(more)} bytes not its own"):
        read("levels", WHOLE["levels"] + more)


@pytest.mark.parametrize("name", NAMES)
def test_another_model_is_refused(name):
    for other in set(NAMES) - {name}:
        with pytest.raises(NextPixelError, match=r"was made with model \w{16}, this is model"):
            read(other, WHOLE[name])


# Headers that say what cannot be, with checksums that fit


def forged(name, *, shape=None, levels=None, images=None, per_chunk=None, metadata=None, chunks=1):
    """An archive for the model whose header says anything."""
    model = MODELS[name]
    numbers = (*(shape or model.shape), levels or model.levels, images or 1, per_chunk or 256)
    packed = pack_metadata(metadata or {})
    fingerprint = WHOLE[name][START : START + header.FINGERPRINT_BYTES]
    body = fingerprint + b"".join(map(varint, (*numbers, len(packed)))) + packed
    body += struct.pack("<III", 0, 0, 0) * chunks
    return with_checksum(header.MAGIC + b"\x01" + varint(len(body) + 4) + body + bytes(4))


SENSELESS = {
    "colors": {"shape": (3, 6, 5)},
    "levels": {"levels": 3},
    "more images than tiles": {"metadata": {"images": 2}},
    "images below zero": {"metadata": {"images": -1}},
    "no number of images": {"metadata": {"images": "many"}},
    "images of a list": {"metadata": {"images": [1]}},
    "sizes of zero": {"metadata": {"sizes": [[0, 5]]}},
    "sizes below zero": {"metadata": {"sizes": [[-6, -5]]}},
    "sizes of one number": {"metadata": {"sizes": [[5]]}},
    "sizes of no list": {"metadata": {"sizes": 5}},
    "sizes of words": {"metadata": {"sizes": [["a", "b"]]}},
    "sizes of too many": {"metadata": {"sizes": [[6, 5]] * 3}},
    "sizes without end": {"metadata": {"sizes": [[10**400, 5]]}},
    "sizes beyond 64 bits": {"metadata": {"sizes": [[2**70, 5]]}},
    "tiles that overflow to one": {
        "shape": (1, 1, 1),
        "metadata": {"images": 1, "sizes": [[7, 0x6DB6DB6DB6DB6DB7]]},
    },
    "tiles that overflow to none": {
        "shape": (1, 1, 1),
        "metadata": {"images": 1, "sizes": [[2**32, 2**32]]},
    },
    "tiles that add up to one": {
        "shape": (1, 1, 1),
        "images": 1,
        "metadata": {"images": 2, "sizes": [[1, 2**63 - 1], [1, 2]]},
    },
}


@pytest.mark.parametrize("what", SENSELESS)
def test_a_header_that_makes_no_sense_for_the_model_is_refused(what):
    with pytest.raises(NextPixelError, match="the header of the archive makes no sense"):
        read("levels", forged("levels", **SENSELESS[what]))


def test_the_forger_can_forge():
    """Else the test above proves nothing: a header that makes sense is read, its chunk is not."""
    with pytest.raises(NextPixelError, match="chunk 0"):
        read("levels", forged("levels"))


# Many mutations


def flipped(data, bit):
    data = bytearray(data)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def mended(data):
    """Make lengths and checksums fit but those of the pixels, where the header can be read."""
    try:
        length = START + data[5]
        head = with_checksum(data[:length])
        _, index = unpack_header(head, START)
    except (NextPixelError, IndexError, struct.error):
        return data
    entries, place = b"", length
    for number, entry in enumerate(index):
        end = place + entry.length if number + 1 < len(index) else len(data)
        piece = data[place:end]
        entries += struct.pack("<III", len(piece), crc32(piece), entry.pixels_crc)
        place += len(piece)
    return with_checksum(head[: length - 4 - len(entries)] + entries + bytes(4)) + data[length:]


def fuzz(count, seed):
    """Read so many damaged archives; how each ended, and the longest time that one took."""
    rng = np.random.default_rng(seed)
    expected = {name: fixed.images(name) for name in NAMES}
    tally = dict.fromkeys(("refused", "refused by the decoder", "same"), 0)
    longest = 0.0
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        forger = number // len(NAMES) % 2
        kept = rng.choice([0, READ[name].header_bytes]) if forger else 0
        data = WHOLE[name][kept:]
        for _ in range(int(rng.integers(1, 4))):
            data = mutate(data, rng)
        data = WHOLE[name][:kept] + data
        data = mended(data) if forger else data
        started = time.perf_counter()
        try:
            found = read(name, data)
        except NextPixelError as error:
            decoded = "cannot de" in str(error) or "did not decode" in str(error)
            tally["refused by the decoder" if decoded else "refused"] += 1
        else:
            assert same_pixels(found, expected[name])
            tally["same"] += 1
        longest = max(longest, time.perf_counter() - started)
    return tally, longest


def same_pixels(found, expected):
    """With forged checksums a header may give another shape of the same pixels, no others."""
    return torch.equal(found.flatten().long(), expected.flatten())


@pytest.fixture
def small(monkeypatch):
    """A forged header may ask for more than a test wants to decode."""
    monkeypatch.setattr(header, "MOST_VALUES", 2000)


@pytest.mark.usefixtures("small")
def test_two_hundred_mutations_are_refused_or_the_same():
    tally, _ = fuzz(200, seed=1)
    assert tally["refused"] > 100
    assert tally["refused by the decoder"] > 10


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("count", [3_000, pytest.param(24_000, marks=pytest.mark.long)])
def test_thousands_of_mutations_are_refused_or_the_same(count):
    started = time.perf_counter()
    tally, longest = fuzz(count, seed=2)
    seconds = time.perf_counter() - started
    print(f"\n{count} mutations in {seconds:.0f} s, the longest {longest:.2f} s: {tally}")
    assert sum(tally.values()) == count
    assert tally["refused by the decoder"] > count // 12
    assert longest < 5
