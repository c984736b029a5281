"""How a level is chosen: by the same rule as in `heads.base.Distribution.icdf`, level by level.

Probabilities are in float64, and drawn by the inverse of their sum; a head of many levels is asked
for that sum where it is needed.
"""

import numpy as np

from nextpixel.heads.compiled import Query, Spot
from nextpixel.runtime.compiling import call_at, compiled, inlined
from nextpixel.runtime.numbers import log64
from nextpixel.runtime.vectors import EIGHT, exp64, weigh8


@inlined
def spot_of(choice, image, p):
    """The sub-pixel of one of the images, with room in `p`."""
    pixel = image * choice.size + choice.place
    return Spot(
        choice.state, pixel + choice.color * choice.across, pixel, choice.across,
        choice.levels, image, choice.row, choice.column, choice.color, p,
    )  # fmt: skip


@inlined
def read(choice, image):
    """Log-probabilities of the levels of an image up to a constant, into `p`; the largest."""
    p = choice.p
    if choice.log_weights == 0:
        call_at(choice.cdf[0], spot_of(choice, image, choice.room))
        for k in range(len(p)):
            call_at(choice.cdf[2], Query(choice.room, k, p[k:]))
    else:
        call_at(choice.log_weights, spot_of(choice, image, p))
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
def bisect(choice, result, reach):
    """The lowest level with which the probability exceeds `reach`."""
    low, high = 0, choice.level_count - 1
    while low < high:
        middle = (low + high) // 2
        call_at(choice.cdf[1], Query(choice.room, middle + 1, result))
        if result[0] > reach:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def choose_by_cdf(choice):
    """As `choose_by_probabilities`, without any list of the levels."""
    levels, row, column, color = choice.levels, choice.row, choice.column, choice.color
    result = choice.room[len(choice.room) - 1 :]
    for image in range(choice.first, choice.last):
        call_at(choice.cdf[0], spot_of(choice, image, choice.room))
        if not choice.known[image, color, row, column]:
            reach = choice.uniforms[image, color, row, column]
            levels[image, color, row, column] = bisect(choice, result, reach)
        call_at(choice.cdf[2], Query(choice.room, levels[image, color, row, column], result))
        choice.log_p[image] += result[0]
