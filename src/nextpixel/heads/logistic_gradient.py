r"""The gradient of the mixture of logistics in compiled code, of coupled colors, in float64.

With r the components' shares once all colors of a pixel are seen, and w their shares before, the
log-probability rises by r - w in the log-weights, and in a component's mean m and log-scale t, for
edges a and b of the level's bin, at the rate s of one over the scale, by

.. math:: -r s (\sigma(-b) - \sigma(a)), \quad r (a \sigma(a) - b \sigma(-b) - s / (e^s - 1)),

where the lowest level has no a, the highest no b, and neither the last term.
"""

import numpy as np

from nextpixel.heads import compiled_logistic as head
from nextpixel.heads.compiled_logistic import (
    ANCHORS,
    COMPONENTS,
    LEAST,
    LEVELS,
    MOST,
    anchor_of,
    array_at,
    normalise,
    read_color,
    read_weights,
    take_in,
    whole_of,
)
from nextpixel.runtime.compiling import inlined
from nextpixel.runtime.doubles import eights, logistic, one_minus_exp, tanh_double
from nextpixel.runtime.vectors import DOUBLED, EIGHT, exponential

exp8 = head.exp8
below8 = eights(lambda mean, rate, _, edge: logistic((edge - mean) * rate))
above8 = eights(lambda mean, rate, _, edge: logistic((mean - edge) * rate))
bin8 = eights(lambda rate, _, __, ___: rate * exponential(-rate, DOUBLED) / one_minus_exp(rate))
tanh8 = eights(lambda x, _, __, ___: tanh_double(x))

KEPT = 6
"""Arrays for each color: means, rates, shares below and above the bin, of the bin, and room."""


def room_for(components: int, colors: int) -> int:
    """Numbers of scratch."""
    return (1 + KEPT * colors) * (-(-components // EIGHT) * EIGHT)


@inlined
def _see_colors(spot, kept, colors):
    """Go through the colors of a pixel; what is needed of each is kept."""
    p, whole = spot.p, whole_of(spot.p)
    anchors = np.int64(p[ANCHORS])
    read_weights(p, spot.state, spot.pixel + anchors)
    normalise(p)
    for n in range(whole):
        kept[n] = p[array_at(p, 3) + n]
    for color in range(colors):
        level = spot.levels[spot.image, color, spot.row, spot.column]
        read_color(spot, p, color)
        at = whole * (1 + KEPT * color)
        for n in range(whole):
            kept[at + n] = p[array_at(p, 1) + n]
            kept[at + whole + n] = p[array_at(p, 2) + n]
        take_in(p, level)
        for n in range(0, whole, EIGHT):
            mean, rate = at + n, at + whole + n
            below8(kept, at + 2 * whole + n, mean, rate, mean, level - 0.5)
            above8(kept, at + 3 * whole + n, mean, rate, mean, level + 0.5)
            bin8(kept, at + 4 * whole + n, rate, rate, rate, 0.0)


@inlined
def _slopes(p, kept, color, level, n):
    """Of a component's log-probability of a level: by its mean, and by its log-scale."""
    whole, last = whole_of(p), p[LEVELS] - 1.0
    at = whole * (1 + KEPT * color) + n
    mean, rate = kept[at], kept[at + whole]
    by_mean, by_scale = 0.0, 0.0
    if level > 0.0:
        by_mean += kept[at + 2 * whole]
        by_scale += (level - 0.5 - mean) * rate * kept[at + 2 * whole]
    if level < last:
        by_mean -= kept[at + 3 * whole]
        by_scale -= (level + 0.5 - mean) * rate * kept[at + 3 * whole]
    if 0.0 < level < last:
        by_scale -= kept[at + 4 * whole]
    return by_mean * rate, by_scale


@inlined
def _write_color(spot, kept, out, start, places):
    """The gradient of a color's outputs, from `out[start]` on; `places`: color, and its first."""
    p, state, (color, at) = spot.p, spot.state, places
    count, half, whole = np.int64(p[COMPONENTS]), (p[LEVELS] - 1.0) / 2.0, whole_of(spot.p)
    level = np.float64(spot.levels[spot.image, color, spot.row, spot.column])
    for n in range(count):
        share = kept[n]
        by_mean, by_scale = _slopes(p, kept, color, level, n)
        t = np.float64(state[spot.pixel + at + count + n])
        out[start + at + n] = share * by_mean * half
        out[start + at + count + n] = share * by_scale if p[LEAST] <= t <= p[MOST] else 0.0
    room = whole * (1 + KEPT * color) + 5 * whole
    for before in range(color):
        far = np.float64(spot.levels[spot.image, before, spot.row, spot.column]) - half
        far -= anchor_of(p, state, spot.pixel, before) * half
        said = at + (2 + before) * count
        for n in range(whole):
            kept[room + n] = np.float64(state[spot.pixel + said + n]) if n < count else 0.0
        for n in range(0, whole, EIGHT):
            tanh8(kept, room + n, room + n, room + n, room + n, 0.0)
        for n in range(count):
            share = kept[n]
            by_mean, _ = _slopes(p, kept, color, level, n)
            slope = 1.0 - kept[room + n] * kept[room + n]
            out[start + said + n] = share * by_mean * slope * far


@inlined
def gradient(spot, kept, out, start, colors):
    """The gradient of a pixel's log-probability by the network's outputs, float32 from `start`.

    `kept` has `room_for` numbers. Anchors get none: they are the net's input.
    """
    p = spot.p
    count, whole, anchors = np.int64(p[COMPONENTS]), whole_of(p), np.int64(p[ANCHORS])
    _see_colors(spot, kept, colors)
    for n in range(0, whole, EIGHT):
        exp8(kept, n, n, n, n, 0.0)  # shares before
        after = array_at(p, 3) + n
        exp8(p, array_at(p, 5) + n, after, after, after, 0.0)
    for n in range(anchors):
        out[start + n] = 0.0
    for n in range(count):
        share = p[array_at(p, 5) + n]
        out[start + anchors + n] = share - kept[n]
        kept[n] = share
    at = anchors + count
    for color in range(colors):
        _write_color(spot, kept, out, start, (color, at))
        at += (2 + color) * count
