"""Convolutions of one image and their gradients: compiled, for training on CPUs.

Maps hold the features of a place side by side. Weights that are multiplied lie in panels, (outputs
/ 16, inputs, 16), the inputs in the order of `Window`; gradients of weights are (inputs, outputs).

Products are taken a tile at a time, whose sums stay in registers. A tile is what these hold: some
places of 16 features, or the weights of some inputs to 16 outputs. Whoever needs the same bits on
every processor must not use these: a product and its addition are fused where the processor can,
which rounds once instead of twice.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic
from numpy.typing import NDArray

from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import FLOATS, WIDTH, add16, copy16, load, pointer, spread, store


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


Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Grid(NamedTuple):
    """The map of an image: the features of (y, x) from start + y * row + x * step on.

    Where `row` and `step` are 0, every place has the same features.
    """

    data: Floats
    start: int
    row: int
    step: int
    height: int
    width: int
    features: int


class Spans(NamedTuple):
    """What a place sees: `lengths` floats from `begins` on, counted from its own first feature.

    `total` is the sum of the lengths.
    """

    begins: Numbers
    lengths: Numbers
    total: int


class Window(NamedTuple):
    """The taps of a convolution, for maps that have zeros around them.

    Attributes:
        top: Rows of zeros above the map that it reads; below, where gradients are read.
        left: Columns of zeros to the left; to the right, where gradients are read.
        right: The other way around.
        seen: What an output sees of the inputs.
        back: What an input gets of the gradients.
    """

    top: int
    left: int
    right: int
    seen: Spans
    back: Spans


@compiled
def image_of(maps, image, height, width, features):
    """An image of maps (B, H, W, features)."""
    row = width * features
    return Grid(maps, image * height * row, row, features, height, width, features)


@compiled
def padded(window, height, width, features, top, left):
    """A map of zeros with zeros around it: `top` rows above, `left` columns to the left."""
    row = (window.left + width + window.right) * features
    data = np.zeros((window.top + height) * row, np.float32)
    return Grid(data, top * row + left * features, row, features, height, width, features)


@compiled
def zeros_like(grid):
    """Zeros at every place of a map; a few features serve all."""
    data = np.zeros(grid.features, np.float32)
    return Grid(data, 0, 0, 0, grid.height, grid.width, grid.features)


@inlined
def place(grid, row, column):
    """Where the features of a place begin."""
    return grid.start + row * grid.row + column * grid.step


@compiled
def copy(source, target):
    """Write a map over another."""
    length = source.width * source.features
    whole = length // WIDTH * WIDTH
    for row in range(source.height):
        at, to = place(source, row, 0), place(target, row, 0)
        for k in range(0, whole, WIDTH):
            copy16(target.data, to + k, source.data, at + k, source.data, at + k)
        for k in range(whole, length):
            target.data[to + k] = source.data[at + k]


@compiled
def begin(target, base, bias):
    """Let a target begin as the sum of a base and a bias."""
    for row in range(target.height):
        for column in range(target.width):
            to = place(target, row, column)
            here, also = place(base, row, column), place(bias, row, column)
            for f in range(0, target.features, WIDTH):
                add16(target.data, to + f, base.data, here + f, bias.data, also + f)


@compiled
def convolve(source, spans, weights, target):
    """Add to a target the products of panels of weights with what its places see in a source."""
    x, y, q_step, t_step = source.data, target.data, source.step, target.step
    begins, lengths, inputs = spans
    tiled, fours = target.width // TILE * TILE, target.width // 4 * 4
    for row in range(target.height):
        for f in range(0, target.features, WIDTH):
            q, t, w = place(source, row, 0), place(target, row, 0) + f, f * inputs
            for c in range(0, tiled, TILE):
                to, at = t + c * t_step, q + c * q_step
                convolve_tile(y, to, t_step, x, at, q_step, begins, lengths, weights, w)
            for c in range(tiled, fours, 4):
                to, at = t + c * t_step, q + c * q_step
                convolve_4(y, to, t_step, x, at, q_step, begins, lengths, weights, w)
            for c in range(fours, target.width):
                to, at = t + c * t_step, q + c * q_step
                convolve_1(y, to, 0, x, at, 0, begins, lengths, weights, w)


@compiled
def correlate(source, spans, back, sums, start):
    """Add to weights (inputs, outputs), over all places, what was seen times what came back."""
    x, g, q_step, g_step, outputs = source.data, back.data, source.step, back.step, back.features
    begins, lengths, _ = spans
    for row in range(back.height):
        to = start
        for s in range(len(begins)):
            q, tiled = place(source, row, 0) + begins[s], lengths[s] // TILE * TILE
            for f in range(0, outputs, WIDTH):
                t, came = to + f, place(back, row, 0) + f
                for k in range(0, tiled, TILE):
                    here = t + k * outputs
                    correlate_tile(
                        sums, here, outputs, x, q + k, q_step, g, came, g_step, back.width
                    )
                for k in range(tiled, lengths[s]):
                    here, at = t + k * outputs, q + k
                    correlate_1(sums, here, outputs, x, at, q_step, g, came, g_step, back.width)
            to += lengths[s] * outputs


@compiled
def gather(back, sums, start):
    """Add to biases what came back: they are weights of an input that is always one."""
    one = np.ones(1, np.float32)
    for row in range(back.height):
        for f in range(0, back.features, WIDTH):
            came = place(back, row, 0) + f
            correlate_1(sums, start + f, 0, one, 0, 0, back.data, came, back.step, back.width)
