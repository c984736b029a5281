"""Attention for compiled code: one query over keys in their order, sums in one fixed order."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nextpixel.runtime.vectors import (
    FLOATS,
    SINGLE,
    WIDTH,
    Value,
    exponential,
    load,
    pointer,
    spread,
    store,
)

_INDEX, _FLOAT = ir.IntType(64), ir.FloatType()
_LOWEST = -3.0e38


@intrinsic
def attend_head(typingctx, state, query, keys, values, out, sizes):
    """What a query makes of values, in compiled code.

    `sizes`: how many keys, floats from one key to the next, from one value to the next, of a key,
    and of a value, whole vectors. `scale` times the products with the query are the logarithms of
    the weights of the values, up to a constant. Without keys the output is zeros.

    Sixteen keys at a time: their products, the largest so far, powers of e, and the sum of values
    in the order of the keys; what was summed before is brought to the new largest.
    """
    at = types.int64
    signature = types.void(state, at, at, at, at, sizes)

    def generate(context, builder, signature, arguments):
        data = pointer(context, builder, signature.args[0], arguments[0])
        numbers = cgutils.unpack_tuple(builder, arguments[5])
        _Attention(builder, data, arguments[1:5], numbers).write()
        return context.get_dummy_value()

    return signature, generate


class _Attention:
    """The instructions of `attend_head`."""

    def __init__(self, builder: Any, data: Any, places: Any, sizes: Any) -> None:
        self.builder, self.data = builder, data
        self.query, self.keys, self.values, self.out = places
        self.count, self.key_step, self.value_step, self.key, self.value, scale = sizes
        self.scale = builder.fptrunc(scale, _FLOAT) if scale.type != _FLOAT else scale
        self.largest = cgutils.alloca_once_value(builder, ir.Constant(_FLOAT, _LOWEST))
        self.total = cgutils.alloca_once_value(builder, ir.Constant(_FLOAT, 0.0))
        self.scores = cgutils.alloca_once(builder, FLOATS)

    def write(self) -> None:
        builder, width = self.builder, ir.Constant(_INDEX, WIDTH)
        self._each_of_value(lambda at: self._store(self._spread(ir.Constant(_FLOAT, 0.0)), at))
        tiles = builder.udiv(builder.add(self.count, ir.Constant(_INDEX, WIDTH - 1)), width)
        with cgutils.for_range(builder, tiles) as loop:
            first = builder.mul(loop.index, width)
            left = builder.sub(self.count, first)
            whole = builder.icmp_signed(">", left, width)
            self._tile(first, builder.select(whole, width, left))
        with builder.if_then(builder.icmp_signed(">", self.count, ir.Constant(_INDEX, 0))):
            total = self._spread(builder.load(self.total))
            self._each_of_value(lambda at: self._store(self._load(at) / total, at))

    def _tile(self, first: Any, count: Any) -> None:
        """Add some keys, at most sixteen, from number `first` on."""
        builder = self.builder
        builder.store(self._spread(ir.Constant(_FLOAT, _LOWEST)).value, self.scores)
        lanes = builder.bitcast(self.scores, _FLOAT.as_pointer())
        before = builder.load(self.largest)
        with cgutils.for_range(builder, count) as loop:
            score = self._score(builder.add(first, loop.index))
            builder.store(score, builder.gep(lanes, [loop.index]))
            largest = builder.load(self.largest)
            more = builder.fcmp_ordered(">", score, largest)
            builder.store(builder.select(more, score, largest), self.largest)
        largest = self._spread(builder.load(self.largest))
        powers = exponential(Value(builder, builder.load(self.scores)) - largest, SINGLE)
        builder.store(powers.value, self.scores)
        shrunk = exponential(self._spread(before) - largest, SINGLE)
        total = builder.fmul(
            builder.load(self.total), builder.extract_element(shrunk.value, _index(0))
        )
        builder.store(total, self.total)
        self._each_of_value(lambda at: self._store(self._load(at) * shrunk, at))
        with cgutils.for_range(builder, count) as loop:
            self._add(builder.add(first, loop.index), builder.load(builder.gep(lanes, [loop.index])))

    def _score(self, number: Any) -> Any:
        """The product of the query with a key, lane by lane, then lanes in a tree; scaled."""
        builder = self.builder
        key = builder.add(self.keys, builder.mul(number, self.key_step))
        total = cgutils.alloca_once_value(builder, ir.Constant(FLOATS, [0.0] * WIDTH))
        builder.store(ir.Constant(FLOATS, [0.0] * WIDTH), total)
        with cgutils.for_range(builder, self.key) as loop:
            at = builder.mul(loop.index, ir.Constant(_INDEX, WIDTH))
            x = load(builder, self.data, builder.add(self.query, at))
            y = load(builder, self.data, builder.add(key, at))
            builder.store(builder.fadd(builder.load(total), builder.fmul(x, y)), total)
        return builder.fmul(_sum(builder, builder.load(total)), self.scale)

    def _add(self, number: Any, weight: Any) -> None:
        """Add a value to what is summed."""
        builder = self.builder
        builder.store(builder.fadd(builder.load(self.total), weight), self.total)
        begin = builder.add(self.values, builder.mul(number, self.value_step))
        weights = self._spread(weight)

        def add(at: Any) -> None:
            value = Value(builder, load(builder, self.data, builder.add(begin, at)))
            self._store(self._load(at) + value * weights, at)

        self._each_of_value(add)

    def _each_of_value(self, do: Any) -> None:
        with cgutils.for_range(self.builder, self.value) as loop:
            do(self.builder.mul(loop.index, ir.Constant(_INDEX, WIDTH)))

    def _load(self, at: Any) -> Value:
        return Value(self.builder, load(self.builder, self.data, self.builder.add(self.out, at)))

    def _store(self, value: Value, at: Any) -> None:
        store(self.builder, value.value, self.data, self.builder.add(self.out, at))

    def _spread(self, number: Any) -> Value:
        return Value(self.builder, spread(self.builder, number))


def _sum(builder: Any, vector: Any) -> Any:
    """The sum of sixteen lanes: halves are added until one is left."""
    size = WIDTH
    while size > 1:
        size //= 2
        kind = ir.VectorType(ir.IntType(32), size)
        low, high = (ir.Constant(kind, list(range(k, k + size))) for k in (0, size))
        none = ir.Constant(vector.type, ir.Undefined)
        vector = builder.fadd(
            builder.shuffle_vector(vector, none, low), builder.shuffle_vector(vector, none, high)
        )
    return builder.extract_element(vector, _index(0))


def _index(number: int) -> Any:
    return ir.Constant(ir.IntType(32), number)
