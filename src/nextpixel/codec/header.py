"""The header of an archive: what is in it, for which model, and where every chunk lies.

Byte by byte (numbers are varints: seven bits a byte, lowest first, the top bit says that more come;
`u32` is four bytes, lowest first):

====================  =========================================================================
``8d 4e 50 58``       magic: a byte that no text holds, then "NPX"
version               one byte, 1
size                  varint: bytes from here (after this number) to the end of the header
fingerprint           8 bytes: which model, see `fingerprint`
colors height width   three varints: shape of an image as the model sees it
levels                varint, 2..65536
images                varint
per chunk             varint: images in every chunk but the last
metadata              varint length, then its bytes (`metadata.py`)
index                 for each chunk: u32 length, u32 CRC-32 of its bytes, u32 CRC-32 of its pixels
checksum              u32 CRC-32 of everything before it, magic and version included
====================  =========================================================================

The chunks follow in order, without gaps, and nothing after them. The index has one size for a given
number of images: it is written blank, and filled in when the chunks are there.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any
from zlib import crc32

from nextpixel.checkpoint import stored_state
from nextpixel.codec.metadata import pack_metadata, unpack_metadata
from nextpixel.codec.tables import MOST_LEVELS
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel

MAGIC = b"\x8dNPX"
VERSION = 1
FINGERPRINT_BYTES = 8
MOST_VALUES = 1 << 28
"""Sub-pixels a chunk may hold: what a reader may have to allocate at once."""

ORDERS = "orders"
"""Set in the metadata to "best" where each image was coded in the best of the mirror orders."""
BANDS = "bands"
"""Set in the metadata to true where tiles are bands, which a net of one window codes."""
ADAPT = "adapt"
"""Set in the metadata to 1 where the net goes on learning in each image, see `codec.learning`."""
GRAY = "gray"
"""In the metadata: the images that have one color and are shown to the net in three alike; true:
all."""

LONGEST_VARINT = 9
_ENTRY = struct.Struct("<III")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Entry:
    """A line of the index: a chunk's length in bytes, and the CRC-32 of its bytes and pixels."""

    length: int = 0
    payload_crc: int = 0
    pixels_crc: int = 0


