"""The compiled interpreter of programs, and its own exponential and logarithm.

Strict IEEE arithmetic in a fixed order: no fused multiply-add, no re-association, no library
functions whose rounding differs between machines. An image is computed alone, whatever batch it is
in: blocks of four places share the loading of weights, not an order of sums.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

CONV, RELU, GATE, ADD, AFFINE, TOLD = range(6)
KIND, SOURCE, OTHER, TARGET, INPUTS, OUTPUTS, TAP, TAPS, WEIGHT, BIAS, START, TERM = range(12)
"""Columns of the table of operations."""
BASE, ROWS, PAD, FEATURES = range(4)
"""Columns of the table of maps."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the result on the disk if possible."""
    try:
        made: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:  # no folder to keep it in
        warnings.warn(f"compiled code is not kept, so each start compiles: {error}", stacklevel=2)
        made = njit(nogil=True, error_model="numpy")(function)
    return made


LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693147180369123816490, 1.90821492927058770002e-10


@compiled
def exp64(x):
    """e^x for x <= 0 in float64, relative error below 1e-15; 0 below -700."""
    if not x >= -700.0:  # also if it is no number
        return 0.0
    n = np.floor(x * LOG2E + 0.5)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    total = 1.0
    for k in range(14, 0, -1):
        total = 1.0 + total * r / k
    for _ in range(int(-n)):
        total = total * 0.5
    return total if n <= 0 else total * 2.0


@compiled
def log64(x):
    """The natural logarithm of x in (0, 1e6], float64: the inverse of `exp64`, by Newton's rule."""
    if not 0.0 < x < 1e300:
        return np.nan
    scale, power = x, 0
    while scale > 1.0:
        scale, power = scale * 0.5, power + 1
    while scale < 0.5:
        scale, power = scale * 2.0, power - 1
    y = scale - 1.0
    for _ in range(5):
        e = exp64(y)
        y = y + 2.0 * (scale - e) / (scale + e)
    return y + power * (LN2_HIGH + LN2_LOW)


@compiled
def _sigmoid(x, powers):
    """1 / (1 + e^-x) in float32, by e^-|x| with a polynomial of degree 6."""
    a = -abs(x)
    a = max(a, np.float32(-80.0))
    n = np.floor(a * np.float32(LOG2E) + np.float32(0.5))
    r = a - n * np.float32(0.693359375)
    r = r - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    e = p * powers[int(n) + 127]
    small = e / (np.float32(1.0) + e)
    return np.float32(1.0) - small if x >= np.float32(0.0) else small


@compiled
def _conv4(state, weights, bias, rel, inputs, outputs, tap, taps, weight, offset, start, low, high,
           q0, q1, q2, q3, t0, t1, t2, t3, a0, a1, a2, a3):  # fmt: skip
    """One convolution at four places: q are their inputs, t their outputs, a room for sums."""
    size = high - low
    if start:
        for f in range(size):
            v = bias[offset + low + f]
            a0[f], a1[f], a2[f], a3[f] = v, v, v, v
    else:
        for f in range(size):
            a0[f], a1[f] = state[t0 + low + f], state[t1 + low + f]
            a2[f], a3[f] = state[t2 + low + f], state[t3 + low + f]
    for number in range(taps):
        r = rel[tap + number]
        base = weight + number * inputs * outputs + low
        i = 0
        while i + 4 <= inputs:
            k = r + i
            b0, b1, b2, b3 = state[q0 + k], state[q0 + k + 1], state[q0 + k + 2], state[q0 + k + 3]
            c0, c1, c2, c3 = state[q1 + k], state[q1 + k + 1], state[q1 + k + 2], state[q1 + k + 3]
            d0, d1, d2, d3 = state[q2 + k], state[q2 + k + 1], state[q2 + k + 2], state[q2 + k + 3]
            e0, e1, e2, e3 = state[q3 + k], state[q3 + k + 1], state[q3 + k + 2], state[q3 + k + 3]
            j = base + i * outputs
            for f in range(size):
                w0, w1 = weights[j + f], weights[j + outputs + f]
                w2, w3 = weights[j + 2 * outputs + f], weights[j + 3 * outputs + f]
                a0[f] = a0[f] + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                a1[f] = a1[f] + c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                a2[f] = a2[f] + d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
                a3[f] = a3[f] + e0 * w0 + e1 * w1 + e2 * w2 + e3 * w3
            i += 4
        while i < inputs:
            k, j = r + i, base + i * outputs
            b0, c0, d0, e0 = state[q0 + k], state[q1 + k], state[q2 + k], state[q3 + k]
            for f in range(size):
                w0 = weights[j + f]
                a0[f] = a0[f] + b0 * w0
                a1[f] = a1[f] + c0 * w0
                a2[f] = a2[f] + d0 * w0
                a3[f] = a3[f] + e0 * w0
            i += 1
    for f in range(size):
        state[t0 + low + f], state[t1 + low + f] = a0[f], a1[f]
        state[t2 + low + f], state[t3 + low + f] = a2[f], a3[f]


