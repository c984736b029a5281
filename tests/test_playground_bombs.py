"""Archives of strangers whose description is a bomb: it is not unpacked, whoever it is for."""

import bz2
import tracemalloc
from zlib import crc32

import pytest

import nextpixel as npx
from nextpixel.codec.header import MAGIC, VERSION, fingerprint, varint
from tests import playgrounds
from tests.playgrounds import refused

MIB = 2**20
BOMB = b"\1" + bz2.compress(b'{"kind":"npy"' + b" " * (64 * MIB) + b"}")
"""64 MiB of JSON in less than 1 KB."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return playgrounds.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground([folders["plain"]]) as client:
        client.post("/api/sample", json={"model": "plain"})  # loads the model
        yield client


def archive(of, metadata, images=0):
    """A header of no chunks with a checksum that fits."""
    numbers = (1, 6, 5, 2, images, 256, len(metadata))
    body = of + b"".join(map(varint, numbers)) + metadata
    start = MAGIC + bytes([VERSION]) + varint(len(body) + 4) + body
    return start + crc32(start).to_bytes(4, "little")


def decompress(client, content):
    """The answer, and the most memory that it took, MiB."""
    tracemalloc.start()
    try:
        answer = client.post("/api/decompress", data={"model": "plain"}, files={"archive": content})
        return answer, tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_the_archive_is_as_small_as_strangers_make_it(folders):
    assert len(archive(bytes(8), BOMB)) < 3000
    assert len(bz2.decompress(BOMB[1:])) > 60 * MIB


@pytest.mark.parametrize("metadata", [BOMB, b"\1junk"], ids=["bomb", "junk"])
def test_of_an_archive_of_another_model_nothing_is_unpacked(client, metadata):
    answer, memory = decompress(client, archive(bytes(8), metadata))
    refused(answer, 422, None, f"made with model {bytes(8).hex()}")  # not that it cannot be read
    assert memory < 8


def test_of_a_bomb_for_this_very_model_no_more_is_unpacked_than_a_description_takes(
    client, folders
):
    own = fingerprint(npx.load(folders["plain"]))
    answer, memory = decompress(client, archive(own, BOMB))
    refused(answer, 422, None, "the description of the source cannot be read")
    assert memory < 8


def test_an_archive_that_is_no_bomb_is_read(client, folders):
    own = fingerprint(npx.load(folders["plain"]))
    answer, _ = decompress(client, archive(own, b""))
    refused(answer, 422, "archive", "must hold images of one size")
