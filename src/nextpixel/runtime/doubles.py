"""Vectors of eight float64 for compiled code: what the mixtures of logistics are made of.

Each function is written on `vectors.Value`, number by number in a stated order, so that eight at a
time have the bits of one alone on every processor.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nextpixel.runtime.vectors import (
    DOUBLED,
    DOUBLES,
    EIGHT,
    Value,
    constant_of,
    exponential,
    load,
    minus_size,
    pointer,
    spread,
    store,
)


def logistic(z: Value) -> Value:
    """1 / (1 + e^-z) in float64, relative error below 1e-15; z below -700 counts as -700."""
    small = exponential(minus_size(z), DOUBLED)
    return z.where_below(0.0, small, z.constant(1.0)) / (small + 1.0)


def log_logistic(z: Value) -> Value:
    """log(1 / (1 + e^-z)) in float64, error below 1e-15 max(1, |z|), for every z.

    It is min(z, 0) - log(1 + y) with y = e^-|z|, and log(1 + y) = 2 artanh(y / (2 + y)) by its
    series, whose argument is at most 1/3.
    """
    y = exponential(minus_size(z), DOUBLED)
    s = y / (y + 2.0)
    square = s * s
    total = s.constant(1.0 / 35)
    for k in range(33, 0, -2):
        total = total * square + 1.0 / k
    return z.where_below(0.0, z, z.constant(0.0)) - s * total * 2.0


def one_minus_exp(x: Value) -> Value:
    """1 - e^-x for x > 0 in float64, as `runtime.numbers.minus_expm1`."""
    total = x.constant(1.0)
    for k in range(16, 1, -1):
        total = total.constant(1.0) - total * x / k
    return (-x).where_below(-0.5, x.constant(1.0) - exponential(-x, DOUBLED), total * x)


def logarithm(x: Value) -> Value:
    """Natural logarithm of positive float64 that are not subnormal.

    It has the bits of `runtime.numbers.log64`, but at 1.42 itself.
    """
    m, n = _parts(x)
    high = m.at_least(1.42)
    m, n = m.where_below(1.42, m, high * 0.5), m.where_below(1.42, n, n + 1.0)
    s = (m - 1.0) / (m + 1.0)
    square, total = s * s, s.constant(0.0)
    for k in range(23, 1, -2):
        total = (total + 1.0 / k) * square
    found = s * 2.0 * (total + 1.0) + n * 0.6931471805599453
    return found + x * 0.0  # what is no number stays none


def _parts(x: Value) -> tuple[Value, Value]:
    """The m in [1, 2) and n of x = 2^n m, of vectors of eight."""
    builder = x.builder
    integers = ir.VectorType(ir.IntType(DOUBLED.bits), EIGHT)
    whole, width = x.bits(integers), constant_of(integers, DOUBLED.mantissa)
    exponent = builder.lshr(whole, width)
    low = builder.sub(whole, builder.shl(exponent, width))
    one, shift = x.constant(1.0), x.constant(2.0**DOUBLED.mantissa)
    m = Value(builder, builder.bitcast(builder.or_(low, one.bits(integers)), DOUBLES))
    added = builder.or_(exponent, shift.bits(integers))  # 2^52 plus the exponent
    return m, Value(builder, builder.bitcast(added, DOUBLES)) - shift - float(DOUBLED.bias)


def tanh_double(x: Value) -> Value:
    """Tanh in float64, as `runtime.numbers.tanh64`."""
    size = x.constant(2.0) / (exponential(minus_size(x) * 2.0, DOUBLED) + 1.0) - 1.0
    return (-x).where_below(0.0, size, -size)


def eights(expression: Callable[[Value, Value, Value, Value], Value]) -> Any:
    """Compile an expression of three vectors of eight float64 and a number, in one array.

    In compiled code, f(p, to, i, j, k, number) makes p[to:to + 8] of p[i:i + 8], p[j:j + 8],
    p[k:k + 8] and the number.
    """

    def typing(context, p, to, i, j, k, number):
        at = types.int64

        def generate(context, builder, signature, values):
            data = pointer(context, builder, signature.args[0], values[0])
            read = [Value(builder, load(builder, data, one, DOUBLES)) for one in values[2:5]]
            same = Value(builder, spread(builder, values[5], DOUBLES))
            store(builder, expression(*read, same).value, data, values[1])
            return context.get_dummy_value()

        return types.void(p, at, at, at, at, types.float64), generate

    return intrinsic(typing)
