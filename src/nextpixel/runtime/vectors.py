"""Vectors of 16 floats for compiled code, element by element, and the exponential.

numba's own vectorising of loops stops at short loops and at arrays that may overlap. Here each
operation is written as LLVM instructions on whole vectors, and LLVM cuts them to what the processor
has. Every lane is computed alone by IEEE additions, products and quotients in a stated order, never
fused or re-ordered, so the bits are the same on every processor.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WIDTH = 16
"""Features that are computed together; feature maps are padded to a multiple of it."""

EIGHT = 8
"""Weights of levels that are computed together."""

FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
DOUBLE = ir.DoubleType()
DOUBLES = ir.VectorType(DOUBLE, EIGHT)


class Value:
    """A float, or a vector of floats, in code that is being generated.

    Args:
        builder: Where instructions go.
        value: The LLVM value, of type `FLOATS` or `DOUBLE`.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def constant(self, number: float) -> "Value":
        """A number of the same type."""
        return Value(self.builder, constant_of(self.value.type, number))

    def _with(self, instruction: str, other: "Value | float") -> "Value":
        right = other if isinstance(other, Value) else self.constant(other)
        return Value(self.builder, getattr(self.builder, instruction)(self.value, right.value))

    def __add__(self, other: "Value | float") -> "Value":
        return self._with("fadd", other)

    def __sub__(self, other: "Value | float") -> "Value":
        return self._with("fsub", other)

    def __mul__(self, other: "Value | float") -> "Value":
        return self._with("fmul", other)

    def __truediv__(self, other: "Value | float") -> "Value":
        return self._with("fdiv", other)

    def __neg__(self) -> "Value":
        return Value(self.builder, self.builder.fneg(self.value))

    def where_below(self, limit: float, new: "Value | float", old: "Value") -> "Value":
        """`new` where this is below a limit, else (also where it is no number) `old`."""
        below = self.builder.fcmp_ordered("<", self.value, self.constant(limit).value)
        chosen = new if isinstance(new, Value) else self.constant(new)
        return Value(self.builder, self.builder.select(below, chosen.value, old.value))

    def at_least(self, limit: float) -> "Value":
        """The larger of this and a limit; no number stays none."""
        return self.where_below(limit, limit, self)

    def bits(self, integers: ir.Type) -> ir.Value:
        """The same bits read as integers."""
        return self.builder.bitcast(self.value, integers)


def constant_of(of: ir.Type, number: float) -> ir.Constant:
    """A number in every place of a type."""
    return ir.Constant(of, [number] * of.count if isinstance(of, ir.VectorType) else number)


class Precision:
    """What the exponential needs to know of a type of floats.

    Args:
        bits: Of an integer of the same width.
        mantissa: Bits after the point.
        bias: Of the exponent.
        lowest: e to a smaller power counts as e to this one.
        terms: Of the series.
        ln2: ln 2 as a short number, whose products with small integers are exact, and the rest.
    """

    def __init__(
        self,
        bits: int,
        mantissa: int,
        bias: int,
        *,
        lowest: float,
        terms: int,
        ln2: tuple[float, float],
    ) -> None:
        self.bits, self.mantissa, self.bias = bits, mantissa, bias
        self.lowest, self.terms, self.ln2 = lowest, terms, ln2


SINGLE = Precision(
    32,
    23,
    127,
    lowest=-80.0,
    terms=7,
    ln2=(0.693359375, -2.12194440054690583e-4),
)
DOUBLED = Precision(
    64,
    52,
    1023,
    lowest=-700.0,
    terms=13,
    ln2=(0.693147180369123816490, 1.90821492927058770002e-10),
)


def exponential(x: Value, precision: Precision) -> Value:
    """e^x for x <= 0.

    x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor series, 2^n by writing its exponent.
    Adding 1.5 * 2^mantissa rounds to the nearest whole number, and leaves it in the last bits.
    """
    x = x.at_least(precision.lowest)
    shift = 1.5 * 2.0**precision.mantissa
    shifted = x * 1.4426950408889634 + shift
    n = shifted - shift
    r = (x - n * precision.ln2[0]) - n * precision.ln2[1]
    total = r.constant(_inverse_factorial(precision.terms))
    for k in range(precision.terms - 1, -1, -1):
        total = total * r + _inverse_factorial(k)
    return total * _power_of_two(shifted, shift, precision)