@compiled
def _conv1(state, weights, bias, rel, inputs, outputs, tap, taps, weight, offset, start, low, high,
           q0, t0, a0):  # fmt: skip
    """One convolution at one place, in the order of `_conv4`."""
    size = high - low
    for f in range(size):
        a0[f] = bias[offset + low + f] if start else state[t0 + low + f]
    for number in range(taps):
        r = rel[tap + number]
        base = weight + number * inputs * outputs + low
        i = 0
        while i + 4 <= inputs:
            k, j = q0 + r + i, base + i * outputs
            b0, b1, b2, b3 = state[k], state[k + 1], state[k + 2], state[k + 3]
            for f in range(size):
                w0, w1 = weights[j + f], weights[j + outputs + f]
                w2, w3 = weights[j + 2 * outputs + f], weights[j + 3 * outputs + f]
                a0[f] = a0[f] + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
            i += 4
        while i < inputs:
            b0, j = state[q0 + r + i], base + i * outputs
            for f in range(size):
                a0[f] = a0[f] + b0 * weights[j + f]
            i += 1
    for f in range(size):
        state[t0 + low + f] = a0[f]


@compiled
def _conv(state, size, weights, bias, rel, inputs, outputs, tap, taps, weight, offset, start,
          source, target, there, low, high, first, last, left, right, a0, a1, a2, a3):  # fmt: skip
    """A convolution at columns left..right-1 of images first..last-1, four places at a time.

    `source` and `target` are the features of the two maps; `there` is where the target's row lies.
    """
    columns = right - left
    count = (last - first) * columns
    place = 0
    while place + 4 <= count:
        i0, c0 = first + place // columns, left + place % columns
        i1, c1 = first + (place + 1) // columns, left + (place + 1) % columns
        i2, c2 = first + (place + 2) // columns, left + (place + 2) % columns
        i3, c3 = first + (place + 3) // columns, left + (place + 3) % columns
        _conv4(
            state, weights, bias, rel, inputs, outputs, tap, taps, weight, offset, start, low, high,
            i0 * size + c0 * source, i1 * size + c1 * source,
            i2 * size + c2 * source, i3 * size + c3 * source,
            i0 * size + c0 * target + there, i1 * size + c1 * target + there,
            i2 * size + c2 * target + there, i3 * size + c3 * target + there,
            a0, a1, a2, a3,
        )  # fmt: skip
        place += 4
    while place < count:
        image, column = first + place // columns, left + place % columns
        _conv1(
            state, weights, bias, rel, inputs, outputs, tap, taps, weight, offset, start, low, high,
            image * size + column * source, image * size + column * target + there, a0,
        )  # fmt: skip
        place += 1


@compiled
def _gate(state, q, t, low, high, powers):
    """Tanh of a group's first half times sigmoid of its second."""
    half = high - low
    for f in range(half):
        value = _sigmoid(np.float32(2.0) * state[q + 2 * low + f], powers)
        opening = _sigmoid(state[q + 2 * low + half + f], powers)
        state[t + low + f] = (np.float32(2.0) * value - np.float32(1.0)) * opening


@compiled
def locate(ops, taps, maps, row, width, rel, here):
    """Where maps and taps lie in the rings of this row."""
    for m in range(len(maps)):
        length = (width + 2 * maps[m, PAD]) * maps[m, FEATURES]
        here[m] = maps[m, BASE] + (row % maps[m, ROWS]) * length + maps[m, PAD] * maps[m, FEATURES]
    for k in range(len(ops)):
        m = ops[k, SOURCE]
        length = (width + 2 * maps[m, PAD]) * maps[m, FEATURES]
        for tap in range(ops[k, TAP], ops[k, TAP] + ops[k, TAPS]):
            slot = (row + taps[tap, 0]) % maps[m, ROWS]
            column = taps[tap, 1] + maps[m, PAD]
            rel[tap] = maps[m, BASE] + slot * length + column * maps[m, FEATURES]


