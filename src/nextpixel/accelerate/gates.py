"""The gate's gradient on whole vectors; the gate itself is `vectors.gate16`."""

from numba import types
from numba.extending import intrinsic

from nextpixel.runtime.vectors import SINGLE, Value, exponential, load, minus_size, pointer, store


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
