"""Coding along a scan, in compiled code: which parts of 2^bits each sub-pixel's level has.

A head of few levels gives weights of all of them, and the level's span is that of the table which
`codec.tables` describes. A head of many levels gives the probability F(k) of the levels below k,
and the span is found by bisection of 0..K, on a path that encoder and decoder share:

- C(0) = 0 and C(K) = 2^bits;
- between k and m, at n = floor((k + m) / 2), C(n) is n + floor(F(n) (2^bits - K)), but at least
  C(k) + n - k and at most C(m) - (m - n).

So each level has at least one part, whatever F is, and 16 bits take 16 evaluations of it. Where F
is monotone the bounds are never reached, and a level takes at most -log2(1 - K / 2^bits) bits more
than its probability says.

Where the head says around which level most of the probability lies, and how far from there, the
path begins there instead of in the middle, and leaves it by steps that double: `paced`.
"""

import numpy as np

from nextpixel.codec.range_coder import reached, take
from nextpixel.codec.tables import PARTS
from nextpixel.engine.cpu.choosing import read, spot_of, weigh
from nextpixel.engine.cpu.kernels import SHARED, begin_row, choice_of, predict, turn_to, write
from nextpixel.heads.compiled import Query
from nextpixel.runtime.compiling import call_at, compiled, inlined
from nextpixel.runtime.numbers import log64

PLAIN = (1.0, 1 << 62, 1.0)
"""No truncation: temperature, top_k and top_p that keep all."""

BY_TABLE, BY_CDF = 24, 26
"""Bits of the parts; more for heads with a CDF: 2^16 levels with a part each are much of 2^24."""


@inlined
def tabulate(weights, total, table):
    """Parts of 2^24 for each level, see `codec.tables`."""
    scale, used, best = (PARTS - len(weights)) / total, np.int64(0), 0
    for k in range(len(weights)):
        table[k] = 1 + np.int64(np.floor(weights[k] * scale))
        used += table[k]
    while weights[best] < 1.0:  # the largest is 1
        best += 1
    table[best] += PARTS - used


@inlined
def table_of(choice, image, table):
    """The table of a sub-pixel; the largest of its log-weights, and the sum of its weights."""
    largest = read(choice, image)
    total = weigh(choice.p, largest, 1.0, choice.probabilities)
    tabulate(choice.probabilities, total, table)
    return largest, total


@inlined
def search(table, part):
    """The level that has a part, where its parts start, and how many they are."""
    level, start = 0, np.int64(0)
    while start + table[level] <= part:
        start += table[level]
        level += 1
    return level, start, table[level]


@inlined
def first_probe(choice, result, moments):
    """Where the path begins, and its first step; step 0: in the middle, by halves."""
    middle = choice.level_count // 2
    if moments == 0:
        return middle, 0
    call_at(moments, Query(choice.room, 0, result))
    if 1.0 <= result[0] <= choice.level_count - 1.0:
        middle = np.int64(result[0])
    call_at(moments, Query(choice.room, 1, result))
    return middle, np.int64(result[0]) if 1.0 <= result[0] < choice.level_count else 1


@inlined
def paced(low, high, middle, step, whole):
    """The next place between low and high, and the step after it: by steps while a side is open."""
    if step > 0 and (low == 0 or high == whole):
        place = middle + step if low == middle else middle - step
        if low < place < high:
            return place, 2 * step
    return (low + high) // 2, 0


@inlined
def descend(choice, result, level, part, moments):
    """The level that has a part, or with `part` -1 the level itself; its start and its parts.

    `moments`: address of the head's function, or 0.
    """
    low, high, start, end = 0, choice.level_count, np.int64(0), np.int64(1) << BY_CDF
    spare = (1 << BY_CDF) - choice.level_count
    middle, step = first_probe(choice, result, moments)
    while high - low > 1:
        call_at(choice.cdf[1], Query(choice.room, middle, result))
        at = middle + np.int64(np.floor(result[0] * spare))
        at = min(max(at, start + (middle - low)), end - (high - middle))
        if part < at if part >= 0 else level < middle:
            high, end = middle, at
        else:
            low, start = middle, at
        middle, step = paced(low, high, middle, step, choice.level_count)
    return low, start, end - start


@inlined
def span_by_table(choice, image, table, level):
    """Start and parts of a known level, and its log-probability."""
    largest, total = table_of(choice, image, table)
    start = np.int64(0)
    for k in range(level):
        start += table[k]
    return start, table[level], (choice.p[level] - largest) - log64(total)


@inlined
def span_by_cdf(choice, prepare, image, level, moments):
    """As `span_by_table`; `prepare` and `moments`: addresses of the head's functions."""
    result = choice.room[len(choice.room) - 1 :]
    call_at(prepare, spot_of(choice, image, choice.room))
    _, start, parts = descend(choice, result, level, -1, moments)
    call_at(choice.cdf[2], Query(choice.room, level, result))
    return start, parts, result[0]


@inlined
def span_of(choice, prepare, image, table, level, moments=0):
    """As `span_by_table`, by the table if there is one, else by the CDF."""
    if len(table):
        return span_by_table(choice, image, table, level)
    return span_by_cdf(choice, prepare, image, level, moments)