def _inverse_factorial(k: int) -> float:
    return 1.0 if k == 0 else _inverse_factorial(k - 1) / k


def _power_of_two(shifted: Value, shift: float, precision: Precision) -> Value:
    builder, floats = shifted.builder, shifted.value.type
    integers = ir.IntType(precision.bits)
    if isinstance(floats, ir.VectorType):
        integers = ir.VectorType(integers, floats.count)
    whole = builder.sub(shifted.bits(integers), shifted.constant(shift).bits(integers))
    exponent = builder.add(whole, constant_of(integers, precision.bias))
    bits = builder.shl(exponent, constant_of(integers, precision.mantissa))
    return Value(builder, builder.bitcast(bits, floats))


def gated(x: Value, y: Value) -> Value:
    """tanh(x) * sigmoid(y), with one division.

    With a = e^(-2|x|) and b = e^(-|y|): (1 - a) * (1 or b) / ((1 + a) * (1 + b)), signed as x.
    """
    a = exponential(minus_size(x + x), SINGLE)
    b = exponential(minus_size(y), SINGLE)
    size = a.constant(1.0) - a
    top = x.where_below(0.0, -size, size) * y.where_below(0.0, b, b.constant(1.0))
    return top / ((a + 1.0) * (b + 1.0))


def minus_size(x: Value) -> Value:
    """-|x|."""
    return x.where_below(0.0, x, -x)


def pointer(context: Any, builder: ir.IRBuilder, of: Any, array: ir.Value) -> ir.Value:
    """Where an array's numbers begin."""
    return context.make_array(of)(context, builder, array).data


def load(builder: ir.IRBuilder, data: ir.Value, at: ir.Value, of: ir.Type = FLOATS) -> ir.Value:
    """A vector from an index on."""
    place = builder.bitcast(builder.gep(data, [at]), of.as_pointer())
    return builder.load(place, align=4)


def store(builder: ir.IRBuilder, value: ir.Value, data: ir.Value, at: ir.Value) -> None:
    """Write a vector from an index on."""
    place = builder.bitcast(builder.gep(data, [at]), value.type.as_pointer())
    builder.store(value, place, align=4)


def spread(builder: ir.IRBuilder, number: ir.Value, of: ir.Type = FLOATS) -> ir.Value:
    """A number in every place of a vector."""
    nothing, first = ir.Constant(of, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), of.count), [0] * of.count)
    return builder.shuffle_vector(builder.insert_element(nothing, number, first), nothing, chosen)


def elementwise(expression: Callable[[Value, Value], Value]) -> Any:
    """Compile an expression of two vectors.

    In compiled code, f(out, to, a, i, b, j) makes out[to:to + 16] of a[i:i + 16] and b[j:j + 16].
    """

    def typing(context, out, to, a, i, b, j):
        signature = types.void(out, types.int64, a, types.int64, b, types.int64)

        def generate(context, builder, signature, values):
            data = [pointer(context, builder, signature.args[k], values[k]) for k in (0, 2, 4)]
            x = Value(builder, load(builder, data[1], values[3]))
            y = Value(builder, load(builder, data[2], values[5]))
            store(builder, expression(x, y).value, data[0], values[1])
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


def elu(x: Value) -> Value:
    """x, or below 0 e^x - 1: of that the error is below 1e-7, and no share of it near 0."""
    low = exponential(x.where_below(0.0, x, x.constant(0.0)), SINGLE) - 1.0
    return x.where_below(0.0, low, x)


def cell(before: Value, keep: Value, enter: Value, new: Value) -> Value:
    """What an LSTM's cell becomes: before * sigmoid(keep) + tanh(new) * sigmoid(enter)."""
    return opened(before, keep) + gated(new, enter)


def tanh(x: Value) -> Value:
    """Tanh: (1 - a) / (1 + a) with a = e^(-2|x|), signed as x."""
    a = exponential(minus_size(x + x), SINGLE)
    size = (a.constant(1.0) - a) / (a + 1.0)
    return x.where_below(0.0, -size, size)


def opened(x: Value, y: Value) -> Value:
    """X * sigmoid(y)."""
    b = exponential(minus_size(y), SINGLE)
    return x * y.where_below(0.0, b, b.constant(1.0)) / (b + 1.0)


