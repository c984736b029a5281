"""A small archive for the tests: three chunks of levels under one fixed table, and its reader."""

import io
import struct
from zlib import crc32

import numpy as np

from nextpixel.codec.coder import Decoder, Encoder
from nextpixel.codec.container import open_archive, pixels_crc, write_archive
from nextpixel.codec.header import Header, check_fingerprint
from nextpixel.codec.tables import frequencies

FINGERPRINT = bytes(range(8))
SHAPE, LEVELS, IMAGES, PER_CHUNK = (1, 4, 5), 4, 10, 4
LARGEST = 100_000
METADATA = {"kind": "npy", "dtype": "|u1", "shape": [10, 4, 5]}
TABLE = frequencies(np.array([[0.7, 0.1, 0.1, 0.1]]))


def header(**changes):
    values = {
        "fingerprint": FINGERPRINT,
        "shape": SHAPE,
        "levels": LEVELS,
        "images": IMAGES,
        "per_chunk": PER_CHUNK,
        "metadata": METADATA,
    }
    return Header(**(values | changes))


def images():
    """Levels of shape (10, 1, 4, 5)."""
    draws = np.random.default_rng(3).random((IMAGES, *SHAPE))
    return np.maximum(0, (draws * 10 - 6)).astype(np.int64)


def encode_chunk(levels):
    """Bytes and checksum of one chunk."""
    encoder = Encoder()
    encoder.encode(levels.ravel(), TABLE.repeat(levels.size, axis=0))
    return encoder.finish(), pixels_crc(levels)


def small_archive():
    """All bytes of an archive of ten images in three chunks."""
    stream, head, levels = io.BytesIO(), header(), images()
    chunks = (encode_chunk(levels[head.images_in(chunk)]) for chunk in range(head.chunks))
    write_archive(stream, head, chunks)
    return stream.getvalue()


def read_images(data, *, fingerprint=FINGERPRINT):
    """Everything checked and decoded, as a real reader does it."""
    archive = open_archive(io.BytesIO(data))
    check_fingerprint(archive.header.fingerprint, fingerprint)
    chunks = [read_chunk(archive, chunk) for chunk in range(archive.header.chunks)]
    return np.concatenate([np.zeros((0, *archive.header.shape), np.int64), *chunks])


def read_chunk(archive, chunk):
    head = archive.header
    decoder = Decoder(archive.payload(chunk))
    size = len(head.images_in(chunk)) * int(np.prod(head.shape))
    if size > LARGEST:
        raise MemoryError("a forged header may ask for more than a test wants to decode")
    levels = decoder.decode(TABLE.repeat(size, axis=0))
    decoder.finish()
    archive.check_pixels(chunk, pixels_crc(levels))
    return levels.reshape(-1, *head.shape)


def with_checksum(head):
    """A header whose last four bytes are made to fit the others."""
    return head[:-4] + struct.pack("<I", crc32(head[:-4]))
