"""From weights to integers: the table that says how many of 2^24 parts each level gets.

Coder and decoder must hold the same table to the last unit, on every machine. So a table is made of
integers, by additions, multiplications and divisions of float64 alone (exact in IEEE 754, so equal
everywhere), in one order. For weights w_0 .. w_{K-1} of one symbol, a scalar loop gives the same
integers if it computes

1. `best`, the first k with the largest w_k, and `top = w_best`;
2. `s_k = w_k / top`, so that nothing overflows and the largest is 1;
3. `total = ((s_0 + s_1) + s_2) + ...`, from left to right;
4. `scale = (2^24 - K) / total`;
5. `f_k = 1 + floor(s_k * scale)`, with the product rounded to float64 (no fused multiply-add);
6. `f_best += 2^24 - (f_0 + ... + f_{K-1})`.

A processor that flushes denormals to zero gives the same integers where `top` is above 1e-280.
The last term is never negative: the floors sum to at most (2^24 - K)(1 + 2K 2^-53) < 2^24 - K + 1.

What it costs: f_k / 2^24 >= p_k (1 - K / 2^24) up to rounding, so a symbol takes at most
-log2(1 - K / 2^24) bits more than -log2 p_k: 2.2e-5 bits for K = 256.

`frequencies` computes tables of given weights. `scan_tables` does so along a scan, by the same
steps in the same order; the largest weight is exactly 1 there, so the second step changes nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextpixel.errors import NextPixelError

BITS = 24
"""The parts are 2^24."""

PARTS = 1 << BITS
MOST_LEVELS = 1 << 16


def frequencies(weights: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Integer tables in proportion to weights; each sums to exactly 2^24 and holds no zero.

    Args:
        weights: Nonnegative weights, need not sum to one, shape (n, K), float64; K from 2 to 65536.

    Returns:
        Parts of 2^24, shape (n, K).

    Raises:
        ValueError: If the shape, the dtype or K is wrong.
        NextPixelError: If a row is no distribution: a weight below zero or not finite, or all zero.

    Example:
        >>> frequencies(np.array([[1.0, 0.0], [3.0, 1.0]])).tolist()
        [[16777215, 1], [12582912, 4194304]]
    """
    check_table_shape(weights)
    if weights.dtype != np.float64:
        raise ValueError(f"weights must be float64, got {weights.dtype}")
    if not len(weights):
        return np.zeros(weights.shape, np.uint32)
    rows = np.arange(len(weights))
    best = weights.argmax(axis=1)
    top = weights[rows, best]
    _check_distributions(weights, top)
    shares = weights / top[:, None]
    # `cumsum` adds from left to right by definition; `sum` adds in pairs, in an order of its own.
    total = np.cumsum(shares, axis=1)[:, -1]
    shares *= ((PARTS - weights.shape[1]) / total)[:, None]
    tables: NDArray[np.uint32] = np.floor(shares, out=shares).astype(np.uint32)
    tables += np.uint32(1)
    tables[rows, best] += (PARTS - tables.sum(axis=1, dtype=np.int64)).astype(np.uint32)
    return tables


def check_table_shape(table: NDArray[Any]) -> None:
    """Refuse what is not n rows of 2 to 65536 levels.

    Raises:
        ValueError: If the shape is another.
    """
    if table.ndim != 2 or not 2 <= table.shape[1] <= MOST_LEVELS:
        raise ValueError(f"a table must have shape (n, K) with K in 2..65536, got {table.shape}")


def _check_distributions(weights: NDArray[np.float64], top: NDArray[np.float64]) -> None:
    # `argmax` stops at a NaN, and a NaN fails every comparison: `top` tells NaN from a number.
    good = (top > 0) & (top < np.inf) & (weights.min(axis=1) >= 0)
    if not good.all():
        row = int(good.argmin())
        raise NextPixelError(
            f"no distribution to code with: the weights of row {row} must be finite, "
            f"not negative and not all zero, got {_shown(weights[row])}"
        )


def _shown(row: NDArray[np.float64]) -> str:
    return f"from {row.min()} to {row.max()}"