copy16 = elementwise(lambda x, y: x)
relu16 = elementwise(lambda x, y: x.at_least(0.0))
add16 = elementwise(lambda x, y: x + y)
times16 = elementwise(lambda x, y: x * y)
shut16 = elementwise(lambda x, y: (-x).where_below(0.0, y, x.constant(0.0)))
gate16 = elementwise(gated)
elu16 = elementwise(lambda x, y: elu(x))
minus_elu16 = elementwise(lambda x, y: elu(-x))
open16 = elementwise(opened)
sigmoid16 = elementwise(lambda x, y: opened(x.constant(1.0), x))
tanh16 = elementwise(lambda x, y: tanh(x))
gelu16 = elementwise(lambda x, y: opened(x, x * 1.702))


@intrinsic
def cell16(typingctx, state, to, before, keep, enter, new):
    """state[to:to + 16] = `cell` of the vectors that begin there, in compiled code."""
    at = types.int64

    def generate(context, builder, signature, values):
        data = pointer(context, builder, signature.args[0], values[0])
        read = [Value(builder, load(builder, data, one)) for one in values[2:]]
        store(builder, cell(*read).value, data, values[1])
        return context.get_dummy_value()

    return types.void(state, *[at] * 5), generate


@intrinsic
def exp64(typingctx, x):
    """e^x for x <= 0 in float64, relative error below 1e-15; x below -700 counts as -700."""

    def generate(context, builder, signature, values):
        return exponential(Value(builder, values[0]), DOUBLED).value

    return types.float64(types.float64), generate


@intrinsic
def weigh8(typingctx, weights, to, p, at, largest, temperature):
    """weights[to:to + 8] = e^((p[at:at + 8] - largest) / temperature), as `exp64` lane by lane."""

    def generate(context, builder, signature, values):
        data = [pointer(context, builder, signature.args[k], values[k]) for k in (0, 2)]
        x = Value(builder, load(builder, data[1], values[3], DOUBLES))
        most = Value(builder, spread(builder, values[4], DOUBLES))
        heat = Value(builder, spread(builder, values[5], DOUBLES))
        made = exponential((x - most) / heat, DOUBLED)
        store(builder, made.value, data[0], values[1])
        return context.get_dummy_value()

    one, many = types.float64, types.int64
    return types.void(weights, many, p, many, one, one), generate


def gate_gradients(x: Value, y: Value, back: Value) -> tuple[Value, Value]:
    """Gradients of tanh(x) sigmoid(y), times what came back, with one division.

    With t = tanh(x) and s = sigmoid(y): s (1 - t^2) and t s (1 - s). With a = e^(-2|x|) and
    b = e^(-|y|), 1 / ((1 + a)(1 + b)) gives both: t = (1 - a) / (1 + a), signed as x, and
    s = (1 or b) / (1 + b).
    """
    a = exponential(minus_size(x + x), SINGLE)
    b = exponential(minus_size(y), SINGLE)
    one = a.constant(1.0)
    shared = one / ((a + 1.0) * (b + 1.0))
    size = (one - a) * (b + 1.0) * shared
    t = x.where_below(0.0, -size, size)
    s = y.where_below(0.0, b, one) * (a + 1.0) * shared
    opened = back * s
    return opened - opened * t * t, opened * t - opened * t * s


@intrinsic
def gate_back16(typingctx, out, to, other, x, i, j, g, k):
    """Gradients of a gate, in compiled code.

    out[to:to + 16] and out[other:other + 16] become those of x[i:i + 16] and x[j:j + 16], for
    g[k:k + 16] that came back.
    """
    at = types.int64

    def generate(context, builder, signature, arguments):
        data, values, back = [
            pointer(context, builder, signature.args[n], arguments[n]) for n in (0, 3, 6)
        ]
        places = [(values, arguments[4]), (values, arguments[5]), (back, arguments[7])]
        read = [Value(builder, load(builder, array, place)) for array, place in places]
        for made, place in zip(gate_gradients(*read), arguments[1:3], strict=True):
            store(builder, made.value, data, place)
        return context.get_dummy_value()

    return types.void(out, at, at, x, at, at, g, at), generate
