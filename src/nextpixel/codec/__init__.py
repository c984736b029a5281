"""Bytes: integer tables, the entropy coder, and the archive; the coder knows no network."""

from nextpixel.codec.coder import Decoder, Encoder
from nextpixel.codec.container import Archive, Writer, open_archive, pixels_crc, write_archive
from nextpixel.codec.frequency import frequencies
from nextpixel.codec.header import Header

__all__ = [
    "Archive",
    "Decoder",
    "Encoder",
    "Header",
    "Writer",
    "frequencies",
    "open_archive",
    "pixels_crc",
    "write_archive",
]
