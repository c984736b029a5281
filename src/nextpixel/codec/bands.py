"""Pictures of any size by nets of one window: a wave through the rows of bands.

A band is some rows of a picture, coded without those above it, so that bands can be coded by as
many threads as there are. Inside a band each row follows the row above it by as many columns as a
window reaches to the right: all pixels of a wave have their windows, and go through the net
together. What is before a pixel stays what it is in the raster scan.

A chunk is one stream of some bands: wave by wave, band by band, from the top row of those that the
wave reaches, color by color of each pixel. Outside of a band the window is zero.

Gray pictures are shown to a net of several colors in all of them alike, and their levels are coded
as the first color: what that has given the pixels before is a distribution over gray pictures.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec import waves
from nextpixel.codec.chunks import Chunk, check_coding
from nextpixel.codec.coder import Decoder, Encoder, no_stream
from nextpixel.codec.container import pixels_crc
from nextpixel.codec.learning import NO_BATCH, NO_NET, STRIP, Learner, check_learning
from nextpixel.engine.cpu.executor import open_blocks
from nextpixel.engine.cpu.kernels import SHARED, Block
from nextpixel.engine.cpu.window import PreparedWindow, prepare_window
from nextpixel.engine.lowering import check_predictions
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import NO_EMBEDDING

Band = NDArray[Any]
"""Levels, (C, rows, W), integers."""
Shape = tuple[int, int, int]
Coder = tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint64], NDArray[np.uint32]]
"""Of the encoder, state and digits; of the decoder, state and words, none to encode."""


class BandCoder:
    """Codes chunks of bands by a net of one window.

    Args:
        model: The model.
        window: What was made of it.
        learns: Whether the net goes on learning in each band: see `codec.learning`.

    Raises:
        NextPixelError: If the model cannot be carried out step by step by compiled code.
        ValueError: If it cannot go on learning.
    """

    classes = 0

    def __init__(self, model: PixelModel, window: PreparedWindow, *, learns: bool = False) -> None:
        check_coding(model)
        if learns:
            check_learning(model)
        self.model, self.window, self.learns = model, window, learns
        self.stopped = np.zeros(1, bool)
        """Set to true, what other threads code ends at once, and is of no use."""
        self.listed = model.levels if window.made.lists_levels else 0

    def encode(self, bands: Sequence[Band]) -> Chunk:
        """Code some bands."""
        encoder = Encoder()
        levels = np.concatenate([band.ravel() for band in bands]).astype(np.int64)
        nothing = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
        coder = (*encoder.room(len(levels)), *nothing)
        block, _ = self._run(levels, [band.shape for band in bands], coder)
        log_p = torch.from_numpy(block.log_p)
        check_predictions(self.model, log_p)
        bits = -float(log_p.sum()) / float(np.log(2.0))
        return Chunk(encoder.finish(), pixels_crc(levels), bits)

    def decode(self, payload: bytes, shapes: Sequence[Shape]) -> tuple[list[Band], int]:
        """Undo `encode`, of bands of some colors, rows and columns; and the CRC-32 of their levels.

        Raises:
            NextPixelError: If no encoder can have written the bytes.
        """
        decoder = Decoder(payload)
        sizes = [math.prod(shape) for shape in shapes]
        levels = np.zeros(sum(sizes), np.int64)
        coder = (*decoder.room(len(levels)), decoder.state, decoder.words)
        _, whole = self._run(levels, shapes, coder)
        if not whole:
            raise no_stream()
        decoder.finish()
        parts = np.split(levels, np.cumsum(sizes)[:-1])
        bands = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return bands, pixels_crc(levels)

    def _run(
        self, levels: NDArray[np.int64], shapes: Sequence[Shape], coder: Coder
    ) -> tuple[Block, bool]:
        block = self._block()
        if not self.learns:
            rows = np.array(list(self._rows(shapes)), np.int64).reshape(-1, 5)
            return block, self._code(block, levels, rows, coder, None)
        start = 0
        for shape in shapes:
            part = levels[start : start + math.prod(shape)]
            if not self._learn(block, part, shape, coder):
                return block, False
            start += len(part)
        return block, True

    def _learn(self, block: Block, levels: NDArray[np.int64], shape: Shape, coder: Coder) -> bool:
        """Code a band strip by strip, and learn from each; False if the stream is damaged."""
        learner = Learner(self.model)
        rows = np.array(list(self._rows([shape])), np.int64).reshape(-1, 5)
        for first in range(0, shape[1], STRIP):
            strip = rows[first : first + STRIP].copy()
            strip[:, waves.FIRST] -= strip[0, waves.FIRST]
            if not self._code(block, levels, strip, coder, learner):
                return False
            learner.learn(levels, shape, first)
        return True

    def _code(
        self,
        block: Block,
        levels: NDArray[np.int64],
        rows: NDArray[np.int64],
        coder: Coder,
        learner: Learner | None,
    ) -> bool:
        window = self.window
        net, batch = (NO_NET, NO_BATCH) if learner is None else (learner.net, learner.batch)
        head = (window.advance, window.moments)
        wave = waves.Wave(levels, rows, window.taps, *head, self.stopped, net, batch)
        table = np.zeros(self.listed, np.int64)
        return bool(waves.run(window.made.plan, block, wave, table, coder))

    def _rows(self, shapes: Sequence[Shape]) -> Iterator[list[int]]:
        """Each row of bands, as the table of rows has it."""
        base = 0
        for colors, height, width in shapes:
            plane = height * width if colors == self.model.colors else 0
            for row in range(height):
                yield [base, plane, row, width, row * self.window.lag]
            base += colors * height * width

    def _block(self) -> Block:
        shape = (SHARED, self.model.colors, 1, 2)
        levels, known = np.zeros(shape, np.int64), np.zeros(shape, bool)
        with evaluation_mode(self.model), torch.inference_mode():
            nothing = np.zeros((SHARED, 1, 1, 1))
            made = self.window.made
            (block,) = open_blocks(made, levels, known, nothing, NO_EMBEDDING, 1)
        return block


def takes_gray(model: PixelModel) -> bool:
    """Whether pictures of one color can be coded by a model of several."""
    return model.colors > 1 and prepare_window(model) is not None
