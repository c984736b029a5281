"""Products of matrices for compiled code: each sum in the order of its terms, on every processor.

Matrices lie in one-dimensional float32 arrays. A sum stays in a register and is never split, so its
bits depend neither on the processor nor on how many rows are asked for at once.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import FLOATS, WIDTH, load, pointer, spread, store

_INDEX = ir.IntType(64)


def _tile(rows: int) -> Any:
    """Compile sums of products for some rows and 16 columns.

    In compiled code, f(c, at, c_row, a, place, a_row, a_term, b, from_, b_row, terms) adds to
    c[at + i c_row:][:16], for row i, the products of a[place + i a_row + k a_term] and
    b[from_ + k b_row:][:16], term k after term k.
    """

    def typing(context, c, at, c_row, a, place, a_row, a_term, b, from_, b_row, terms):
        one = types.int64
        signature = types.void(c, one, one, a, one, one, one, b, one, one, one)

        def generate(context, builder, signature, values):
            data = [pointer(context, builder, signature.args[k], values[k]) for k in (0, 3, 7)]
            _write_tile(builder, data, values, rows)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


def _write_tile(builder: Any, data: Any, values: Any, rows: int) -> None:
    _, at, c_row, _, place, a_row, a_term, _, begin, b_row, terms = values
    outputs = [_far(builder, at, c_row, i) for i in range(rows)]
    inputs = [_far(builder, place, a_row, i) for i in range(rows)]
    sums = [cgutils.alloca_once(builder, FLOATS) for _ in range(rows)]
    for total, output in zip(sums, outputs, strict=True):
        builder.store(load(builder, data[0], output), total)
    with cgutils.for_range(builder, terms) as loop:
        weight = load(builder, data[2], builder.add(begin, builder.mul(loop.index, b_row)))
        step = builder.mul(loop.index, a_term)
        for total, read in zip(sums, inputs, strict=True):
            x = builder.load(builder.gep(data[1], [builder.add(read, step)]))
            product = builder.fmul(spread(builder, x), weight)
            builder.store(builder.fadd(builder.load(total), product), total)
    for total, output in zip(sums, outputs, strict=True):
        store(builder, builder.load(total), data[0], output)


def _far(builder: Any, start: Any, step: Any, number: int) -> Any:
    return builder.add(start, builder.mul(step, ir.Constant(_INDEX, number)))


tile_4, tile_1 = _tile(4), _tile(1)


@inlined
def add_product(c, a, b, rows, columns, terms):
    """Add a (rows, terms) times b (terms, columns) to c (rows, columns); columns come in 16s."""
    _add(c, a, terms, 1, b, (rows, columns, terms))


@inlined
def add_product_across(c, a, b, rows, columns, terms):
    """As `add_product`, of a that lies the other way round, (terms, rows)."""
    _add(c, a, 1, rows, b, (rows, columns, terms))


@compiled
def _add(c, a, a_row, a_term, b, sizes):
    rows, columns, terms = sizes
    for j in range(0, columns, WIDTH):
        whole = rows // 4 * 4
        for i in range(0, whole, 4):
            tile_4(c, i * columns + j, columns, a, i * a_row, a_row, a_term, b, j, columns, terms)
        for i in range(whole, rows):
            tile_1(c, i * columns + j, columns, a, i * a_row, a_row, a_term, b, j, columns, terms)


@compiled
def turn(a, out, rows, columns):
    """The transposed matrix of a (rows, columns)."""
    for i in range(rows):
        for j in range(columns):
            out[j * rows + i] = a[i * columns + j]


@compiled
def adam_step(weights, gradient, first, second, settings):
    """One step of Adam (Kingma and Ba, 2014) up a gradient, number by number.

    `settings`: rate, decays of both moments, what is added below the root, and one over one minus
    each decay to the power of the step's number; float32.
    """
    rate, fade, fade2, least, whole, whole2 = settings
    one = np.float32(1.0)
    for n in range(len(weights)):
        g = gradient[n]
        first[n] = fade * first[n] + (one - fade) * g
        second[n] = fade2 * second[n] + (one - fade2) * (g * g)
        weights[n] += rate * (first[n] * whole) / (np.sqrt(second[n] * whole2) + least)
