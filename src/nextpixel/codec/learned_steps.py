"""A net of one window in compiled code: its outputs, the gradient of its weights, in fixed order.

All arrays are one-dimensional float32; rows of features lie one after the other. The net reads
differences in its window, and its layers are products of matrices: see `codec.learning`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.heads.compiled import Spot
from nextpixel.heads.logistic_gradient import gradient
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.matrices import add_product, add_product_across, turn

Floats = NDArray[np.float32]


class Net(NamedTuple):
    """The weights of a net, and what does not change.

    Attributes:
        first: (inputs, features); its bias, (features,).
        hidden: (layers, features, features) from inputs to outputs; biases (layers, features).
        last: (features, outputs); its bias, (outputs,).
        linear: (inputs, outputs), from the window to the outputs.
        sizes: Colors, inputs, features, layers, outputs, and the head's anchors.
        shown: (levels,), what the net sees of each.
        taps: The window, (n, 2).
        sides: Which taps are the pixels to the left and above.
        gain: Of differences.
    """

    first: Floats
    first_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    last: Floats
    last_bias: Floats
    linear: Floats
    sizes: NDArray[np.int64]
    shown: Floats
    taps: NDArray[np.int64]
    sides: NDArray[np.int64]
    gain: np.float32


class Batch(NamedTuple):
    """Pixels on their way through a net.

    Attributes:
        seen: (n, inputs), differences in the windows.
        means: (n, colors), of the pixels to the left and above.
        layers: (layers + 1, n, features), what each layer gives.
        outputs: (n, outputs).
    """

    seen: Floats
    means: Floats
    layers: Floats
    outputs: Floats


@inlined
def look(net, batch, one, levels, place, inside):
    """Show the net a window: levels[place + tap's place] where inside, per tap; zeros elsewhere."""
    colors, taps = net.sizes[0], len(net.taps)
    for color in range(colors):
        for tap in range(taps):
            x = np.float32(0.0)
            if inside[tap]:
                x = net.shown[levels[place[tap] + color * place[taps]]]
            batch.seen[one * net.sizes[1] + tap * colors + color] = x
        at = one * net.sizes[1] + color
        left = batch.seen[at + net.sides[0] * colors]
        mean = (left + batch.seen[at + net.sides[1] * colors]) * np.float32(0.5)
        batch.means[one * colors + color] = mean
        for tap in range(taps):
            x = batch.seen[at + tap * colors]
            batch.seen[at + tap * colors] = (x - mean) * net.gain


@inlined
def _fill(out, start, rows, values):
    for row in range(rows):
        for n in range(len(values)):
            out[start + row * len(values) + n] = values[n]


@compiled
def forward(net, batch, count):
    """The outputs of `count` pixels of a batch."""
    colors, inputs, features, layers, outputs, anchors = net.sizes
    size = count * features
    _fill(batch.layers, 0, count, net.first_bias)
    add_product(batch.layers, batch.seen, net.first, count, features, inputs)
    for n in range(size):
        batch.layers[n] = max(batch.layers[n], np.float32(0.0))
    for layer in range(layers):
        before = batch.layers[layer * size : (layer + 1) * size]
        after = batch.layers[(layer + 1) * size : (layer + 2) * size]
        weights = net.hidden[layer * features * features : (layer + 1) * features * features]
        _fill(after, 0, count, net.hidden_bias[layer * features : (layer + 1) * features])
        add_product(after, before, weights, count, features, features)
        for n in range(size):
            after[n] = max(after[n], np.float32(0.0)) + before[n]
    _fill(batch.outputs, 0, count, net.last_bias)
    top = batch.layers[layers * size : (layers + 1) * size]
    add_product(batch.outputs, top, net.last, count, outputs, features)
    add_product(batch.outputs, batch.seen, net.linear, count, outputs, inputs)
    for one in range(count):
        for n in range(anchors):
            batch.outputs[one * outputs + n] += batch.means[one * colors + n]


@compiled
def _sum_rows(rows, out, count):
    """Add rows to out, one after the other."""
    for row in range(count):
        for n in range(len(out)):
            out[n] += rows[row * len(out) + n]


@compiled
def backward(net, batch, back, slopes, room, count):
    """Add the gradient of a batch to `slopes`, a net of gradients.

    `back`: (n, outputs) gradients of the outputs, then room for (2, n, features); `room`: for the
    transposed matrix of the widest layer.
    """
    _, inputs, features, layers, outputs, _ = net.sizes
    size = count * features
    own, down = back[count * outputs :][:size], back[count * outputs + size :][:size]
    add_product_across(slopes.linear, batch.seen, back, inputs, outputs, count)
    top = batch.layers[layers * size : (layers + 1) * size]
    add_product_across(slopes.last, top, back, features, outputs, count)
    _sum_rows(back, slopes.last_bias, count)
    turn(net.last, room, features, outputs)
    down[:] = np.float32(0.0)
    _product_into(down, back, room, (count, features, outputs))
    square = features * features
    for layer in range(layers - 1, -1, -1):
        before = batch.layers[layer * size : (layer + 1) * size]
        after = batch.layers[(layer + 1) * size : (layer + 2) * size]
        for n in range(size):
            own[n] = down[n] if after[n] > before[n] else np.float32(0.0)
        add_product_across(
            slopes.hidden[layer * square : (layer + 1) * square], before, own, features, features,
            count,
        )  # fmt: skip
        _sum_rows(own, slopes.hidden_bias[layer * features : (layer + 1) * features], count)
        turn(net.hidden[layer * square : (layer + 1) * square], room, features, features)
        _product_into(down, own, room, (count, features, features))
    for n in range(size):
        own[n] = down[n] if batch.layers[n] > np.float32(0.0) else np.float32(0.0)
    add_product_across(slopes.first, batch.seen, own, inputs, features, count)
    _sum_rows(own, slopes.first_bias, count)


@inlined
def _product_into(c, a, b, sizes):
    add_product(c, a, b, sizes[0], sizes[1], sizes[2])


@compiled
def head_gradient(net, batch, levels, p, kept, back, sizes):
    """Gradients of the outputs of a batch whose pixels have `levels` (n, colors, 1, 1).

    `sizes`: pixels, and the colors that count: the first of gray pictures.
    """
    (count, colors), outputs = sizes, net.sizes[4]
    for n in range(count * outputs):
        back[n] = np.float32(0.0)
    for one in range(count):
        at = one * outputs
        spot = Spot(batch.outputs, at, at, 0, levels, one, 0, 0, 0, p)
        gradient(spot, kept, back, at, colors)


@compiled
def see(net, batch, levels, shape, pixels, own):
    """Show the net the windows of pixels of a picture (C, H, W), and put their levels into `own`.

    `pixels`: row * W + column. A picture of one color is shown in all.
    """
    colors, height, width = shape
    plane = height * width if colors > 1 else 0
    place, inside = np.zeros(len(net.taps) + 1, np.int64), np.zeros(len(net.taps), np.bool_)
    place[len(net.taps)] = plane
    for one in range(len(pixels)):
        row, column = pixels[one] // width, pixels[one] % width
        for tap in range(len(net.taps)):
            r, c = row + net.taps[tap, 0], column + net.taps[tap, 1]
            inside[tap], place[tap] = r >= 0 and 0 <= c < width, r * width + c
        look(net, batch, one, levels, place, inside)
        for color in range(net.sizes[0]):
            own[one, color, 0, 0] = levels[pixels[one] + color * plane]
