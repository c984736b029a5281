"""Products of matrices for compiled code: sums that stay in registers, in one fixed order."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nextpixel.runtime.vectors import FLOATS, WIDTH, load, pointer, spread, store

_INDEX = ir.IntType(64)


def products(places: int, panels: int) -> Any:
    """Compile sums of products for some places and panels of 16 outputs, kept in registers.

    In compiled code, f(state, weights, begins, lengths, first, count, q, q_step, t, t_step, w,
    w_step) adds to state[t:t + 16 * panels], for place m at t + m * t_step, the products of its
    inputs with a panel's weights. The inputs are `count` spans, from number `first` on, of
    `lengths` floats that begin at q + m * q_step + `begins`. Panel p's weights lie from
    w + p * w_step on, 16 for each input. A sum runs over the inputs in order, so it does not
    depend on `places` and `panels`.
    """

    def typing(
        context, state, weights, begins, lengths, first, count, q, q_step, t, t_step, w, w_step
    ):
        signature = types.void(state, weights, begins, lengths, *[types.int64] * 8)

        def generate(context, builder, signature, values):
            data = [pointer(context, builder, signature.args[k], values[k]) for k in range(4)]
            _Product(builder, data, values[4:], places, panels).write()
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


class _Product:
    """The instructions of `products`."""

    def __init__(self, builder: Any, data: Any, numbers: Any, places: int, panels: int) -> None:
        self.builder = builder
        self.state, self.weights, self.begins, self.lengths = data
        self.first, self.count, q, q_step, t, t_step, self.w, w_step = numbers
        self.inputs = [self._far(q, q_step, m) for m in range(places)]
        self.outputs = [self._far(t, t_step, m) for m in range(places)]
        self.panels = [self._far(ir.Constant(_INDEX, 0), w_step, p) for p in range(panels)]
        self.sums = [
            [cgutils.alloca_once(builder, FLOATS) for _ in self.panels] for _ in self.inputs
        ]

    def _far(self, start: Any, step: Any, number: int) -> Any:
        return self.builder.add(start, self.builder.mul(step, ir.Constant(_INDEX, number)))

    def write(self) -> None:
        builder = self.builder
        for sums, t in zip(self.sums, self.outputs, strict=True):
            for p, total in enumerate(sums):
                builder.store(load(builder, self.state, self._panel(t, p)), total)
        reached = cgutils.alloca_once_value(builder, self.w)
        with cgutils.for_range(builder, self.count) as span:
            number = builder.add(self.first, span.index)
            length = builder.load(builder.gep(self.lengths, [number]))
            self._span(builder.load(builder.gep(self.begins, [number])), length, reached)
        for sums, t in zip(self.sums, self.outputs, strict=True):
            for p, total in enumerate(sums):
                store(builder, builder.load(total), self.state, self._panel(t, p))

    def _panel(self, t: Any, p: int) -> Any:
        return self.builder.add(t, ir.Constant(_INDEX, WIDTH * p))

    def _span(self, begin: Any, length: Any, reached: Any) -> None:
        builder, base = self.builder, self.builder.load(reached)
        inputs = [builder.gep(self.state, [builder.add(q, begin)]) for q in self.inputs]
        panels = [builder.gep(self.weights, [builder.add(base, w)]) for w in self.panels]
        width = ir.Constant(_INDEX, WIDTH)
        with cgutils.for_range(builder, length) as loop:
            at = builder.mul(loop.index, width)
            weights = [load(builder, panel, at) for panel in panels]
            for data, sums in zip(inputs, self.sums, strict=True):
                x = spread(builder, builder.load(builder.gep(data, [loop.index])))
                for weight, total in zip(weights, sums, strict=True):
                    product = builder.fmul(x, weight)
                    builder.store(builder.fadd(builder.load(total), product), total)
        builder.store(builder.add(base, builder.mul(length, width)), reached)


product_4x1, product_1x4 = products(4, 1), products(1, 4)
product_1x2, product_1x1 = products(1, 2), products(1, 1)
