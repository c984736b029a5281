"""The scan of the coder, compiled: integer tables in place of uniforms.

The tables are those of `frequency.frequencies`, by the same steps in the same order; the largest
weight is exactly 1 here, so its second step changes nothing. They are kept as the entropy coder
takes them: float64, each number of parts less one.
"""

import numpy as np

from nextpixel.engine.cpu.choosing import choice_of, log64, read, weigh
from nextpixel.engine.cpu.kernels import SHARED, begin_row, predict, turn_to, write
from nextpixel.runtime.compiling import compiled, inlined

PARTS = 1 << 24

PLAIN = (1.0, 1 << 62, 1.0)
"""No truncation: temperature, top_k and top_p that keep all."""


@inlined
def tabulate(weights, total, entries):
    """Parts of 2^24 for each level, less one, into `entries`: what the entropy coder takes."""
    spare = PARTS - len(weights)
    scale = spare / total
    for k in range(len(weights)):
        entries[k] = np.floor(weights[k] * scale)
    used = np.int64(0)
    for k in range(len(weights)):
        used += np.int64(entries[k])
    best = 0
    while weights[best] < 1.0:  # the largest is 1
        best += 1
    entries[best] += spare - used


@inlined
def span(entries, level):
    """Where the parts of a level start, and how many they are."""
    start = level
    for k in range(level):
        start += np.int64(entries[k])
    return start, np.int64(entries[level]) + 1


@inlined
def weigh_place(choice, image):
    """Probabilities of the levels of a sub-pixel up to a factor; the largest logit, their sum."""
    largest = read(choice, image)
    return largest, weigh(choice.p, largest, 1.0, choice.probabilities)


@compiled
def spans_of_rows(plan, block, room, starts, parts, top, bottom):
    """Go through known images, rows top..bottom-1, and note the span of each level.

    `room` (K,) is scratch; `starts` and `parts` (steps, images) get a row for each step of the
    scan; parts stay 0 where `block.known` says that a level is not coded. `block.log_p` is
    added to.
    """
    colors, _, width = plan.shape
    for row in range(top, bottom):
        turn_to(plan, block, row)
        for first in range(0, len(block.levels), SHARED):
            last = min(first + SHARED, len(block.levels))
            begin_row(plan, block, first, last, row)
            for column in range(width):
                for color in range(colors):
                    predict(plan, block, first, last, row, column, color)
                    step = (row * width + column) * colors + color
                    spans(plan, block, room, starts[step], parts[step], first, last, row, column,
                          color)  # fmt: skip
                    write(plan, block, first, last, row, column, color)


@compiled
def spans(plan, block, room, starts, parts, first, last, row, column, color):
    """The spans of the levels of one sub-pixel, for images first..last-1."""
    levels, known, log_p, p = block.levels, block.known, block.log_p, block.p
    choice = choice_of(plan, block, PLAIN, first, last, row, column, color)
    for image in range(first, last):
        if known[image, color, row, column]:
            continue
        largest, total = weigh_place(choice, image)
        tabulate(block.probabilities, total, room)
        level = levels[image, color, row, column]
        starts[image], parts[image] = span(room, level)
        log_p[image] += (p[level] - largest) - log64(total)


@compiled
def next_entries(plan, block, entries, row, column, color):
    """Tables (images, K) of a sub-pixel of all images; those before it are written.

    Goes through the images in sixteens, as `spans_of_rows` does.
    """
    count = len(block.levels)
    if column == 0 and color == 0:
        turn_to(plan, block, row)
    for first in range(0, count, SHARED):
        last = min(first + SHARED, count)
        if column == 0 and color == 0:
            begin_row(plan, block, first, last, row)
        predict(plan, block, first, last, row, column, color)
        choice = choice_of(plan, block, PLAIN, first, last, row, column, color)
        for image in range(first, last):
            _, total = weigh_place(choice, image)
            tabulate(block.probabilities, total, entries[image])


@compiled
def put(plan, block, entries, drawn, starts, parts, row, column, color):
    """Write decoded levels (images,) of a sub-pixel, but where known, and note their spans."""
    count = len(drawn)
    step = (row * plan.shape[2] + column) * plan.shape[0] + color
    for image in range(count):
        if not block.known[image, color, row, column]:
            level = drawn[image]
            block.levels[image, color, row, column] = level
            starts[step, image], parts[step, image] = span(entries[image], level)
    for first in range(0, count, SHARED):
        write(plan, block, first, min(first + SHARED, count), row, column, color)
