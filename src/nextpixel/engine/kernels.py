"""The compiled interpreter of programs: images of a block are carried through the scan together.

Strict IEEE arithmetic in a fixed order: no fused multiply-add, no re-association, no library
functions whose rounding differs between machines. Each place of each image is computed alone;
blocks share the loading of weights, not an order of sums.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.engine.choosing import choose
from nextpixel.engine.layout import (
    BASE,
    BIAS,
    COUNT,
    FEATURES,
    FIRST,
    GROUPS,
    INPUTS,
    KIND,
    KINDS,
    OTHER,
    PAD,
    ROWS,
    SOURCE,
    START,
    STEP,
    TARGET,
    TERM,
    WEIGHT,
    Floats,
    Phase,
    Table,
)
from nextpixel.engine.products import product_1x1, product_1x2, product_1x4, product_4x1
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.vectors import (
    WIDTH,
    add16,
    copy16,
    gate16,
    relu16,
    times16,
)

CONV, RELU, GATE = KINDS["conv"], KINDS["relu"], KINDS["gate"]
ADD, AFFINE, TOLD = KINDS["add"], KINDS["affine"], KINDS["told"]


SHARED = 16
"""Images that go through the network together, and share the loading of weights."""


class Plan(NamedTuple):
    """What is the same for all images; see `layout.Layout`, and of the model what the scan needs.

    Attributes:
        scale: (levels,), each as the network sees it.
        shape: Colors, height and width.
        groups: Color groups.
        head: Outputs of a sub-pixel, and how far they lie from those of the next color.
        planes: How far a color lies from the next in the image as the network sees it.
        edge: Whether the network sees a plane of ones beside each color.
        output: The map that the head reads.
    """

    row: Phase
    pixel: Phase
    late: Phase
    maps: Table
    weights: Floats
    bias: Floats
    size: int
    scale: Floats
    shape: tuple[int, int, int]
    groups: int
    head: tuple[int, int]
    planes: int
    edge: bool
    output: int


class Block(NamedTuple):
    """Images on their way through the scan.

    Attributes:
        state: Rings of rows of all maps, image by image.
        terms: What "told" operations add.
        places: (told, 4): where an operation's terms begin, and strides by image, row and column.
        begins: For each phase, where its stretches begin from the first place of this row.
        here: Where each map's first place of this row lies.
        p: Room for the log-probabilities of a sub-pixel.
        weights: Room for its probabilities.
        levels: (B, C, H, W), read where `known`, written elsewhere.
        known: (B, C, H, W).
        uniforms: (B, C, H, W), what is drawn by.
        log_p: (B,), log-probabilities in nats are added to it.
    """

    state: Floats
    terms: Floats
    places: Table
    begins: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    here: NDArray[np.int64]
    p: NDArray[np.float64]
    weights: NDArray[np.float64]
    levels: NDArray[np.int64]
    known: NDArray[np.bool_]
    uniforms: NDArray[np.float64]
    log_p: NDArray[np.float64]


@inlined
def _conv(ops, lengths, begins, weights, bias, state, k, q, q_step, t, t_step, count, low, high):
    """A convolution at `count` places, outputs low..high-1."""
    first, stretches = ops[k, FIRST], ops[k, COUNT]
    panel, base = ops[k, INPUTS] * WIDTH, ops[k, WEIGHT]
    if ops[k, START]:
        for place in range(count):
            for f in range(low, high, WIDTH):
                b = ops[k, BIAS] + f
                copy16(state, t + place * t_step + f, bias, b, bias, b)
    whole = count // 4 * 4
    for f in range(low, high, WIDTH):
        w = base + f // WIDTH * panel
        for place in range(0, whole, 4):
            product_4x1(
                state, weights, begins, lengths, first, stretches, q + place * q_step, q_step,
                t + place * t_step + f, t_step, w, panel,
            )  # fmt: skip
    for place in range(whole, count):
        x, f = q + place * q_step, low
        while f < high:  # the more panels at a time
            w, y = base + f // WIDTH * panel, t + place * t_step + f
            if f + 4 * WIDTH <= high:
                product_1x4(state, weights, begins, lengths, first, stretches, x, 0, y, 0, w, panel)
                f += 4 * WIDTH
            elif f + 2 * WIDTH <= high:
                product_1x2(state, weights, begins, lengths, first, stretches, x, 0, y, 0, w, panel)
                f += 2 * WIDTH
            else:
                product_1x1(state, weights, begins, lengths, first, stretches, x, 0, y, 0, w, panel)
                f += WIDTH


@inlined
def _simple(kind, state, weights, bias, terms, half, w, b, at, q, o, t, low, high):
    """Any other operation at one place; q, o and t are its inputs and its output."""
    if kind == RELU:
        for f in range(low, high, WIDTH):
            relu16(state, t + f, state, q + f, state, q + f)
    elif kind == GATE:
        for start in range(low, high, half):
            for f in range(start, start + half, WIDTH):
                value = q + start + f
                gate16(state, t + f, state, value, state, value + half)
    elif kind == ADD:
        for f in range(low, high, WIDTH):
            add16(state, t + f, state, q + f, state, o + f)
    elif kind == AFFINE:
        for f in range(low, high, WIDTH):
            times16(state, t + f, state, q + f, weights, w + f)
            add16(state, t + f, state, t + f, bias, b + f)
    else:
        for f in range(low, high, WIDTH):
            add16(state, t + f, state, q + f, terms, at + f)


@compiled
def _run(plan, phase, begins, block, first, last, group, groups, row, left, right):
    """Operations at columns left..right-1 of images first..last-1, for one color group or all.

    A place of one column has its neighbours in the other images, else in the other columns.
    """
    ops, lengths, maps, here = phase.ops, phase.lengths, plan.maps, block.here
    weights, bias, terms, places = plan.weights, plan.bias, block.terms, block.places
    state, size = block.state, plan.size
    across = right - left == 1
    for k in range(len(ops)):
        source, target, other = ops[k, SOURCE], ops[k, TARGET], ops[k, OTHER]
        read, made, also = maps[source, STEP], maps[target, STEP], maps[other, STEP]
        features = maps[target, FEATURES]
        low, high = group * features // groups, (group + 1) * features // groups
        kind, w, b, m = ops[k, KIND], ops[k, WEIGHT], ops[k, BIAS], ops[k, TERM]
        if kind == CONV:
            q, t = left * read, here[target] + left * made
            for image in range(first, first + 1 if across else last):
                _conv(
                    ops, lengths, begins, weights, bias, state, k,
                    q + image * size, size if across else read,
                    t + image * size, size if across else made,
                    last - first if across else right - left, low, high,
                )  # fmt: skip
            continue
        half = features // ops[k, GROUPS]
        for image in range(first, last):
            start = image * size
            for column in range(left, right):
                at = 0
                if kind == TOLD:
                    at = places[m, 0] + image * places[m, 1]
                    at += row * places[m, 2] + column * places[m, 3]
                _simple(
                    kind, state, weights, bias, terms, half, w, b, at,
                    start + here[source] + column * read,
                    start + here[other] + column * also,
                    start + here[target] + column * made, low, high,
                )  # fmt: skip


@compiled
def _find(plan, phase, begins, row):
    """Where the stretches of this row begin in the rings."""
    maps, width = plan.maps, plan.shape[2]
    for s in range(len(begins)):
        m = phase.stretches[s, 3]
        features = maps[m, FEATURES]
        slot = (row + phase.stretches[s, 0]) % maps[m, ROWS]
        column = slot * (width + 2 * maps[m, PAD]) + maps[m, PAD] + phase.stretches[s, 1]
        begins[s] = maps[m, BASE] + column * features + phase.stretches[s, 2]


@compiled
def turn_to(plan, block, row):
    """Find where this row lies in the rings."""
    maps, width = plan.maps, plan.shape[2]
    for m in range(len(maps)):
        slot = (row % maps[m, ROWS]) * (width + 2 * maps[m, PAD]) + maps[m, PAD]
        block.here[m] = maps[m, BASE] + slot * maps[m, FEATURES]
    _find(plan, plan.row, block.begins[0], row)
    _find(plan, plan.pixel, block.begins[1], row)
    _find(plan, plan.late, block.begins[2], row)


@compiled
def begin_row(plan, block, first, last, row):
    """Carry out what needs the rows above only, for images first..last-1."""
    _run(plan, plan.row, block.begins[0], block, first, last, 0, 1, row, 0, plan.shape[2])


@compiled
def predict(plan, block, first, last, row, column, color):
    """Carry out what a sub-pixel needs beyond, for images first..last-1."""
    if plan.groups > 1 or color == 0:
        _run(
            plan, plan.pixel, block.begins[1], block, first, last, color, plan.groups,
            row, column, column + 1,
        )  # fmt: skip


@compiled
def write(plan, block, first, last, row, column, color):
    """Show the network the levels of a sub-pixel, for images first..last-1."""
    state, levels, scale = block.state, block.levels, plan.scale
    place = block.here[0] + column * plan.maps[0, STEP] + color * plan.planes
    for image in range(first, last):
        at = image * plan.size + place
        state[at] = scale[levels[image, color, row, column]]
        if plan.edge:
            state[at + 1] = np.float32(1.0)
    if len(plan.late.ops):
        _run(plan, plan.late, block.begins[2], block, first, last, 0, 1, row, column, column + 1)


@compiled
def scan_rows(plan, block, truncation, top, bottom):
    """Carry out rows top..bottom-1 of the scan; `truncation`: temperature, top_k, top_p."""
    count = len(block.levels)
    for row in range(top, bottom):
        turn_to(plan, block, row)
        for first in range(0, count, SHARED):
            last = min(first + SHARED, count)
            begin_row(plan, block, first, last, row)
            for column in range(plan.shape[2]):
                for color in range(plan.shape[0]):
                    predict(plan, block, first, last, row, column, color)
                    choose(plan, block, truncation, first, last, row, column, color)
                    write(plan, block, first, last, row, column, color)
