"""What must be known of the source to write it back: a small dictionary as few bytes.

The dictionary is written as JSON (keys sorted, no spaces, ASCII only), so its bytes leave 128..255
free. There they stand for phrases that most archives hold. A long list of file names is packed by
bzip2 where that is shorter: unlike zlib, of which several versions with different output are about,
its output has not changed since version 1.0.
"""

import bz2
import json
from collections.abc import Mapping
from typing import Any

from nextpixel.errors import NextPixelError

LARGEST = 1 << 20
"""Bytes of JSON beyond which nothing is unpacked: 1 MiB, about thirty thousand file names."""

PHRASES = (
    '{"dtype":"|u1","kind":"npy","shape":[',
    '{"dtype":"<i8","kind":"npy","shape":[',
    '{"dtype":"|b1","kind":"npy","shape":[',
    '{"dtype":"|u1","kind":"npy","pixels":true,"shape":[',
    '{"kind":"folder","names":["',
    '{"kind":"png"}',
    ',"images":',
    ',"sizes":[[',
    ',"pixels":true',
    ',"fortran":true',
    '{"dtype":"',
    '"kind":"npy"',
    '"kind":"png"',
    '"kind":"folder"',
    ',"names":["',
    ',"shape":[',
    '.png","',
    '.png"]',
    "],[",
    "false",
    "null",
    "true",
    '"<i4"',
    '"<i2"',
    '"<u2"',
    "28,28",
    "32,32",
    "64,64",
    ",28,28]}",
    ",1,28,28]}",
    ",3,32,32]}",
    "1,28,28]}",
    ',"',
    '":"',
    '","',
    "]]}",
    "]}",
    '"}',
)
"""Phrase i is written as byte 128 + i. Part of format version 1: it can change only with that."""

PLAIN, BZIP2 = 0, 1


def pack_metadata(values: Mapping[str, Any]) -> bytes:
    """A dictionary of JSON values as bytes; an empty one as none.

    Raises:
        ValueError: If a value cannot be JSON, or all are too long.

    Example:
        >>> pack_metadata({"kind": "npy", "dtype": "|u1", "shape": [28, 28]}).hex()
        '008099a4'
    """
    if not values:
        return b""
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"metadata must be JSON values: {error}") from error
    if len(text) > LARGEST:
        raise ValueError(
            f"metadata (names and sizes) must be at most {LARGEST} bytes as JSON, got {len(text)}: "
            "compress fewer files at a time"
        )
    plain = bytes([PLAIN]) + _abbreviate(text.encode("ascii"))
    packed = bytes([BZIP2]) + bz2.compress(text.encode("ascii"))
    return min(plain, packed, key=len)


def unpack_metadata(data: bytes) -> dict[str, Any]:
    """What was packed.

    Raises:
        NextPixelError: If the bytes are not what `pack_metadata` writes.

    Example:
        >>> unpack_metadata(bytes.fromhex("008099a4"))
        {'dtype': '|u1', 'kind': 'npy', 'shape': [28, 28]}
    """
    if not data:
        return {}
    try:
        values = json.loads(_unpack(data))
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise NextPixelError(f"the description of the source cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise NextPixelError("the description of the source is not a dictionary")
    return values


def _unpack(data: bytes) -> bytes:
    method, body = data[0], data[1:]
    if method == PLAIN:
        text = b"".join(_EXPANSION[byte] for byte in body[: LARGEST + 1])
        if len(text) > LARGEST:
            raise ValueError(f"it is longer than {LARGEST} bytes")
        return text
    if method != BZIP2:
        raise ValueError(f"unknown packing {method}")
    reader = bz2.BZ2Decompressor()
    text = reader.decompress(body, max_length=LARGEST)
    if not reader.eof or reader.unused_data:
        raise ValueError("its end is not where it should be")
    return text


def _abbreviate(text: bytes) -> bytes:
    """Replace phrases by their bytes, the longest first, and the earlier of two of one length."""
    for number in sorted(range(len(PHRASES)), key=lambda number: (-len(PHRASES[number]), number)):
        text = text.replace(PHRASES[number].encode("ascii"), bytes([128 + number]))
    return text


_EXPANSION = [bytes([byte]) for byte in range(128)]
_EXPANSION += [phrase.encode("ascii") for phrase in PHRASES]
_EXPANSION += [b"\0"] * (256 - len(_EXPANSION))  # no JSON: a byte of no phrase is refused
