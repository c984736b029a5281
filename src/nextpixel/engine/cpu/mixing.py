"""The compiled scan of a mixture: see `models.mixtures` for what it computes.

Each net has a block with a row for each image or, where its class is summed out, for each class of
each image. All rows of an image hold the same levels; what a net said of them given each class adds
up in the rows' log-probabilities. A class that is left out gives up its row: the rows after it move
up, with all that is kept of their past, so that what is left out costs nothing any more.

The mixture has a block of its own, whose state holds its log-probabilities of all levels of one
sub-pixel, float32, as the outputs of a network with a softmax. From there on it is drawn from, and
coded, as any net is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.engine.cpu import kernels
from nextpixel.engine.cpu.choosing import read, weigh
from nextpixel.runtime.compiling import compiled, inlined
from nextpixel.runtime.numbers import log64
from nextpixel.runtime.vectors import exp64

PLAIN = (1.0, 1 << 62, 1.0)
"""No truncation: temperature, top_k and top_p that keep all."""
TINY = 1e-250
"""Sums of probabilities below this are taken by their logarithms: e^-700 is least in `exp64`."""


class Member(NamedTuple):
    """A net of a mixture on its way through the scan.

    Attributes:
        plan: Of the net.
        block: Of the net; rows beyond those in use are left over.
        rows: (images + 1,), where each image's rows begin; they follow one another.
        listed: (rows, K), log-probabilities of all levels of the present sub-pixel.
        sums: (K,), scratch.
        least: Posterior of a class below which its row is given up.
    """

    plan: kernels.Plan
    block: kernels.Block
    rows: NDArray[np.int64]
    listed: NDArray[np.float64]
    sums: NDArray[np.float64]
    least: float


@compiled
def _move(member, source, target):
    """Put all that is kept of one row in the place of another."""
    plan, block = member.plan, member.block
    size = plan.size
    block.state[target * size : (target + 1) * size] = block.state[
        source * size : (source + 1) * size
    ]
    block.levels[target] = block.levels[source]
    block.log_p[target] = block.log_p[source]
    for m in range(len(block.places)):
        at, stride = block.places[m, 0], block.places[m, 1]
        here, there = at + target * stride, at + source * stride
        block.terms[here : here + stride] = block.terms[there : there + stride]


@inlined
def _evidence(log_p, first, last):
    """The largest log-probability of rows first..last-1, and the sum of all relative to it."""
    largest = log_p[first]
    for row in range(first + 1, last):
        largest = max(largest, log_p[row])
    total = 0.0
    for row in range(first, last):
        total += exp64(log_p[row] - largest)
    return largest, total


@compiled
def _leave_out(member):
    """Give up the rows of classes that are unlikely, given the rows of the image above."""
    log_p, rows = member.block.log_p, member.rows
    kept, first = 0, 0
    for image in range(len(rows) - 1):
        last = rows[image + 1]
        largest, total = _evidence(log_p, first, last)
        for row in range(first, last):
            share = exp64(log_p[row] - largest) / total
            if share >= member.least or log_p[row] == largest:
                if row != kept:
                    _move(member, row, kept)
                kept += 1
        first = last
        rows[image + 1] = kept


@compiled
def turn_to(members, row):
    """Before a row of the images: leave out classes, and find where the row lies in the rings."""
    for member in members:
        if row and member.rows[-1] >= len(member.rows):
            _leave_out(member)
        kernels.turn_to(member.plan, member.block, row)


@compiled
def begin_row(members, first, last, row):
    """Carry out what needs the rows above only, for images first..last-1."""
    for member in members:
        end = member.rows[last]
        for one in range(member.rows[first], end, kernels.SHARED):
            kernels.begin_row(member.plan, member.block, one, min(one + kernels.SHARED, end), row)


@inlined
def _add_alone(choice, row, q):
    """Add to `q` the log-probabilities that a net gives to the levels in a row."""
    largest = read(choice, row)
    log_total = log64(weigh(choice.p, largest, 1.0, choice.probabilities))
    for k in range(len(q)):
        q[k] += (choice.p[k] - largest) - log_total


@inlined
def _list(choice, row, listed, sums, share):
    """Note the log-probabilities of the levels in a row, and add their share to the sums."""
    largest = read(choice, row)
    total = weigh(choice.p, largest, 1.0, choice.probabilities)
    log_total, factor = log64(total), share / total
    for k in range(len(sums)):
        listed[row, k] = (choice.p[k] - largest) - log_total
        sums[k] += factor * choice.probabilities[k]


@compiled
def _log_sum(log_p, listed, first, last, k):
    """The log of the sum over rows of e^(log_p + listed[k]), of numbers of any size."""
    largest = log_p[first] + listed[first, k]
    for row in range(first + 1, last):
        largest = max(largest, log_p[row] + listed[row, k])
    total = 0.0
    for row in range(first, last):
        total += exp64(log_p[row] + listed[row, k] - largest)
    return largest + log64(total)


@inlined
def _add_sum(member, choice, first, last, q):
    """Add to `q` the log of the mean over classes of the levels' probabilities, by posterior."""
    log_p, sums = member.block.log_p, member.sums
    largest, total = _evidence(log_p, first, last)
    sums[:] = 0.0
    for row in range(first, last):
        share = exp64(log_p[row] - largest) / total
        _list(choice, row, member.listed, sums, share)
    for k in range(len(q)):
        if sums[k] > TINY:
            q[k] += log64(sums[k])
        else:
            q[k] += _log_sum(log_p, member.listed, first, last, k) - (largest + log64(total))


