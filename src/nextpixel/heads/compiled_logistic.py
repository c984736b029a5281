"""The mixture of logistics in compiled code: what `heads.logistic` says, in float64.

Every number is computed alone, in a stated order, by additions, products, quotients and our own
exponential: the same bits on any CPU. Components go eight at a time; those that fill up the last
eight have no weight.
"""

import numpy as np

from nextpixel.heads.compiled import Query, Spot
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.doubles import (
    eights,
    log_logistic,
    logarithm,
    logistic,
    one_minus_exp,
    tanh_double,
)
from nextpixel.runtime.numbers import log64
from nextpixel.runtime.vectors import (
    DOUBLED,
    EIGHT,
    exponential,
    minus_size,
)

LEVELS, COMPONENTS, COUPLED, LEAST, MOST, ANCHORS, FIRST = range(7)
"""What `p` begins with: K, M, whether colors are coupled, limits of log-scales, how many anchors
the network says before the weights; then its arrays."""

NOTHING = -1e300
"""Log-weight of what fills up."""

inside8 = eights(lambda weight, mean, rate, k: weight * logistic((k - mean) * rate))
over8 = eights(lambda total, mean, rate, k: total + log_logistic((k - mean) * rate))
under8 = eights(lambda total, mean, rate, k: total + log_logistic((mean - k) * rate))
both8 = eights(lambda total, bin, _, one: total + bin * one)
"""With edges k: weighed mass below one, log-mass below and above one, and the share of a bin."""

exp8 = eights(lambda x, _, __, most: exponential(x - most, DOUBLED))
shift8 = eights(lambda mean, said, _, level: mean + tanh_double(said) * level)
share8 = eights(lambda rate, _, __, ___: logarithm(one_minus_exp(rate)))


@eights
def rate8(t, _, __, half):
    """e^-t / half, by an exponential of what is not above 0."""
    small = exponential(minus_size(t), DOUBLED)
    return (-t).where_below(0.0, small, small.constant(1.0) / small) / half


