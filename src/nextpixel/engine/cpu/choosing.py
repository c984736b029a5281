"""Choosing a level, compiled: probabilities in float64, drawn by the inverse of their sum.

The same rule as `heads.base.Distribution.icdf`, level by level in order.
"""

import numpy as np

from nextpixel.engine.cpu.layout import ACROSS
from nextpixel.heads.compiled import Choice, Spot
from nextpixel.runtime.compiling import call_at, compiled, inlined
from nextpixel.runtime.vectors import EIGHT, exp64, weigh8


@compiled
def log64(x):
    """The natural logarithm of x in (0, 1e300], float64, relative error below 1e-15.

    x = 2^n m with m in (0.7, 1.42); ln m = 2 artanh(s), s = (m - 1) / (m + 1), by its series.
    """
    if not 0.0 < x < 1e300:
        return np.nan
    n = 0
    while x > 1.42:
        x, n = x * 0.5, n + 1
    while x < 0.71:
        x, n = x * 2.0, n - 1
    s = (x - 1.0) / (x + 1.0)
    square = s * s
    total = 0.0
    for k in range(23, 1, -2):
        total = (total + 1.0 / k) * square
    return 2.0 * s * (total + 1.0) + n * 0.6931471805599453


@inlined
def read(choice, image):
    """Log-probabilities of the levels of an image up to a constant, into `p`; the largest."""
    pixel, p = image * choice.size + choice.place, choice.p
    call_at(
        choice.log_weights,
        Spot(
            choice.state, pixel + choice.color * choice.across, pixel, choice.across,
            choice.levels, image, choice.row, choice.column, choice.color, p,
        ),
    )  # fmt: skip
    largest = p[0]
    for k in range(1, len(p)):
        largest = max(largest, p[k])
    return largest


@inlined
def weigh(p, largest, temperature, weights):
    """Probabilities e^((p - largest) / temperature) up to a factor; returns their sum."""
    whole = len(p) // EIGHT * EIGHT
    for k in range(0, whole, EIGHT):
        weigh8(weights, k, p, k, largest, temperature)
    for k in range(whole, len(p)):
        weights[k] = exp64((p[k] - largest) / temperature)
    total = 0.0
    for k in range(len(p)):
        total += weights[k]
    return total


@compiled
def leave_out(weights, top_k, top_p):
    """Set the weights of unlikely levels to 0, see `heads.truncation`; returns the new sum."""
    order = np.argsort(-weights, kind="mergesort")
    inside = 0.0
    for k in order[:top_k]:
        inside += weights[k]
    reached = 0.0
    for rank, k in enumerate(order):
        if rank >= top_k or (rank > 0 and reached >= top_p * inside):
            weights[k] = 0.0
        reached += weights[k]
    return reached


@inlined
def pick(weights, reach):
    """The first level whose sum of weights up to it exceeds `reach`, else the last of any."""
    reached, last = 0.0, 0
    for k in range(len(weights)):
        reached += weights[k]
        if reached > reach:
            return k
        if weights[k] > 0.0:
            last = k
    return last


@compiled
def choose_by_probabilities(choice):
    """Draw a level of each image, or take the known one; log-probabilities count."""
    p, weights, levels = choice.p, choice.probabilities, choice.levels
    row, column, color = choice.row, choice.column, choice.color
    for image in range(choice.first, choice.last):
        largest = read(choice, image)
        total = weigh(p, largest, 1.0, weights)
        level = levels[image, color, row, column]
        if not choice.known[image, color, row, column]:
            drawn_total = total
            if choice.temperature != 1.0:
                drawn_total = weigh(p, largest, choice.temperature, weights)
            if choice.top_k < len(p) or choice.top_p < 1.0:
                drawn_total = leave_out(weights, choice.top_k, choice.top_p)
            level = pick(weights, choice.uniforms[image, color, row, column] * drawn_total)
            levels[image, color, row, column] = level
        choice.log_p[image] += (p[level] - largest) - log64(total)


@inlined
def choice_of(plan, block, truncation, first, last, row, column, color):
    """One sub-pixel of images first..last-1; `truncation`: temperature, top_k, top_p."""
    temperature, top_k, top_p = truncation
    place = block.here[plan.output] + column * plan.maps[plan.output, ACROSS]
    return Choice(
        plan.log_weights, block.state, place, plan.size, plan.across, block.levels, block.known,
        block.uniforms, block.log_p, block.p, block.probabilities, temperature, top_k, top_p,
        first, last, row, column, color,
    )  # fmt: skip


@compiled
def choose(plan, block, truncation, first, last, row, column, color):
    """Draw a level of images first..last-1, or take the known one, by the head's own step."""
    call_at(plan.choose, choice_of(plan, block, truncation, first, last, row, column, color))
