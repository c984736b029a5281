"""Choosing a level, compiled: probabilities in float64, drawn by the inverse of their sum.

The same rule as `heads.base.Distribution.draw`, level by level in order.
"""

import numpy as np

from nextpixel.sampling.compiling import compiled
from nextpixel.sampling.layout import FEATURES
from nextpixel.sampling.vectors import exp64


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


@compiled
def read(plan, block, image, column, color):
    """Log-probabilities of the levels up to a constant into `block.p`; returns the largest."""
    output, p = plan.output, block.p
    at = image * plan.size + block.here[output] + column * plan.maps[output, FEATURES]
    at += color * plan.head[1]
    if plan.head[0] == 1:  # one logit for two levels
        p[0], p[1] = 0.0, np.float64(block.state[at])
    else:
        for k in range(plan.head[0]):
            p[k] = np.float64(block.state[at + k])
    largest = p[0]
    for k in range(1, len(p)):
        largest = max(largest, p[k])
    return largest


@compiled
def weigh(p, largest, temperature, weights):
    """Weights e^((p - largest) / temperature); returns their sum."""
    for k in range(len(p)):
        weights[k] = exp64((p[k] - largest) / temperature)
    total = 0.0
    for k in range(len(p)):
        total += weights[k]
    return total


@compiled
def leave_out(weights, top_k, top_p):
    """Set the weights of unlikely levels to 0, see `heads.sharpness`; returns the new sum."""
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


@compiled
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
def choose(plan, block, sharpness, image, row, column, color):
    """Draw a level, or take the known one; its log-probability counts."""
    temperature, top_k, top_p = sharpness
    p, weights = block.p, block.weights
    largest = read(plan, block, image, column, color)
    total = weigh(p, largest, 1.0, weights)
    level = block.levels[image, color, row, column]
    if not block.known[image, color, row, column]:
        drawn_total = total
        if temperature != 1.0:
            drawn_total = weigh(p, largest, temperature, weights)
        if top_k < len(p) or top_p < 1.0:
            drawn_total = leave_out(weights, top_k, top_p)
        level = pick(weights, block.uniforms[image, color, row, column] * drawn_total)
        block.levels[image, color, row, column] = level
    block.log_p[image] += (p[level] - largest) - log64(total)