@dataclass(frozen=True)
class Header:
    """What an archive holds.

    Args:
        fingerprint: Which model, 8 bytes.
        shape: (C, H, W) of every image as the model sees it.
        levels: K, 2..65536.
        images: How many.
        per_chunk: Images in every chunk but the last.
        metadata: JSON values: what the source was, names, whether there are labels.

    Raises:
        ValueError: If a number is out of its range.
    """

    fingerprint: bytes
    shape: tuple[int, int, int]
    levels: int
    images: int
    per_chunk: int = 256
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.fingerprint) != FINGERPRINT_BYTES:
            raise ValueError(
                f"fingerprint must be {FINGERPRINT_BYTES} bytes, got {len(self.fingerprint)}"
            )
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be (C, H, W) of at least one each, got {self.shape}")
        if not 2 <= self.levels <= MOST_LEVELS:
            raise ValueError(f"levels must be in 2..{MOST_LEVELS}, got {self.levels}")
        if self.images < 0 or self.per_chunk < 1:
            raise ValueError(
                "images must be at least 0 and per_chunk at least 1, "
                f"got {self.images} and {self.per_chunk}"
            )
        values = min(self.images, self.per_chunk) * self.shape[0] * self.shape[1] * self.shape[2]
        if values > MOST_VALUES:
            raise ValueError(f"a chunk must hold at most {MOST_VALUES} sub-pixels, got {values}")

    @property
    def chunks(self) -> int:
        """How many chunks.

        Example:
            >>> Header(bytes(8), (1, 28, 28), 2, images=10_000).chunks
            40
        """
        return -(-self.images // self.per_chunk)

    def images_in(self, chunk: int) -> range:
        """Which images a chunk holds.

        Example:
            >>> Header(bytes(8), (1, 28, 28), 2, images=10_000).images_in(39)
            range(9984, 10000)
        """
        return range(chunk * self.per_chunk, min((chunk + 1) * self.per_chunk, self.images))

    def pack(self, index: Sequence[Entry] | None = None) -> bytes:
        """All bytes before the first chunk; of one length, whatever the index.

        Raises:
            ValueError: If the index has not a line for every chunk.
        """
        index = [Entry()] * self.chunks if index is None else index
        if len(index) != self.chunks:
            raise ValueError(f"the index must have {self.chunks} entries, got {len(index)}")
        metadata = pack_metadata(self.metadata)
        numbers = (*self.shape, self.levels, self.images, self.per_chunk, len(metadata))
        body = self.fingerprint + b"".join(map(varint, numbers)) + metadata
        body += b"".join(_ENTRY.pack(e.length, e.payload_crc, e.pixels_crc) for e in index)
        start = MAGIC + bytes([VERSION]) + varint(len(body) + _CHECKSUM.size) + body
        return start + _CHECKSUM.pack(crc32(start))


def check_fingerprint(found: bytes, wanted: bytes | None) -> None:
    """Refuse an archive of another model than the one that is wanted, if there is one.

    Raises:
        NextPixelError: If it is of another.
    """
    if wanted not in (None, found):
        raise NextPixelError(
            f"the archive was made with model {found.hex()}, this is model {wanted.hex()}"
        )


def unpack_header(
    data: bytes, start: int, model: bytes | None = None
) -> tuple[Header, tuple[Entry, ...]]:
    """Read a header that is all there.

    Args:
        data: All bytes before the first chunk.
        start: Where the fingerprint starts, after magic, version and size.
        model: The only model whose archives are wanted: nothing is unpacked of others.

    Raises:
        NextPixelError: If the checksum does not fit, the numbers make no sense, or the model is
            another.
    """
    end = len(data) - _CHECKSUM.size
    if end < start + FINGERPRINT_BYTES or _CHECKSUM.unpack_from(data, end)[0] != crc32(data[:end]):
        raise NextPixelError("the header of the archive is damaged: its checksum does not fit")
    fingerprint, place = data[start : start + FINGERPRINT_BYTES], start + FINGERPRINT_BYTES
    check_fingerprint(fingerprint, model)
    numbers = []
    for _ in range(7):
        number, place = read_varint(data[:end], place)
        numbers.append(number)
    colors, height, width, levels, images, per_chunk, length = numbers
    metadata, place = data[place : min(place + length, end)], place + length
    try:
        values = unpack_metadata(metadata)
        header = Header(fingerprint, (colors, height, width), levels, images, per_chunk, values)
    except ValueError as error:
        raise NextPixelError(f"the header of the archive makes no sense: {error}") from error
    if end - place != header.chunks * _ENTRY.size:
        raise NextPixelError(
            f"the header of the archive makes no sense: {header.chunks} chunks need an index of "
            f"{header.chunks * _ENTRY.size} bytes, there are {max(end - place, 0)}"
        )
    return header, tuple(Entry(*line) for line in _ENTRY.iter_unpack(data[place:end]))


def varint(number: int) -> bytes:
    """A number of at least 0 as seven bits a byte, lowest first.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    digits = bytearray()
    while number > 127:
        digits.append(128 | number & 127)
        number >>= 7
    return bytes([*digits, number])


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at a place and the place after it.

    Raises:
        NextPixelError: If it does not end, or is spelled longer than need be.

    Example:
        >>> read_varint(bytes.fromhex("ac02"), 0)
        (300, 2)
    """
    digits = data[place : place + LONGEST_VARINT]
    size = next((at + 1 for at, digit in enumerate(digits) if digit < 128), 0)
    if not size or (size > 1 and digits[size - 1] == 0):
        raise NextPixelError("the header of the archive is damaged: a number in it has no end")
    return sum((digit & 127) << 7 * at for at, digit in enumerate(digits[:size])), place + size


def fingerprint(model: PixelModel) -> bytes:
    """The first 8 bytes of SHA-256 over name, shape, levels, options and weights.

    Weights count as float32, the bits that the step engine computes with. Options count where they
    differ from their defaults, so that one that a later version adds changes no older model.
    """
    described = {
        "name": model.name,
        "shape": list(model.shape),
        "levels": model.levels,
        "options": _chosen(model.config),
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for name, value in sorted(stored_state(model).items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.digest()[:FINGERPRINT_BYTES]


def _chosen(value: Any) -> Any:  # noqa: ANN401 - whatever an option may be
    """What was chosen of a configuration: its options that are not their defaults, as JSON has it.

    Example:
        >>> from nextpixel.nn import ClassCondition
        >>> _chosen((ClassCondition(classes=3, form="gate"),))
        [{'classes': 3, 'form': 'gate'}]
    """
    if isinstance(value, tuple | list):
        return [_chosen(part) for part in value]
    if not is_dataclass(value):
        return value
    options = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: _chosen(own) for name, (own, default) in options.items() if own != default}
