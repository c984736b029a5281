"""Functions of one float64 for compiled code, by additions, products and quotients in one order."""

import numpy as np

from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import exp64


@compiled
def log64(x):
    """The natural logarithm of x in (0, 1e300], float64, relative error below 1e-15.

    x = 2^n m with m in (0.7, 1.42); ln m = 2 artanh(s), s = (m - 1) / (m + 1), by its series.
    """
    if not 0.0 < x < 1e300:
        return np.nan
    n = 0
    while x < 2.0**-26:
        x, n = x * 2.0**26, n - 26
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
def minus_expm1(x):
    """1 - e^-x for x > 0, relative error below 1e-15: by its series where x is small."""
    if x > 0.5:
        return 1.0 - exp64(-x)
    total = 1.0
    for k in range(16, 1, -1):
        total = 1.0 - total * x / k
    return total * x


@inlined
def tanh64(x):
    """The hyperbolic tangent, absolute error below 1e-15."""
    size = 2.0 / (1.0 + exp64(-2.0 * abs(x))) - 1.0
    return size if x > 0.0 else -size