def places(components: int) -> int:
    """Numbers that `prepare` fills: six arrays, see `array_at`."""
    return 6 * (-(-components // EIGHT) * EIGHT)


@inlined
def whole_of(p):
    """Components, filled up to eights."""
    return (np.int64(p[COMPONENTS]) + EIGHT - 1) // EIGHT * EIGHT


@inlined
def array_at(p, number):
    """Where an array begins: weights, means, rates, log-weights, log-bins, or scratch."""
    return FIRST + number * whole_of(p)


@inlined
def _log_sum(p, at, count):
    """Log sum e^p[at:at + count], in order; it takes the scratch array."""
    largest, total, scratch = p[at], 0.0, array_at(p, 5)
    for n in range(1, count):
        largest = max(largest, p[at + n])
    for n in range(0, count, EIGHT):
        exp8(p, scratch + n, at + n, at + n, at + n, largest)
    for n in range(count):
        total += p[scratch + n]
    return largest + log64(total)


@inlined
def normalise(p):
    """Log-weights that sum to one."""
    at, count = array_at(p, 3), np.int64(p[COMPONENTS])
    total = _log_sum(p, at, count)
    for n in range(count):
        p[at + n] -= total


@inlined
def read_weights(p, state, at):
    """Log-weights as the network says them, and nothing beyond."""
    weights, count = array_at(p, 3), np.int64(p[COMPONENTS])
    for n in range(whole_of(p)):
        p[weights + n] = np.float64(state[at + n]) if n < count else NOTHING


@inlined
def anchor_of(p, state, at, color):
    """What the means of a color are counted from, on -1 to 1: 0 where the head has no anchors."""
    return np.float64(state[at + color]) if p[ANCHORS] > 0.0 else 0.0


@inlined
def _read_components(p, state, means, scales, anchor):
    """Means in levels, one over the scales, and logarithms of a bin's share: see `heads.logistic`.

    A rate is e^-t 2 / (K - 1) for the log-scale t that the network says, within its limits.
    """
    mean, rate, share, half = (
        array_at(p, 1),
        array_at(p, 2),
        array_at(p, 4),
        (p[LEVELS] - 1.0) / 2.0,
    )
    for n in range(whole_of(p)):
        p[mean + n], p[rate + n] = 0.0, 0.0
    for n in range(np.int64(p[COMPONENTS])):
        p[mean + n] = ((np.float64(state[means + n]) + anchor) + 1.0) * half
        t = np.float64(state[scales + n])  # what is no number stays none
        p[rate + n] = p[LEAST] if t < p[LEAST] else p[MOST] if t > p[MOST] else t
    for n in range(0, whole_of(p), EIGHT):
        r, s = rate + n, share + n
        rate8(p, r, r, r, r, half)
        share8(p, s, r, r, r, 0.0)


@inlined
def _shift_means(spot, p, coefficients, color):
    """Add to each mean what the colors before say, by how far they lie from their anchors."""
    mean, half, count = array_at(p, 1), (p[LEVELS] - 1.0) / 2.0, np.int64(p[COMPONENTS])
    scratch = array_at(p, 5)
    for before in range(color):
        level = np.float64(spot.levels[spot.image, before, spot.row, spot.column]) - half
        level -= anchor_of(p, spot.state, spot.pixel, before) * half
        for n in range(whole_of(p)):
            at = coefficients + before * count + n
            p[scratch + n] = np.float64(spot.state[at]) if n < count else 0.0
        for n in range(0, whole_of(p), EIGHT):
            shift8(p, mean + n, mean + n, scratch + n, scratch + n, level)


@inlined
def _component_log_prob(p, level):
    """Log-weight plus log-probability of a level, of each component, into the scratch array."""
    mean, rate, scratch = array_at(p, 1), array_at(p, 2), array_at(p, 5)
    for n in range(0, whole_of(p), EIGHT):
        for m in range(n, n + EIGHT):
            p[scratch + m] = p[array_at(p, 3) + m]
        s = scratch + n
        if level < p[LEVELS] - 1.0:
            over8(p, s, s, mean + n, rate + n, level + 0.5)
        if level > 0.0:
            under8(p, s, s, mean + n, rate + n, level - 0.5)
        if 0.0 < level < p[LEVELS] - 1.0:
            both8(p, s, s, array_at(p, 4) + n, s, 1.0)


@inlined
def take_in(p, level):
    """What a drawn color leaves of the components."""
    _component_log_prob(p, np.float64(level))
    weights, scratch = array_at(p, 3), array_at(p, 5)
    for n in range(whole_of(p)):
        p[weights + n] = p[scratch + n]
    normalise(p)


@inlined
def read_color(spot, p, color):
    """Components of a color of coupled colors."""
    count, anchors = np.int64(p[COMPONENTS]), np.int64(p[ANCHORS])
    at = spot.pixel + anchors + count
    for before in range(color):
        at += (2 + before) * count
    anchor = anchor_of(p, spot.state, spot.pixel, color)
    _read_components(p, spot.state, at, at + count, anchor)
    _shift_means(spot, p, at + 2 * count, color)


@inlined
def _finish(p):
    """Log-weights that sum to one, and the weights themselves."""
    count, weights, logs = np.int64(p[COMPONENTS]), array_at(p, 0), array_at(p, 3)
    normalise(p)
    for n in range(0, whole_of(p), EIGHT):
        exp8(p, weights + n, logs + n, logs + n, logs + n, 0.0)
    for n in range(count, whole_of(p)):
        p[weights + n] = 0.0


@compiled
def prepare(spot: Spot) -> None:
    """Components of a sub-pixel, their weights given the colors before it if coupled."""
    p, count, anchors = spot.p, np.int64(spot.p[COMPONENTS]), np.int64(spot.p[ANCHORS])
    if p[COUPLED] > 0.0:
        read_weights(p, spot.state, spot.pixel + anchors)
        for color in range(spot.color + 1):
            read_color(spot, p, color)
            if color < spot.color:
                take_in(p, spot.levels[spot.image, color, spot.row, spot.column])
    else:
        at, anchor = spot.at + anchors, anchor_of(p, spot.state, spot.at, 0)
        read_weights(p, spot.state, at)
        _read_components(p, spot.state, at + count, at + 2 * count, anchor)
    _finish(p)


@compiled
def advance(spot: Spot) -> None:
    """`prepare`, from what was made of the color before of the same pixel."""
    if spot.p[COUPLED] == 0.0 or spot.color == 0:
        prepare(spot)
        return
    take_in(spot.p, spot.levels[spot.image, spot.color - 1, spot.row, spot.column])
    read_color(spot, spot.p, spot.color)
    _finish(spot.p)


@compiled
def below(query: Query) -> None:
    """Probability of the levels below one."""
    p, level, total = query.p, query.level, 0.0
    if level <= 0 or level >= p[LEVELS]:
        query.result[0] = 0.0 if level <= 0 else 1.0
        return
    scratch = array_at(p, 5)
    for n in range(0, whole_of(p), EIGHT):
        inside8(p, scratch + n, array_at(p, 0) + n, array_at(p, 1) + n, array_at(p, 2) + n,
                np.float64(level) - 0.5)  # fmt: skip
    for n in range(np.int64(p[COMPONENTS])):
        total += p[scratch + n]
    query.result[0] = total


@compiled
def log_prob(query: Query) -> None:
    """Log-probability of a level, nats."""
    p = query.p
    _component_log_prob(p, np.float64(query.level))
    query.result[0] = _log_sum(p, array_at(p, 5), np.int64(p[COMPONENTS]))


@compiled
def moments(query: Query) -> None:
    """Mean of the levels, or of the distance from it of half of a component."""
    p, total = query.p, 0.0
    weights, means, rates = array_at(p, 0), array_at(p, 1), array_at(p, 2)
    for n in range(np.int64(p[COMPONENTS])):
        total += p[weights + n] * (p[rates + n] if query.level else p[means + n])
    query.result[0] = 1.1 / total if query.level else total + 0.5