@compiled
def _add(member, q, image, row, column, color):
    """Add to `q` (K,) the log-probabilities that a net gives to the levels of a sub-pixel."""
    first, last = member.rows[image], member.rows[image + 1]
    choice = kernels.choice_of(member.plan, member.block, PLAIN, first, last, row, column, color)
    if last - first == 1:
        _add_alone(choice, first, q)
    else:
        _add_sum(member, choice, first, last, q)


@compiled
def predict(block, members, first, last, row, column, color):
    """Write the mixture's log-probabilities of the levels of images first..last-1 to its state."""
    for member in members:
        end = member.rows[last]
        for one in range(member.rows[first], end, kernels.SHARED):
            until = min(one + kernels.SHARED, end)
            kernels.predict(member.plan, member.block, one, until, row, column, color)
    q = block.p
    count, size = len(members), len(block.state) // len(block.levels)
    for image in range(first, last):
        q[:] = 0.0
        for member in members:
            _add(member, q, image, row, column, color)
        at = image * size + color * len(q)
        for k in range(len(q)):
            block.state[at + k] = np.float32(q[k] / count)


@compiled
def write(block, members, first, last, row, column, color):
    """Show all nets the levels of a sub-pixel of images first..last-1, in all of their rows."""
    for member in members:
        own, rows = member.block, member.rows
        for image in range(first, last):
            level = block.levels[image, color, row, column]
            several = rows[image + 1] - rows[image] > 1
            for one in range(rows[image], rows[image + 1]):
                own.levels[one, color, row, column] = level
                if several:
                    own.log_p[one] += member.listed[one, level]
        for one in range(rows[first], rows[last], kernels.SHARED):
            until = min(one + kernels.SHARED, rows[last])
            kernels.write(member.plan, own, one, until, row, column, color)


@compiled
def scan_rows(plan, block, members, truncation, top, bottom):
    """Carry out rows top..bottom-1 of the scan, as `kernels.scan_rows` does for one net."""
    colors, _, width = plan.shape
    for row in range(top, bottom):
        turn_to(members, row)
        for first in range(0, len(block.levels), kernels.SHARED):
            last = min(first + kernels.SHARED, len(block.levels))
            begin_row(members, first, last, row)
            for column in range(width):
                for color in range(colors):
                    predict(block, members, first, last, row, column, color)
                    kernels.choose(plan, block, truncation, first, last, row, column, color)
                    write(block, members, first, last, row, column, color)
