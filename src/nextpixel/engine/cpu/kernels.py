"""The compiled interpreter of programs: images of a block are carried through the scan together.

Strict IEEE arithmetic in a fixed order: no fused multiply-add, no re-association, no library
functions whose rounding differs between machines. Each place of each image is computed alone;
blocks share the loading of weights, not an order of sums.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.engine.cpu.choosing import choose_by_cdf, choose_by_probabilities
from nextpixel.engine.cpu.layout import (
    ACROSS,
    BACKWARD,
    BASE,
    CONSTANT,
    DOWN,
    EVERY,
    EXTRA,
    FEATURES,
    FIRST,
    INPUTS,
    OTHER,
    PAD,
    RIGHT,
    ROWS,
    SOURCE,
    SPANS,
    START,
    STEP,
    STRIDE,
    TARGET,
    TERM,
    THIRD,
    WEIGHT,
    Phase,
)
from nextpixel.heads.compiled import Choice
from nextpixel.program import Call
from nextpixel.program.ops.base import Floats, Table
from nextpixel.runtime.compiling import call_at, compiled, inlined, unowned


@inlined
def choice_of(plan, block, truncation, first, last, row, column, color):
    """One sub-pixel of images first..last-1; `truncation`: temperature, top_k, top_p."""
    temperature, top_k, top_p = truncation
    place = block.here[plan.output] + column * plan.maps[plan.output, ACROSS]
    return Choice(
        plan.log_weights, plan.cdf, unowned(block.state), place, plan.size, plan.across,
        unowned(block.levels), unowned(block.known), unowned(block.uniforms),
        unowned(block.log_p), unowned(block.room), unowned(block.p), unowned(block.probabilities),
        len(plan.shown), temperature, top_k, top_p, first, last, row, column, color,
    )  # fmt: skip


@compiled
def choose(plan, block, truncation, first, last, row, column, color):
    """Draw a level of images first..last-1, or take the known one."""
    choice = choice_of(plan, block, truncation, first, last, row, column, color)
    if len(block.p):
        choose_by_probabilities(choice)
    else:
        choose_by_cdf(choice)


SHARED = 16
"""Images that go through the network together, and share the loading of weights."""


class Plan(NamedTuple):
    """What is the same for all images; see `layout.Layout`, and of the model what the scan needs.

    Attributes:
        shown: (levels, planes), what the network sees of each.
        shape: Colors, height and width.
        groups: Color groups.
        log_weights: Address of the head's own step; 0 where it gives a CDF, see `heads.compiled`.
        cdf: Addresses of its functions; 0 where it gives none.
        across: Floats from the outputs of a color to those of the next.
        planes: How far a color lies from the next in the image as the network sees it.
        output: The map that the head reads.
    """

    row: Phase
    pixel: Phase
    late: Phase
    maps: Table
    weights: Floats
    bias: Floats
    size: int
    shown: Floats
    shape: tuple[int, int, int]
    groups: int
    log_weights: int
    cdf: tuple[int, int, int]
    across: int
    planes: int
    output: int


class Block(NamedTuple):
    """Images on their way through the scan.

    Attributes:
        state: Rings of rows of all maps, image by image.
        terms: What is added from outside the image.
        places: (injections, 4): where each one's terms begin, and strides by image, row and column.
        begins: For each phase, where its spans begin from the first place of this row.
        here: Where each map's first place of this row lies.
        room: What the head's CDF keeps of a sub-pixel, and a place for its answers.
        p: Room for the log-probabilities of a sub-pixel; none where it is drawn by its CDF.
        probabilities: Room for its probabilities.
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
    room: NDArray[np.float64]
    p: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    levels: NDArray[np.int64]
    known: NDArray[np.bool_]
    uniforms: NDArray[np.float64]
    log_p: NDArray[np.float64]


@inlined
def _call(arrays, ops, k, count, places, term, steps, span, here):
    """Run operation k of a phase at some places; `steps` lie between places, and between terms."""
    state, weights, bias, terms, begins, lengths = arrays
    source, other, third, target = places
    read, also, more, made, added = steps
    call_at(
        ops[k, STEP],
        Call(
            state, weights, bias, terms, begins, lengths,
            ops[k, FIRST], ops[k, SPANS], ops[k, INPUTS], ops[k, WEIGHT], ops[k, CONSTANT],
            ops[k, START], (ops[k, EXTRA], ops[k, EXTRA + 1], ops[k, EXTRA + 2], ops[k, EXTRA + 3]),
            count, source, read, other, also, third, more, target, made, term, added,
            span[0], span[1], span[2], here[0], here[1], here[2],
        ),
    )  # fmt: skip


@inlined
def _column(maps, m, column):
    """How far a column of the image lies from the first, in a map; spans begin in their row."""
    return (column >> maps[m, STRIDE]) * maps[m, ACROSS]


