"""Products of small matrices for training: sums stay in registers, multiplied and added at once.

A tile is what the vector registers hold: some places of 16 features, or the weights of some inputs
to 16 outputs. Whoever needs the same bits on every processor must not use these: a product
and its addition are fused where the processor can, which rounds once instead of twice.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from nextpixel.runtime.vectors import FLOATS, load, pointer, spread, store


def _has_wide_registers() -> bool:
    """Whether code is compiled for 16 floats a register, and 32 of these registers."""
    features = getattr(config, "CPU_FEATURES", None)
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return "+avx512f" in features


TILE = 8 if _has_wide_registers() else 4
"""Places, or inputs, of a tile."""

_INDEX = ir.IntType(64)


def _far(builder: Any, start: Any, step: Any, number: int) -> Any:
    return builder.add(start, builder.mul(step, ir.Constant(_INDEX, number)))


def _add_product(builder: Any, total: Any, x: Any, weights: Any) -> None:
    """Total += x * weights, fused if the processor can."""
    kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
    fused = cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32")
    builder.store(builder.call(fused, [x, weights, builder.load(total)]), total)


def convolved(places: int) -> Any:
    """Compile a convolution of some places, for 16 outputs.

    In compiled code, f(target, t, t_step, source, q, q_step, begins, lengths, weights, w) adds to
    target[t:t + 16], for place m at t + m * t_step, the products of its inputs with weights. The
    inputs are spans of `lengths` floats that begin at q + m * q_step + `begins`. Their weights
    lie from w on, 16 for each input.
    """

    def typing(context, target, t, t_step, source, q, q_step, begins, lengths, weights, w):
        at = types.int64
        signature = types.void(target, at, at, source, at, at, begins, lengths, weights, at)

        def generate(context, builder, signature, arguments):
            arrays = {
                k: pointer(context, builder, signature.args[k], arguments[k]) for k in _ARRAYS
            }
            count = context.make_array(signature.args[6])(context, builder, arguments[6]).nitems
            _convolve(
                builder, [arrays.get(k, one) for k, one in enumerate(arguments)], count, places
            )
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


_ARRAYS = (0, 3, 6, 7, 8)


def _convolve(builder: Any, arguments: Any, count: Any, places: int) -> None:
    target, t, t_step, source, q, q_step, begins, lengths, weights, w = arguments
    outputs = [_far(builder, t, t_step, m) for m in range(places)]
    sums = [cgutils.alloca_once_value(builder, load(builder, target, at)) for at in outputs]
    reached = cgutils.alloca_once_value(builder, builder.gep(weights, [w]))
    with cgutils.for_range(builder, count) as span:
        begin = builder.add(q, builder.load(builder.gep(begins, [span.index])))
        inputs = [builder.gep(source, [_far(builder, begin, q_step, m)]) for m in range(places)]
        with cgutils.for_range(builder, builder.load(builder.gep(lengths, [span.index]))) as k:
            panel = builder.load(reached)
            row = load(builder, panel, ir.Constant(_INDEX, 0))
            for data, total in zip(inputs, sums, strict=True):
                x = spread(builder, builder.load(builder.gep(data, [k.index])))
                _add_product(builder, total, x, row)
            builder.store(builder.gep(panel, [ir.Constant(_INDEX, FLOATS.count)]), reached)
    for at, total in zip(outputs, sums, strict=True):
        store(builder, builder.load(total), target, at)


def correlated(inputs: int) -> Any:
    """Compile the gradient of the weights from some inputs to 16 outputs.

    In compiled code, f(target, t, t_step, source, q, q_step, gradient, g, g_step, count) adds to
    the 16 floats of `target` from t + i * t_step on, for input i, the sum over m < `count` of
    source[q + m * q_step + i] times the 16 floats of `gradient` from g + m * g_step on.
    """

    def typing(context, target, t, t_step, source, q, q_step, gradient, g, g_step, count):
        at = types.int64
        signature = types.void(target, at, at, source, at, at, gradient, at, at, at)

        def generate(context, builder, signature, arguments):
            arrays = {
                k: pointer(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 6)
            }
            _correlate(builder, [arrays.get(k, one) for k, one in enumerate(arguments)], inputs)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


def _correlate(builder: Any, arguments: Any, inputs: int) -> None:
    target, t, t_step, source, q, q_step, gradient, g, g_step, count = arguments
    outputs = [_far(builder, t, t_step, i) for i in range(inputs)]
    sums = [cgutils.alloca_once_value(builder, load(builder, target, at)) for at in outputs]
    with cgutils.for_range(builder, count) as m:
        seen = builder.gep(source, [builder.add(q, builder.mul(m.index, q_step))])
        back = load(builder, gradient, builder.add(g, builder.mul(m.index, g_step)))
        for i, total in enumerate(sums):
            x = spread(builder, builder.load(builder.gep(seen, [ir.Constant(_INDEX, i)])))
            _add_product(builder, total, x, back)
    for at, total in zip(outputs, sums, strict=True):
        store(builder, builder.load(total), target, at)


convolve_tile, convolve_4, convolve_1 = convolved(TILE), convolved(4), convolved(1)
correlate_tile, correlate_1 = correlated(TILE), correlated(1)
