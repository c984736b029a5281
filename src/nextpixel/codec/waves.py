"""A wave through the rows of bands, in compiled code; see `codec.bands`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.codec import scans
from nextpixel.codec.learned_steps import Batch, Net, forward, look
from nextpixel.codec.range_coder import narrow_one
from nextpixel.codec.scans import PLAIN
from nextpixel.engine.cpu.kernels import SHARED, choice_of, predict, turn_to
from nextpixel.engine.cpu.layout import ACROSS, FEATURES
from nextpixel.runtime.compiling import compiled, inlined, unowned

BASE, PLANE, ROW, WIDTH, FIRST = range(5)
"""Of a row in the table of rows: where its band begins, sub-pixels of one of its colors, the row's
number in its band, its width, and the wave that reaches it first. Of a gray band, which has one
color and is shown in all, the second is 0."""

COLUMN = 1
"""Of the rewritten images: the pixel; before it lies its window."""


class Wave(NamedTuple):
    """Bands on their way.

    Attributes:
        levels: All levels of all bands, band by band (C, rows, W).
        rows: See `FIRST`, (n, 5).
        taps: The window, (n, 2).
        advance: Address of the head's function that prepares a color after the one before it.
        moments: Address of the one that says where its levels lie; 0: there is none.
        stopped: Whether to leave off, (1,).
        net: The weights that the net has learned by now; none where it does not learn.
        batch: Room for pixels that go through it.
    """

    levels: NDArray[np.int64]
    rows: NDArray[np.int64]
    taps: NDArray[np.int64]
    advance: int
    moments: int
    stopped: NDArray[np.bool_]
    net: Net
    batch: Batch


@inlined
def _look(plan, block, wave, one, row, column):
    """Show the net the window of a pixel; what lies outside of its band is zero."""
    shown, colors = plan.shown, plan.shape[0]
    planes, width, at = shown.shape[1], wave.rows[row, WIDTH], one * plan.size + block.here[0]
    for tap in range(len(wave.taps)):
        r, c = wave.rows[row, ROW] + wave.taps[tap, 0], column + wave.taps[tap, 1]
        inside = r >= 0 and 0 <= c < width
        place = wave.rows[row, BASE] + r * width + c
        for color in range(colors):
            for plane in range(planes):
                seen = np.float32(0.0)
                if inside:
                    seen = shown[wave.levels[place + color * wave.rows[row, PLANE]], plane]
                block.state[at] = seen
                at += 1


@inlined
def _predict_learned(plan, block, wave, chosen, count, number):
    """Outputs of the pixels of a wave, by the weights that were learned."""
    net, batch, outputs = wave.net, wave.batch, wave.net.sizes[4]
    place, inside = np.zeros(len(net.taps) + 1, np.int64), np.zeros(len(net.taps), np.bool_)
    for one in range(count):
        row = chosen[one]
        width, column = wave.rows[row, WIDTH], number - wave.rows[row, FIRST]
        for tap in range(len(net.taps)):
            r, c = wave.rows[row, ROW] + net.taps[tap, 0], column + net.taps[tap, 1]
            inside[tap] = r >= 0 and 0 <= c < width
            place[tap] = wave.rows[row, BASE] + r * width + c
        place[len(net.taps)] = wave.rows[row, PLANE]
        look(net, batch, one, wave.levels, place, inside)
    forward(net, batch, count)
    start = block.here[plan.output] + COLUMN * plan.maps[plan.output, ACROSS]
    for one in range(count):
        for n in range(min(outputs, plan.maps[plan.output, FEATURES])):
            block.state[start + one * plan.size + n] = batch.outputs[one * outputs + n]


@inlined
def _place(wave, row, color, number):
    """Where the level of a color lies of the pixel that a wave reaches in a row."""
    rows = wave.rows
    start = rows[row, BASE] + color * rows[row, PLANE] + rows[row, ROW] * rows[row, WIDTH]
    return start + number - rows[row, FIRST]


@compiled
def _code(plan, block, wave, table, coder, chosen, count, number):
    """Code the pixels of some rows that a wave has reached; False if a stream is damaged.

    `coder`: of the encoder, state and digits; of the decoder, state and words, none to encode.
    """
    if len(wave.net.first):
        _predict_learned(plan, block, wave, chosen, count, number)
    else:
        for one in range(count):
            _look(plan, block, wave, one, chosen[one], number - wave.rows[chosen[one], FIRST])
        predict(plan, block, 0, count, 0, COLUMN, 0)
    for one in range(count):
        for color in range(plan.shape[0]):
            if color > 0 and wave.rows[chosen[one], PLANE] == 0:
                continue
            place = _place(wave, chosen[one], color, number)
            choice = choice_of(plan, block, PLAIN, 0, count, 0, COLUMN, color)
            if not _code_level(choice, block, wave, table, coder, one, place):
                return False
    return True


@inlined
def _code_level(choice, block, wave, table, coder, one, place):
    """Code a level, at its place in the bands; False if a stream is damaged."""
    state, digits, read_state, words = coder
    bits = scans.BY_TABLE if len(table) else scans.BY_CDF
    prepare = choice.cdf[0] if choice.color == 0 else wave.advance
    if len(read_state):
        streamed = (read_state, words)
        level, start, parts = scans.read_level(choice, prepare, table, streamed, one, wave.moments)
        if level < 0:
            return False
        wave.levels[place] = level
    else:
        level = wave.levels[place]
        start, parts, log_p = scans.span_of(choice, prepare, one, table, level, wave.moments)
        block.log_p[one] += log_p
    block.levels[one, choice.color, 0, COLUMN] = level
    narrow_one(state, digits, start, parts, bits)
    return True


@compiled
def run(plan, block, wave, table, coder):
    """Code all bands; False if a stream is damaged, or `wave.stopped` was set by another thread."""
    chosen, last = np.zeros(SHARED, np.int64), np.int64(0)
    plan, block, wave, coder = unowned(plan), unowned(block), unowned(wave), unowned(coder)
    for row in range(len(wave.rows)):
        last = max(last, wave.rows[row, FIRST] + wave.rows[row, WIDTH])
    turn_to(plan, block, 0)
    for number in range(last):
        count = 0
        if wave.stopped[0]:
            return False
        for row in range(len(wave.rows)):
            if 0 <= number - wave.rows[row, FIRST] < wave.rows[row, WIDTH]:
                chosen[count] = row
                count += 1
            if count == SHARED or (count and row == len(wave.rows) - 1):
                if not _code(plan, block, wave, table, coder, chosen, count, number):
                    return False
                count = 0
    return True
