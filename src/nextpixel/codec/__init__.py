"""Lossless compression by exact models: integer tables, an entropy coder, archives of chunks."""

from nextpixel.codec.coder import Decoder, Encoder
from nextpixel.codec.container import Archive, Writer, open_archive, pixels_crc, write_archive
from nextpixel.codec.header import Header
from nextpixel.codec.tables import frequencies
from nextpixel.codec.tensors import compress, decompress

__all__ = [
    "Archive",
    "Decoder",
    "Encoder",
    "Header",
    "Writer",
    "compress",
    "decompress",
    "frequencies",
    "open_archive",
    "pixels_crc",
    "write_archive",
]
