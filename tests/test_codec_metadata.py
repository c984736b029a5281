"""What describes the source: back as it was, few bytes, the same bytes everywhere."""

import bz2
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpixel.codec import metadata
from nextpixel.codec.metadata import PHRASES, pack_metadata, unpack_metadata
from nextpixel.errors import NextPixelError

law = settings(derandomize=True, deadline=None, max_examples=50, database=None)
number = st.floats(allow_nan=False, allow_infinity=False)
text = st.one_of(st.text(max_size=20), st.sampled_from(PHRASES))
plain = st.one_of(st.none(), st.booleans(), st.integers(), number, text)
values = st.one_of(plain, st.lists(plain, max_size=4), st.dictionaries(text, plain, max_size=4))


@law
@given(st.dictionaries(text, values, max_size=6))
def test_any_json_comes_back(described):
    assert unpack_metadata(pack_metadata(described)) == described


def test_the_order_of_the_keys_does_not_matter():
    assert pack_metadata({"a": 1, "b": 2}) == pack_metadata({"b": 2, "a": 1})


def test_fixed_values_give_fixed_bytes():
    described = {"kind": "folder", "names": ["3/seven.png"], "pixels": True}
    assert pack_metadata(described).hex() == "0084332f736576656e91887d"


def test_ten_thousand_names_take_less_than_a_byte_and_a_half_each():
    names = [f"t10k-{number:05d}.png" for number in range(10_000)]
    packed = pack_metadata({"kind": "folder", "mode": "L", "names": names})
    assert len(packed) < 15_000
    assert unpack_metadata(packed)["names"] == names


def test_phrases_are_few_ascii_and_different():
    assert len(PHRASES) <= 128
    assert len(set(PHRASES)) == len(PHRASES)
    assert all(text.isascii() for text in PHRASES)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", float("nan"), float("inf")], ids=str)
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ValueError, match=r"metadata must be|not JSON compliant"):
        pack_metadata({"value": value})


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(metadata, "LARGEST", 100)
    with pytest.raises(ValueError, match="must be at most 100 bytes as JSON, got 212"):
        pack_metadata({"names": "x" * 200})


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"\0{",
        b"\0{}}",
        b"\0\xff",
        b"\2{}",
        b"\1",
        b"\1junk",
        b"\1" + bz2.compress(b"{}")[:-3],
        b"\1" + bz2.compress(b"{}") + b"x",
        b"\0" + b"[" * 100_000,
        b"\0[]",
        b"\0" + b'{"n":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda data: data[:8].hex() + f"-{len(data)}",
)
def test_what_was_not_packed_is_one_error(data):
    with pytest.raises(NextPixelError, match="the description of the source"):
        unpack_metadata(data)


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(metadata, "LARGEST", 1000)
    with pytest.raises(NextPixelError, match="its end is not where it should be"):
        unpack_metadata(b"\1" + bz2.compress(b" " * 1_000_000 + b"{}"))
    with pytest.raises(NextPixelError, match="it is longer than 1000 bytes"):
        unpack_metadata(b"\0" + b"\x84" * 300)


def test_at_most_one_mebibyte_is_unpacked():
    assert metadata.LARGEST == 1 << 20
    whole = b"\1" + bz2.compress(b" " * ((1 << 20) - 2) + b"{}")
    assert unpack_metadata(whole) == {}
    with pytest.raises(NextPixelError, match="its end is not where it should be"):
        unpack_metadata(b"\1" + bz2.compress(b" " * ((1 << 20) - 1) + b"{}"))


def test_the_page_of_the_format_lists_the_phrases():
    page = Path(__file__).parents[1] / "docs" / "compression.md"
    cells = re.findall(r"`([89a][0-9a-f])` \| `(.+?)` \|", page.read_text(encoding="utf-8"))
    listed = {int(byte, 16): phrase.replace("\\|", "|") for byte, phrase in cells}
    assert listed == {128 + number: phrase for number, phrase in enumerate(PHRASES)}