@compiled
def _run(plan, phase, begins, block, first, last, group, groups, row, left, right):
    """Operations at columns left..right-1 of images first..last-1, for one color group or all."""
    ops = phase.ops
    k = 0
    while k < len(ops):
        end = k + 1
        while end < len(ops) and ops[end, BACKWARD] == ops[k, BACKWARD]:
            end += 1
        if ops[k, BACKWARD]:
            for column in range(right - 1, left - 1, -1):
                _run_some(
                    plan, phase, begins, block, first, last, group, groups, row, column,
                    column + 1, k, end,
                )  # fmt: skip
        else:
            _run_some(
                plan, phase, begins, block, first, last, group, groups, row, left, right, k, end
            )
        k = end


@compiled
def _run_some(plan, phase, begins, block, first, last, group, groups, row, left, right, one, end):
    """Operations one..end-1 of a phase, see `_run`.

    A place of one column has its neighbours in the other images, else in the other columns.
    """
    ops, maps, here, places, size = phase.ops, plan.maps, block.here, block.places, plan.size
    arrays = (
        unowned(block.state), unowned(plan.weights), unowned(plan.bias), unowned(block.terms),
        unowned(begins), unowned(phase.lengths),
    )  # fmt: skip
    across = right - left == 1
    for k in range(one, end):
        every = ops[k, EVERY]
        start = left + ((ops[k, RIGHT] - left) & (every - 1))
        if start >= right or (row - ops[k, DOWN]) & (every - 1):
            continue  # no place of a coarser map, or of the parity that is made here
        source, other, third = ops[k, SOURCE], ops[k, OTHER], ops[k, THIRD]
        target, m = ops[k, TARGET], ops[k, TERM]
        features = maps[target, FEATURES]
        span = (group * features // groups, (group + 1) * features // groups, features)
        x = _column(maps, source, start) + (0 if ops[k, SPANS] else here[source])
        y, z, w = (
            here[target] + _column(maps, target, start),
            here[other] + _column(maps, other, start),
            here[third] + _column(maps, third, start),
        )
        steps = (size, size, size, size, places[m, 1])
        count = last - first
        if not across:
            count = (right - start + every - 1) // every
            steps = (
                _column(maps, source, every), _column(maps, other, every),
                _column(maps, third, every), _column(maps, target, every), places[m, 3],
            )  # fmt: skip
        for image in range(first, first + 1 if across else last):
            at, term = image * size, places[m, 0] + image * places[m, 1]
            term += row * places[m, 2] + start * places[m, 3]
            _call(
                arrays, ops, k, count, (x + at, z + at, w + at, y + at), term, steps, span,
                (row, start, plan.shape[2]),
            )  # fmt: skip


@compiled
def _find(plan, phase, begins, row):
    """Where the spans of this row begin in the rings."""
    maps, width = plan.maps, plan.shape[2]
    for s in range(len(begins)):
        m = phase.spans[s, 3]
        features = maps[m, FEATURES]
        slot = ((row >> maps[m, STRIDE]) + phase.spans[s, 0]) % maps[m, ROWS]
        whole = (width >> maps[m, STRIDE]) + 2 * maps[m, PAD]
        column = slot * whole + maps[m, PAD] + phase.spans[s, 1]
        begins[s] = maps[m, BASE] + column * features + phase.spans[s, 2]


@compiled
def turn_to(plan, block, row):
    """Find where this row lies in the rings."""
    maps, width = plan.maps, plan.shape[2]
    for m in range(len(maps)):
        whole = (width >> maps[m, STRIDE]) + 2 * maps[m, PAD]
        slot = ((row >> maps[m, STRIDE]) % maps[m, ROWS]) * whole + maps[m, PAD]
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
    state, levels, shown = block.state, block.levels, plan.shown
    place = block.here[0] + column * plan.maps[0, ACROSS] + color * plan.planes
    for image in range(first, last):
        at, level = image * plan.size + place, levels[image, color, row, column]
        for plane in range(shown.shape[1]):
            state[at + plane] = shown[level, plane]
    if len(plan.late.ops) and (plan.groups > 1 or color == plan.shape[0] - 1):
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


@compiled
def scan_places(plan, block, truncation, places):
    """Carry out the pixels at `places` (n, 2) one after the other, in a scan of any order."""
    count = len(block.levels)
    for n in range(len(places)):
        row, column = places[n]
        turn_to(plan, block, row)
        for first in range(0, count, SHARED):
            last = min(first + SHARED, count)
            for color in range(plan.shape[0]):
                predict(plan, block, first, last, row, column, color)
                choose(plan, block, truncation, first, last, row, column, color)
                write(plan, block, first, last, row, column, color)
