"""The entropy coder: levels and integer tables to bytes and back, exactly.

The range coder is constriction's. It takes probabilities as floats only, and turns a row q of K of
them into parts of 2^24 by `left_k = floor(c * (q_0 + ... + q_{k-1})) + k`, with
`c = (2^24 - K) / (q_0 + ... + q_{K-1})`. Given `q_k = f_k - 1` for our integers f, the sum is
2^24 - K, so c is exactly 1, every sum is an integer below 2^53, and `left_k = f_0 + ... + f_{k-1}`:
our table, to the unit.

A level is coded by where its parts start and how many they are. So the encoder hands over three
entries a symbol (what is below, the level itself, what is above) instead of K: the same bytes.

A stream is a binary fraction: symbol by symbol an interval of [0, 1) is narrowed, and the bytes
name a number in the last one. We write the shortest bytes that, followed by zeros for ever, lie in
it, and of those the lowest: no stream has two spellings.

What it costs: below one byte at the end, and at most log2(1 / (1 - 2^-8)) = 0.0057 bits a symbol
from rounding the interval (2e-4 on average, as measured: 0.3 % where a symbol takes 0.07 bits).

What it does not know: where a stream ends. Zeros may always follow, so missing or wrong bytes show
as other levels until `Decoder.finish` compares.

References:
    G. N. N. Martin, "Range encoding", 1979. R. Bamler, "Understanding entropy coding with
    asymmetric numeral systems", 2022, https://arxiv.org/abs/2201.01741 (constriction).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from nextpixel.codec.tables import PARTS, check_table_shape
from nextpixel.errors import NextPixelError

WORD_BYTES = 4
STATE_BITS = 64

Ints = NDArray[Any]
"""Integers of any width."""

Long = NDArray[np.int64]
Tables = NDArray[np.uint32]
_FAMILY = constriction.stream.model.Categorical(perfect=False)


class Encoder:
    """Narrows one interval by every symbol it is given.

    Example:
        >>> tables = np.array([[2**22, 3 * 2**22], [2**23, 2**23]], np.uint32)
        >>> encoder = Encoder()
        >>> encoder.encode(np.array([1, 0]), tables)
        >>> encoder.finish().hex()
        '40'
    """

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, levels: Ints, tables: Tables) -> None:
        """Append symbols.

        Args:
            levels: Levels 0..K-1, shape (n,).
            tables: Parts of 2^24 of every level, shape (n, K), see `frequencies`.

        Raises:
            ValueError: If a table has a zero or does not sum to 2^24, or a level is not in it.
        """
        self.encode_spans(*spans(levels, tables))

    def encode_spans(self, starts: Ints, parts: Ints) -> None:
        """Append symbols of which only the own part of the table is known.

        Args:
            starts: Sum of the parts of all lower levels, shape (n,).
            parts: Parts of the level itself, at least 1, shape (n,).

        Raises:
            ValueError: If a span does not lie in 0..2^24, or is all of it.
        """
        starts, parts = starts.astype(np.int64), parts.astype(np.int64)
        _check_spans(starts, parts)
        edge = (starts == 0) | (starts + parts == PARTS)
        if edge.all():
            self._append(starts > 0, _two_entries(starts, parts))
        elif parts.max() <= PARTS - 2:
            self._append(*_three_entries(starts, parts))
        else:  # a span of 2^24 - 1 parts leaves no room for three entries: one symbol at a time
            for start, part in zip(starts, parts, strict=True):
                self.encode_spans(start[None], part[None])

    def finish(self) -> bytes:
        """The stream so far, as short as it can be; empty if nothing was to be said."""
        count, (low, width) = self._coder.pos()
        words = self._coder.get_compressed().astype(">u4").tobytes()
        size = WORD_BYTES * (count + STATE_BITS // (8 * WORD_BYTES))
        point = int.from_bytes(words.ljust(size, b"\0"), "big")
        # The words name a number in the last interval, whose low end is `low` modulo 2^64.
        first = point - (point - low) % (1 << STATE_BITS)
        return _shortest(first, first + width, size)

    def _append(self, symbols: NDArray[Any], entries: NDArray[np.float64]) -> None:
        with _one_error("encode"):
            self._coder.encode(symbols.astype(np.int32), _FAMILY, entries)


class Decoder:
    """Reads back what an `Encoder` wrote, given the same tables in the same order.

    Args:
        data: All bytes of one stream.

    Example:
        >>> tables = np.array([[2**22, 3 * 2**22], [2**23, 2**23]], np.uint32)
        >>> decoder = Decoder(bytes.fromhex("40"))
        >>> decoder.decode(tables).tolist()
        [1, 0]
        >>> decoder.finish()
    """

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)
        padded = self._data + bytes(-len(data) % WORD_BYTES)
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._again = Encoder()

    def decode(self, tables: Tables) -> Long:
        """Read the next symbols.

        Args:
            tables: Parts of 2^24 of every level, shape (n, K).

        Returns:
            Levels 0..K-1, shape (n,). Of wrong bytes or tables, wrong levels: see `finish`.

        Raises:
            ValueError: If a table has a zero or does not sum to 2^24.
            NextPixelError: If no encoder can have written the bytes.
        """
        ends = _ends(tables)
        levels = self.next(np.subtract(tables, 1, dtype=np.float64, order="C"))
        self.confirm(*_spans(levels, tables, ends))
        return levels

    def next(self, entries: NDArray[np.float64]) -> Long:
        """Read the next symbols by tables that need no check; `confirm` them before `finish`.

        Args:
            entries: Parts of 2^24 of every level less one, shape (n, K), each row summing to
                2^24 - K.

        Raises:
            NextPixelError: If no encoder can have written the bytes.
        """
        with _one_error("decode"):
            levels: Long = self._coder.decode(_FAMILY, entries).astype(np.int64)
        return levels

    def confirm(self, starts: Ints, parts: Ints) -> None:
        """Say which spans the symbols that were read have, in order; see `Encoder.encode_spans`."""
        if len(starts):
            self._again.encode_spans(starts, parts)

    def finish(self) -> None:
        """Check that the symbols read are all there is, and that the bytes are theirs.

        The symbols are encoded again on the way; the streams must be equal.

        Raises:
            NextPixelError: If bytes are left over, were missing, or belong to other symbols.
        """
        if self._again.finish() != self._data:
            raise NextPixelError("cannot decode: the stream does not end with its last symbol")


def spans(levels: Ints, tables: Tables) -> tuple[Long, Long]:
    """Where the parts of every level start, and how many they are.

    Args:
        levels: Levels 0..K-1, shape (n,).
        tables: Parts of 2^24 of every level, shape (n, K).

    Returns:
        Starts and parts, both of shape (n,).

    Raises:
        ValueError: If a table has a zero or does not sum to 2^24, or a level is not in it.
    """
    ends = _ends(tables)
    levels = np.asarray(levels)
    if levels.shape != ends.shape[:1] or not np.issubdtype(levels.dtype, np.integer):
        raise ValueError(f"levels must be {len(ends)} integers, got {levels.dtype} {levels.shape}")
    if len(levels) and not 0 <= levels.min() <= levels.max() < ends.shape[1]:
        raise ValueError(
            f"levels must be in 0..{ends.shape[1] - 1}, got {levels.min()}..{levels.max()}"
        )
    return _spans(levels, tables, ends)


def _spans(levels: Ints, tables: Tables, ends: Tables) -> tuple[Long, Long]:
    rows = np.arange(len(levels))
    parts = tables[rows, levels].astype(np.int64)
    return ends[rows, levels].astype(np.int64) - parts, parts


def _ends(tables: Tables) -> Tables:
    """Running sums of checked tables, shape (n, K) -> (n, K)."""
    check_table_shape(tables)
    if tables.dtype != np.uint32:
        raise ValueError(f"tables must be uint32, got {tables.dtype}")
    total, least = tables.sum(axis=1, dtype=np.int64), tables.min(axis=1)
    wrong = (total != PARTS) | (least == 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"tables must sum to {PARTS} without a zero, "
            f"got sum {total[row]} and least {least[row]} in row {row}"
        )
    ends: Tables = np.cumsum(tables, axis=1, dtype=np.uint32)
    return ends


def _check_spans(starts: Long, parts: Long) -> None:
    if starts.ndim != 1 or starts.shape != parts.shape:
        raise ValueError(f"spans must be two rows, got shapes {starts.shape} and {parts.shape}")
    good = (starts >= 0) & (parts >= 1) & (parts < PARTS) & (starts + parts <= PARTS)
    if not good.all():
        row = int(good.argmin())
        raise ValueError(
            f"a span must lie in 0..{PARTS} and leave a part to others, "
            f"got {parts[row]} parts from {starts[row]} in row {row}"
        )


def _two_entries(starts: Long, parts: Long) -> NDArray[np.float64]:
    """A span at the edge and what is next to it, less one each, shape (n, 2)."""
    lower = np.where(starts > 0, starts, parts)
    return np.stack([lower - 1, PARTS - lower - 1], axis=1).astype(np.float64)


def _three_entries(starts: Long, parts: Long) -> tuple[Long, NDArray[np.float64]]:
    """Which of three entries is the span, shape (n,), and the entries less one, shape (n, 3).

    A span at an edge takes the outermost entry; one part of what is next to it goes to the third.
    """
    which = np.where(starts == 0, 0, np.where(starts + parts == PARTS, 2, 1))
    first = np.choose(which, [parts, starts, starts - 1])
    last = np.choose(which, [1, PARTS - starts - parts, parts])
    entries = np.stack([first, PARTS - first - last, last], axis=1)
    return which, (entries - 1).astype(np.float64)


def _shortest(first: int, end: int, size: int) -> bytes:
    """The fewest bytes that name a number in [first, end), of `size` bytes; the lowest of those."""
    if first == 0:
        return b""
    cut = 0
    while -(-first >> 8 * (cut + 1)) << 8 * (cut + 1) < end:
        cut += 1
    return (-(-first >> 8 * cut)).to_bytes(size - cut, "big")


@contextmanager
def _one_error(task: str) -> Iterator[None]:
    """Turn whatever the library raises into our error; it knows no class of its own."""
    try:
        yield
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        raise NextPixelError(f"cannot {task}: {error.args[0] if error.args else error}") from error
