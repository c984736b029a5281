"""Coding by a mixture: the scan of `engine.cpu.mixing`, and tables as of a head of few levels."""

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec import scans
from nextpixel.codec.chunks import ChunkCoder, Levels
from nextpixel.engine.cpu import mixing
from nextpixel.engine.cpu.kernels import SHARED, Block, Plan
from nextpixel.engine.cpu.mixture import Members, PreparedMixture, open_scan, prepared
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import Mixture, PixelModel
from nextpixel.nn import Value
from nextpixel.runtime.compiling import compiled


@compiled
def spans_of_row(scan, block, table, starts, parts, row):
    """As `scans.spans_of_row`; `scan`: the plan of the mixture, and its members."""
    plan, members = scan
    colors, _, width = plan.shape
    mixing.turn_to(members, row)
    for first in range(0, len(block.levels), SHARED):
        last = min(first + SHARED, len(block.levels))
        mixing.begin_row(members, first, last, row)
        for column in range(width):
            for color in range(colors):
                mixing.predict(block, members, first, last, row, column, color)
                step, place = (row * width + column) * colors + color, (row, column, color)
                scans.spans_here(
                    plan, block, table, starts[step], parts[step], (first, last, *place)
                )
                mixing.write(block, members, first, last, row, column, color)


@compiled
def read_row(scan, block, table, coder, spans, row):
    """As `scans.read_row`; `scan`: the plan of the mixture, and its members."""
    plan, members = scan
    colors, _, width = plan.shape
    count = len(block.levels)
    mixing.turn_to(members, row)
    mixing.begin_row(members, 0, count, row)
    for column in range(width):
        for color in range(colors):
            mixing.predict(block, members, 0, count, row, column, color)
            step, place = (row * width + column) * colors + color, (row, column, color)
            if not scans.read_here(plan, block, table, coder, (spans[0], spans[1], step), place):
                return False
            mixing.write(block, members, 0, count, row, column, color)
    return True


class MixtureCoder(ChunkCoder):
    """Codes chunks of images of one size by a mixture; see `ChunkCoder`."""

    made: PreparedMixture
    spans_of_row = staticmethod(spans_of_row)
    read_row = staticmethod(read_row)

    def _prepared(self, size: tuple[int, int]) -> PreparedMixture:
        assert isinstance(self.model, Mixture)
        return prepared(self.model, size)

    def _open(
        self,
        levels: Levels,
        needless: NDArray[np.bool_],
        condition: Value | None,
        orders: Levels | None = None,
    ) -> tuple[tuple[Plan, Members], Block]:
        assert orders is None
        self.model.conditioner.checked(condition, len(levels))
        with evaluation_mode(self.model), torch.inference_mode():
            nothing = np.zeros((len(levels), 1, 1, 1))
            block, members = open_scan(self.made, levels, needless, nothing)
        return (self.made.plan, members), block


def coder_for(model: PixelModel, size: tuple[int, int], *, orders: bool = False) -> ChunkCoder:
    """What codes chunks of images of a size by a model; errors as those of `ChunkCoder`."""
    kind = MixtureCoder if isinstance(model, Mixture) else ChunkCoder
    return kind(model, size, orders=orders)
