"""Archives: a header with its index, then chunks of bytes, each found and checked on its own.

A chunk is any bytes here; what they mean is for the coder to know. Each has two checksums: of its
bytes, checked when they are read, and of the pixels that come of them, checked by whoever decodes.
Nothing is allocated that the file is not long enough for. See `header.py` for the layout.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from nextpixel.codec.header import (
    LONGEST_VARINT,
    MAGIC,
    VERSION,
    Entry,
    Header,
    read_varint,
    unpack_header,
)
from nextpixel.errors import NextPixelError

LONGEST_CHUNK = (1 << 32) - 1


def pixels_crc(levels: NDArray[Any], start: int = 0) -> int:
    """CRC-32 of integers as two bytes each, lowest first, in C order.

    Args:
        levels: Levels 0..65535, any shape.
        start: CRC-32 of what comes before, as labels.

    Raises:
        ValueError: If one does not fit in two bytes.

    Example:
        >>> hex(pixels_crc(np.array([[1, 2], [3, 255]])))
        '0x65d12c60'
    """
    if levels.size and not 0 <= levels.min() <= levels.max() < 1 << 16:
        raise ValueError(f"levels must be in 0..65535, got {levels.min()}..{levels.max()}")
    return crc32(np.ascontiguousarray(levels, dtype="<u2").tobytes(), start)


class Writer:
    """Writes chunk after chunk; the index is filled in at the end.

    Args:
        stream: Where to, from its current place; must be able to seek.
        header: What will be written.
    """

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        self._stream, self._header = stream, header
        self._index: list[Entry] = []
        self._start = stream.tell()
        stream.write(header.pack())

    def append(self, payload: bytes, pixels: int) -> None:
        """Write the next chunk.

        Args:
            payload: Its bytes.
            pixels: CRC-32 of its pixels, see `pixels_crc`.

        Raises:
            ValueError: If it is one more than the header says, or longer than 4 GiB.
        """
        if len(self._index) == self._header.chunks:
            raise ValueError(f"the archive must have {self._header.chunks} chunks, got one more")
        if len(payload) > LONGEST_CHUNK:
            raise ValueError(f"a chunk must be at most {LONGEST_CHUNK} bytes, got {len(payload)}")
        self._stream.write(payload)
        self._index.append(Entry(len(payload), crc32(payload), pixels))

    def finish(self) -> None:
        """Fill in the index; the archive is none before that.

        Raises:
            ValueError: If chunks are missing.
        """
        header = self._header.pack(self._index)
        end = self._stream.tell()
        self._stream.seek(self._start)
        self._stream.write(header)
        self._stream.seek(end)


def write_archive(
    target: Path | BinaryIO, header: Header, chunks: Iterable[tuple[bytes, int]]
) -> None:
    """Write a whole archive, one chunk in memory at a time.

    Args:
        target: A file, which is replaced when all is written, or a stream.
        header: What will be written.
        chunks: Bytes and CRC-32 of the pixels of each chunk.

    Raises:
        NextPixelError: If the file cannot be written; what was there before stays.
    """
    if isinstance(target, Path):
        with replacing(target) as stream:
            write_archive(stream, header, chunks)
        return
    writer = Writer(target, header)
    for payload, pixels in chunks:
        writer.append(payload, pixels)
    writer.finish()


@dataclass(frozen=True)
class Archive:
    """An archive that was opened: its header is read and checked, its chunks are not.

    Args:
        stream: Where it is.
        header: What it holds.
        index: A line for every chunk.
        starts: Where every chunk starts in the stream, and where the last one ends.
        end: Where the stream ends.
        header_bytes: Bytes before the first chunk: header, index and checksum.
    """

    stream: BinaryIO
    header: Header
    index: tuple[Entry, ...]
    starts: tuple[int, ...]
    end: int
    header_bytes: int

    @property
    def payload_bytes(self) -> int:
        """Bytes of all chunks, as the index says."""
        return self.starts[-1] - self.starts[0]

    def payload(self, chunk: int) -> bytes:
        """The bytes of one chunk; no other is read.

        Raises:
            NextPixelError: If they are not those that were written.
        """
        entry = self.index[chunk]
        if self.starts[chunk + 1] > self.end:
            raise NextPixelError(f"chunk {chunk} is damaged: the archive is cut off before its end")
        self.stream.seek(self.starts[chunk])
        data = self.stream.read(entry.length)
        if len(data) != entry.length or crc32(data) != entry.payload_crc:
            raise NextPixelError(f"chunk {chunk} is damaged: its checksum does not fit")
        return data

    def check_pixels(self, chunk: int, pixels: int) -> None:
        """Compare the pixels that came of a chunk with those that went into it.

        Args:
            chunk: Its number.
            pixels: CRC-32 of its pixels, see `pixels_crc`.

        Raises:
            NextPixelError: If they differ.
        """
        if pixels != self.index[chunk].pixels_crc:
            raise NextPixelError(f"chunk {chunk} did not decode to the pixels it was made from")

    def damaged(self) -> list[int]:
        """The chunks whose bytes are lost; the others can be decoded. Reads all, one at a time."""
        return [chunk for chunk in range(self.header.chunks) if not self._is_whole(chunk)]

    def _is_whole(self, chunk: int) -> bool:
        try:
            self.payload(chunk)
        except NextPixelError:
            return False
        return True


def open_archive(stream: BinaryIO, *, salvage: bool = False, model: bytes | None = None) -> Archive:
    """Read the header, and no more, of an archive that fills the stream from its current place.

    Args:
        stream: Where it is; must be able to seek.
        salvage: Whether to open also what is cut off after the header or goes on after the end.
        model: Fingerprint of the only model whose archives are wanted.

    Raises:
        NextPixelError: If it is none, of another version or model, damaged, cut off or too long.
    """
    start = stream.tell()
    size = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    data, place = _read_header(stream, size)
    header, index = unpack_header(data, place, model)
    starts = [start + len(data)]
    for entry in index:
        starts.append(starts[-1] + entry.length)
    archive = Archive(stream, header, index, tuple(starts), start + size, len(data))
    if not salvage:
        _check_size(size, starts[-1] - start)
    return archive


def read_archive(data: bytes, model: bytes | None = None) -> Archive:
    """Open an archive that is in memory; see `open_archive`."""
    return open_archive(io.BytesIO(data), model=model)


def _read_header(stream: BinaryIO, size: int) -> tuple[bytes, int]:
    """All bytes before the first chunk, and the place where the fingerprint starts."""
    data = stream.read(len(MAGIC) + 1)
    if not data:
        raise NextPixelError("the archive is empty")
    if not data.startswith(MAGIC[: len(data)]):
        raise NextPixelError("this is not a nextpixel archive")
    _check_cut(size, len(MAGIC) + 2)
    if data[-1] != VERSION:
        raise NextPixelError(
            f"the archive is written in format version {data[-1]}, this reads {VERSION}"
        )
    length = _read_size(stream)
    place = len(data) + len(length)
    if length[-1] > 127 and place == size:
        _check_cut(size, place + 1)
    rest, _ = read_varint(length, 0)
    _check_cut(size, place + rest)
    return data + length + stream.read(rest), place


def _read_size(stream: BinaryIO) -> bytes:
    digits = stream.read(1)
    while digits[-1] > 127 and len(digits) < LONGEST_VARINT:
        digit = stream.read(1)
        if not digit:
            break
        digits += digit
    return digits


def _check_cut(size: int, least: int) -> None:
    if size < least:
        raise NextPixelError(
            f"the archive is cut off after {size} bytes: its header needs at least {least}"
        )


def _check_size(size: int, expected: int) -> None:
    if size < expected:
        raise NextPixelError(f"the archive is cut off after {size} of {expected} bytes")
    if size > expected:
        raise NextPixelError(f"the archive is followed by {size - expected} bytes not its own")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes the file when the block ends, and never if it fails.

    What was written can be read from it.

    Raises:
        NextPixelError: If it cannot be written; what was there before stays.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise NextPixelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
