"""A range coder in compiled code: an interval of [0, 1) that every symbol narrows.

Numbers are 64 bits wide and leave in digits of 32 bits, the highest first. A symbol of `parts` of
2^bits, before which lie `start` parts, narrows an interval of width w to w' = floor(w / 2^bits)
times its parts; when w' is below 2^32 a digit leaves, and both ends move up by a digit. A carry
runs back through the digits that have left. With 24 bits the stream is that of constriction's range
coder, word for word.

What rounding costs: w is at least 2^32, so at most log2(1 / (1 - 2^(bits - 32))) bits a symbol,
and some 2^(bits - 36) on average.

References: G. N. N. Martin, "Range encoding", 1979.
"""

import numpy as np

from nextpixel.runtime.compiling import compiled, inlined

LOW, WIDTH, COUNT = range(3)
"""Of the encoder's state (uint64): the low end, the width, and how many digits have left."""

OFFSET = LOW
"""Of the decoder's: how far the stream's number lies above the low end; COUNT: digits taken in."""

WHOLE = (1 << 64) - 1
DIGIT = np.uint64(32)
LAST = np.uint64(0xFFFFFFFF)


@inlined
def _carry(digits, count):
    """Add one to the digits that have left."""
    place = np.int64(count) - 1
    while digits[place] == np.uint32(0xFFFFFFFF):
        digits[place] = np.uint32(0)
        place -= 1
    digits[place] += np.uint32(1)


@inlined
def narrow_one(state, digits, start, parts, bits):
    """Encode a symbol; `digits` has room for one more."""
    scale, before = state[WIDTH] >> np.uint64(bits), state[LOW]
    state[LOW] = before + scale * np.uint64(start)
    if state[LOW] < before:
        _carry(digits, state[COUNT])
    state[WIDTH] = scale * np.uint64(parts)
    if state[WIDTH] <= LAST:
        digits[state[COUNT]] = np.uint32(state[LOW] >> DIGIT)
        state[COUNT] += np.uint64(1)
        state[LOW] <<= DIGIT
        state[WIDTH] <<= DIGIT


@compiled
def narrow(state, digits, starts, parts, bits):
    """Encode symbols; `digits` has room for one more each."""
    for n in range(len(starts)):
        narrow_one(state, digits, starts[n], parts[n], bits)


@inlined
def reached(state, bits):
    """Which of the 2^bits parts the stream names; 2^bits or more if no encoder wrote it."""
    return np.int64(min(state[OFFSET] // (state[WIDTH] >> np.uint64(bits)), LAST))


@inlined
def take(state, words, start, parts, bits):
    """Narrow the decoder's interval to the symbol that was found."""
    scale = state[WIDTH] >> np.uint64(bits)
    state[OFFSET] -= scale * np.uint64(start)
    state[WIDTH] = scale * np.uint64(parts)
    if state[WIDTH] <= LAST:
        place, word = np.int64(state[COUNT]), np.uint64(0)
        if place < len(words):
            word = np.uint64(words[place])
        state[OFFSET] = (state[OFFSET] << DIGIT) | word
        state[WIDTH] <<= DIGIT
        state[COUNT] += np.uint64(1)


@compiled
def read_by_tables(state, words, tables, bits, levels):
    """Decode symbols by their tables (n, K) into `levels`; returns how many: fewer if damaged."""
    for n in range(len(tables)):
        part, level, start = reached(state, bits), 0, np.int64(0)
        if part >> bits:
            return n
        while start + np.int64(tables[n, level]) <= part:
            start += np.int64(tables[n, level])
            level += 1
        take(state, words, start, np.int64(tables[n, level]), bits)
        levels[n] = level
    return len(tables)