@compiled
def _run(ops, state, size, weights, bias, terms, places, rel, maps, here, group, groups,
         first, last, row, left, right, a0, a1, a2, a3, powers):  # fmt: skip
    """Operations at columns left..right-1 of images first..last-1, for one color group or all."""
    for k in range(len(ops)):
        kind, source, target = ops[k, KIND], ops[k, SOURCE], ops[k, TARGET]
        from_features, to_features = maps[source, FEATURES], maps[target, FEATURES]
        low, high = 0, ops[k, OUTPUTS]
        if groups > 1:
            low, high = group * high // groups, (group + 1) * high // groups
        if kind == CONV:
            _conv(
                state, size, weights, bias, rel, ops[k, INPUTS], ops[k, OUTPUTS], ops[k, TAP],
                ops[k, TAPS], ops[k, WEIGHT], ops[k, BIAS], ops[k, START], from_features,
                to_features, here[target], low, high, first, last, left, right, a0, a1, a2, a3,
            )  # fmt: skip
            continue
        for image in range(first, last):
            for column in range(left, right):
                q = image * size + here[source] + column * from_features
                t = image * size + here[target] + column * to_features
                if kind == RELU:
                    for f in range(low, high):
                        state[t + f] = max(state[q + f], np.float32(0.0))
                elif kind == GATE:
                    _gate(state, q, t, low, high, powers)
                elif kind == ADD:
                    other = ops[k, OTHER]
                    o = image * size + here[other] + column * maps[other, FEATURES]
                    for f in range(low, high):
                        state[t + f] = state[q + f] + state[o + f]
                elif kind == AFFINE:
                    w, b = ops[k, WEIGHT], ops[k, BIAS]
                    for f in range(low, high):
                        state[t + f] = state[q + f] * weights[w + f] + bias[b + f]
                else:
                    m = ops[k, TERM]
                    at = places[m, 0] + image * places[m, 1] + row * places[m, 2]
                    at += column * places[m, 3]
                    for f in range(low, high):
                        state[t + f] = state[q + f] + terms[at + f]


@compiled
def _choose(state, at, count, uniform, temperature, given, p):
    """Draw (given < 0) or take a level; returns it and its log-probability in nats."""
    if count == 1:  # one logit for two levels
        p[0], p[1] = 0.0, np.float64(state[at])
        levels = 2
    else:
        levels = count
        for k in range(levels):
            p[k] = np.float64(state[at + k])
    largest = p[0]
    for k in range(1, levels):
        largest = max(largest, p[k])
    level = given
    if given < 0:
        total = 0.0
        for k in range(levels):
            total += exp64((p[k] - largest) / temperature)
        level, reached = levels - 1, 0.0
        for k in range(levels - 1):
            reached += exp64((p[k] - largest) / temperature)
            if reached > uniform * total:
                level = k
                break
    total = 0.0
    for k in range(levels):
        total += exp64(p[k] - largest)
    return level, (p[level] - largest) - log64(total)


@compiled
def scan_row(row_ops, pixel_ops, late_ops, state, size, weights, bias, terms, places, taps, rels,
             maps, here, scale, levels, known, uniforms, log_p, temperature, row, width, colors,
             groups, head, edge, output, first, last, sums, powers, p):  # fmt: skip
    """Carry out one row of the scan for images first..last-1.

    `levels` (B, C, H, W) are read where `known` and written elsewhere; `log_p` (B,) is added to.
    """
    rel_row, rel_pixel, rel_late = rels
    a0, a1, a2, a3 = sums
    locate(row_ops, taps[0], maps, row, width, rel_row, here)
    locate(pixel_ops, taps[1], maps, row, width, rel_pixel, here)
    locate(late_ops, taps[2], maps, row, width, rel_late, here)
    _run(row_ops, state, size, weights, bias, terms, places, rel_row, maps, here, 0, 1,
         first, last, row, 0, width, a0, a1, a2, a3, powers)  # fmt: skip
    for column in range(width):
        for color in range(colors):
            if groups > 1 or color == 0:
                _run(pixel_ops, state, size, weights, bias, terms, places, rel_pixel, maps, here,
                     color, groups, first, last, row, column, column + 1,
                     a0, a1, a2, a3, powers)  # fmt: skip
            for image in range(first, last):
                at = image * size + here[output] + column * maps[output, FEATURES] + color * head
                given = (
                    levels[image, color, row, column] if known[image, color, row, column] else -1
                )
                level, log_level = _choose(
                    state, at, head, uniforms[image, color, row, column], temperature, given, p
                )
                levels[image, color, row, column] = level
                log_p[image] += log_level
                pixel = image * size + here[0] + column * maps[0, FEATURES]
                if edge:
                    state[pixel + 2 * color] = scale[level]
                    state[pixel + 2 * color + 1] = np.float32(1.0)
                else:
                    state[pixel + color] = scale[level]
            _run(late_ops, state, size, weights, bias, terms, places, rel_late, maps, here, 0, 1,
                 first, last, row, column, column + 1, a0, a1, a2, a3, powers)  # fmt: skip
