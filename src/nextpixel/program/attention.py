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

_INDEX = ir.IntType(64)
_LOWEST = -3.0e38
_ZEROS = ir.Constant(FLOATS, [0.0] * WIDTH)


@intrinsic
def attend_head(typingctx, state, query, keys, values, out, sizes):  # noqa: ANN201
    """What a query makes of values, in compiled code.

    `sizes`: how many keys, floats from one key to the next, from one value to the next, of a key,
    and of a value, whole vectors. `scale` times the products with the query are the logarithms of
    the weights of the values, up to a constant. Without keys the output is zeros.

    Sixteen keys at a time: their products, the largest so far, powers of e, and the sum of values
    in the order of the keys; what was summed before is brought to the new largest. Beyond the last
    key it is read again, with weight 0.
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
        self.count, self.key_step, self.value_step, self.key, self.value, self.scale = sizes
        lowest = ir.Constant(FLOATS, [_LOWEST] * WIDTH)
        self.largest = cgutils.alloca_once(builder, FLOATS)
        self.total = cgutils.alloca_once(builder, FLOATS)
        builder.store(lowest, self.largest)
        builder.store(_ZEROS, self.total)

    def write(self) -> None:
        builder, width = self.builder, ir.Constant(_INDEX, WIDTH)
        self._each(self.value, lambda at: self._store(_ZEROS, at))
        tiles = builder.sdiv(builder.add(self.count, ir.Constant(_INDEX, WIDTH - 1)), width)
        with cgutils.for_range(builder, tiles) as loop:
            self._tile(builder.mul(loop.index, width))
        with builder.if_then(builder.icmp_signed(">", self.count, ir.Constant(_INDEX, 0))):
            total = spread(builder, _reduced(builder, builder.load(self.total), builder.fadd))
            self._each(self.value, lambda at: self._store(builder.fdiv(self._load(at), total), at))

    def _tile(self, first: Any) -> None:
        """Add sixteen keys from number `first` on."""
        builder = self.builder
        numbers = [self._inside(builder.add(first, ir.Constant(_INDEX, k))) for k in range(WIDTH)]
        scores = self._scores(numbers)
        left = builder.trunc(builder.sub(self.count, first), ir.IntType(32))
        places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), list(range(WIDTH)))
        there = builder.icmp_signed("<", places, _spread_integer(builder, left))
        scores = builder.select(there, scores, ir.Constant(FLOATS, [_LOWEST] * WIDTH))
        before = builder.load(self.largest)
        most = spread(builder, _reduced(builder, scores, self._larger))
        largest = self._larger(before, most)
        powers = exponential(Value(builder, builder.fsub(scores, largest)), SINGLE).value
        powers = builder.select(there, powers, _ZEROS)
        shrunk = exponential(Value(builder, builder.fsub(before, largest)), SINGLE).value
        total = builder.fadd(builder.fmul(builder.load(self.total), shrunk), powers)
        builder.store(total, self.total)
        builder.store(largest, self.largest)
        weights = [_splat(builder, powers, k) for k in range(WIDTH)]
        begins = [builder.add(self.values, builder.mul(n, self.value_step)) for n in numbers]

        def add(at: Any) -> None:
            sums = [builder.fmul(self._load(at), shrunk), _ZEROS, _ZEROS, _ZEROS]
            for k, (weight, begin) in enumerate(zip(weights, begins, strict=True)):
                value = load(builder, self.data, builder.add(begin, at))
                sums[k % 4] = builder.fadd(sums[k % 4], builder.fmul(value, weight))
            made = builder.fadd(sums[0], sums[1]), builder.fadd(sums[2], sums[3])
            self._store(builder.fadd(*made), at)

        self._each(self.value, add)

    def _inside(self, number: Any) -> Any:
        last = self.builder.sub(self.count, ir.Constant(_INDEX, 1))
        beyond = self.builder.icmp_signed(">", number, last)
        return self.builder.select(beyond, last, number)

    def _scores(self, numbers: Any) -> Any:
        """The products of the query with sixteen keys, scaled, in a vector."""
        builder = self.builder
        begins = [builder.add(self.keys, builder.mul(n, self.key_step)) for n in numbers]
        sums = [cgutils.alloca_once(builder, FLOATS) for _ in begins]
        for total in sums:
            builder.store(_ZEROS, total)

        def add(at: Any) -> None:
            x = load(builder, self.data, builder.add(self.query, at))
            for begin, total in zip(begins, sums, strict=True):
                y = load(builder, self.data, builder.add(begin, at))
                builder.store(builder.fadd(builder.load(total), builder.fmul(x, y)), total)

        self._each(self.key, add)
        made = _sums_of(builder, [builder.load(total) for total in sums])
        return builder.fmul(made, spread(builder, self.scale))

    def _larger(self, x: Any, y: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(">", x, y), x, y)

    def _each(self, vectors: Any, do: Any) -> None:
        with cgutils.for_range(self.builder, vectors) as loop:
            do(self.builder.mul(loop.index, ir.Constant(_INDEX, WIDTH)))

    def _load(self, at: Any) -> Any:
        return load(self.builder, self.data, self.builder.add(self.out, at))

    def _store(self, value: Any, at: Any) -> None:
        store(self.builder, value, self.data, self.builder.add(self.out, at))


_FOURS = range(0, WIDTH, 4)
_SUMS = (  # of each level: which elements of two vectors, one after the other, are added to which
    ([k + n for k in _FOURS for n in (0, WIDTH, 1, WIDTH + 1)],
     [k + n for k in _FOURS for n in (2, WIDTH + 2, 3, WIDTH + 3)]),
    ([k + n for k in _FOURS for n in (0, 1, WIDTH, WIDTH + 1)],
     [k + n for k in _FOURS for n in (2, 3, WIDTH + 2, WIDTH + 3)]),
    ([*range(8), *range(WIDTH, WIDTH + 8)], [*range(8, WIDTH), *range(WIDTH + 8, 2 * WIDTH)]),
    ([*range(4), *range(8, 12), *range(16, 20), *range(24, 28)],
     [*range(4, 8), *range(12, 16), *range(20, 24), *range(28, 32)]),
)  # fmt: skip


def _sums_of(builder: Any, vectors: list[Any]) -> Any:
    """The sum of the elements of each of sixteen vectors, in their order, as one vector.

    Elements are exchanged within fours first, which processors do at less cost.
    """
    for level in _SUMS:
        first, second = (ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), one) for one in level)
        vectors = [
            builder.fadd(builder.shuffle_vector(x, y, first), builder.shuffle_vector(x, y, second))
            for x, y in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]


def _reduced(builder: Any, vector: Any, join: Any) -> Any:
    """Sixteen elements as one number: halves are joined until one is left."""
    size = WIDTH
    while size > 1:
        size //= 2
        kind = ir.VectorType(ir.IntType(32), size)
        low, high = (ir.Constant(kind, list(range(k, k + size))) for k in (0, size))
        none = ir.Constant(vector.type, ir.Undefined)
        vector = join(
            builder.shuffle_vector(vector, none, low), builder.shuffle_vector(vector, none, high)
        )
    return builder.extract_element(vector, _at(0))


def _splat(builder: Any, vector: Any, element: int) -> Any:
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [element] * WIDTH)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), chosen)


def _spread_integer(builder: Any, number: Any) -> Any:
    kind = ir.VectorType(ir.IntType(32), WIDTH)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, _at(0))
    return builder.shuffle_vector(
        one, ir.Constant(kind, ir.Undefined), ir.Constant(kind, [0] * WIDTH)
    )


def _at(number: int) -> Any:
    return ir.Constant(ir.IntType(32), number)