@compiled
def spans_here(plan, block, table, starts, parts, place):
    """The spans of the known levels of one sub-pixel: first and last image, row, column, color."""
    first, last, row, column, color = place
    choice = choice_of(plan, block, PLAIN, first, last, row, column, color)
    for image in range(first, last):
        if block.known[image, color, row, column]:
            continue
        level = block.levels[image, color, row, column]
        starts[image], parts[image], log_p = span_of(choice, choice.cdf[0], image, table, level)
        block.log_p[image] += log_p


@compiled
def spans_of_row(plan, block, table, starts, parts, row):
    """Go through a row of known images, and note the span of each level.

    `table` (K,) is scratch; without a place the head's CDF is used. `starts` and `parts` (steps,
    images) get a row for each step of the scan; parts stay 0 where `block.known` says that a level
    is not coded. `block.log_p` is added to.
    """
    colors, _, width = plan.shape
    turn_to(plan, block, row)
    for first in range(0, len(block.levels), SHARED):
        last = min(first + SHARED, len(block.levels))
        begin_row(plan, block, first, last, row)
        for column in range(width):
            for color in range(colors):
                predict(plan, block, first, last, row, column, color)
                step = (row * width + column) * colors + color
                spans_here(
                    plan, block, table, starts[step], parts[step], (first, last, row, column, color)
                )
                write(plan, block, first, last, row, column, color)


@compiled
def spans_of_places(plan, block, table, starts, parts, places):
    """As `spans_of_row`, of the pixels at `places` (n, 2), which are all, one after the other."""
    colors, count = plan.shape[0], len(block.levels)
    for n in range(len(places)):
        row, column = places[n]
        turn_to(plan, block, row)
        for first in range(0, count, SHARED):
            last = min(first + SHARED, count)
            for color in range(colors):
                predict(plan, block, first, last, row, column, color)
                step = n * colors + color
                spans_here(
                    plan, block, table, starts[step], parts[step], (first, last, row, column, color)
                )
                write(plan, block, first, last, row, column, color)


@inlined
def read_level(choice, prepare, table, coder, image, moments=0):
    """The level that the stream names, its start and its parts; level -1 if it is damaged."""
    state, words = coder
    bits = BY_TABLE if len(table) else BY_CDF
    part = reached(state, bits)
    if part >> bits:
        return -1, np.int64(0), np.int64(0)
    if len(table):
        table_of(choice, image, table)
        level, start, parts = search(table, part)
    else:
        call_at(prepare, spot_of(choice, image, choice.room))
        result = choice.room[len(choice.room) - 1 :]
        level, start, parts = descend(choice, result, 0, part, moments)
    take(state, words, start, parts, bits)
    return level, start, parts


@compiled
def read_here(plan, block, table, coder, spans, place):
    """Decode the levels of one sub-pixel, of all images in turn; False if the stream is damaged."""
    starts, parts, step = spans
    row, column, color = place
    choice = choice_of(plan, block, PLAIN, 0, len(block.levels), row, column, color)
    for image in range(len(block.levels)):
        if block.known[image, color, row, column]:
            continue
        found = read_level(choice, choice.cdf[0], table, coder, image)
        level, starts[step, image], parts[step, image] = found
        if level < 0:
            return False
        block.levels[image, color, row, column] = level
    return True


@compiled
def read_row(plan, block, table, coder, spans, row):
    """Decode a row of all images, those above are read; False if the stream is damaged.

    `coder`: state and words of the decoder. `spans`: starts and parts (steps, images), see
    `spans_of_row`. A step's images follow one another in the stream, so each goes through the
    network with all.
    """
    colors, _, width = plan.shape
    count = len(block.levels)
    turn_to(plan, block, row)
    for first in range(0, count, SHARED):
        begin_row(plan, block, first, min(first + SHARED, count), row)
    for column in range(width):
        for color in range(colors):
            for first in range(0, count, SHARED):
                predict(plan, block, first, min(first + SHARED, count), row, column, color)
            step = (row * width + column) * colors + color
            place = (row, column, color)
            if not read_here(plan, block, table, coder, (spans[0], spans[1], step), place):
                return False
            for first in range(0, count, SHARED):
                write(plan, block, first, min(first + SHARED, count), row, column, color)
    return True


@compiled
def read_places(plan, block, table, coder, spans, places):
    """As `read_row`, of the pixels at `places` (n, 2), which are all, one after the other."""
    colors, count = plan.shape[0], len(block.levels)
    for n in range(len(places)):
        row, column = places[n]
        turn_to(plan, block, row)
        for color in range(colors):
            for first in range(0, count, SHARED):
                predict(plan, block, first, min(first + SHARED, count), row, column, color)
            place, step = (row, column, color), n * colors + color
            if not read_here(plan, block, table, coder, (spans[0], spans[1], step), place):
                return False
            for first in range(0, count, SHARED):
                write(plan, block, first, min(first + SHARED, count), row, column, color)
    return True
