"""The scan: every sub-pixel is visited once, predicted from its past, and written.

Sampling, completion and coding differ in what they choose to write; slow and fast methods differ
in the state that predicts. Both are arguments here, so there is one loop.

`Recompute` is the plain state: it runs the network again on what is written, and is the oracle that
faster ones are tested against.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import NO_EMBEDDING, Embedding
from nextpixel.order import Step, steps, steps_by_index
from nextpixel.runtime.threads import Threads

Predict = Callable[[], Distribution]
Choose = Callable[[Step, Predict], Tensor]


class State(Protocol):
    """Images being written, and a way to predict their next sub-pixel.

    Attributes:
        levels: What is written so far, int64, shape (B, C, H, W).
    """

    levels: Tensor

    def predict(self, step: Step) -> Distribution:
        """Distribution of a step given all before it, batch shape (B,)."""

    def write(self, step: Step, chosen: Tensor) -> None:
        """Write levels, shape (B,), at a step."""


def scan(
    state: State, choose: Choose, on_row: OnRow | None = None, indices: Tensor | None = None
) -> Tensor:
    """Visit every sub-pixel once, in scan order.

    Args:
        state: Predicts a step from the levels written so far.
        choose: Gives the levels to write at a step, shape (B,). It is handed a function that
            predicts the step, and need not call it.
        on_row: Called with the number of rows done and the levels so far, after each row.
        indices: Of the pixels, (H, W), in another order than the raster one.

    Returns:
        The finished levels, int64, shape (B, C, H, W).
    """
    _, *shape = state.levels.shape
    colors, height, width = shape
    order = steps((colors, height, width)) if indices is None else steps_by_index(indices, colors)
    for number, step in enumerate(order, start=1):
        state.write(step, choose(step, partial(state.predict, step)))
        if number % (width * colors) == 0 and on_row is not None:
            on_row(number // (width * colors), state.levels)
    return state.levels


class Recompute:
    """State of a scan that runs a forward pass for each pixel and color.

    Args:
        model: The model, in evaluation mode.
        levels: Where to start, integers of shape (B, C, H, W); entries that are not written yet
            may hold any level. It is copied.
    """

    def __init__(
        self, model: PixelModel, levels: Tensor, embedding: Embedding = NO_EMBEDDING
    ) -> None:
        self.model = model
        self.levels = levels.long().clone()
        self.x = model.encode(self.levels)
        self.embedding = embedding
        self.threads = Threads(1 if self.x.is_cuda else None)

    def predict(self, step: Step) -> Distribution:
        """Distribution of a step given all before it, batch shape (B,)."""
        top, left = max(0, step.row - self.model.reach), max(0, step.column - self.model.reach)
        bottom, right = step.row + 1, step.column + self.model.reach + 1
        if self.model.any_order:
            bottom = self.x.shape[2]
        window = self.x[:, :, top:bottom, left:right]
        row, column = step.row - top, step.column - left

        @torch.inference_mode()
        def run(share: tuple[Tensor, Embedding]) -> Tensor:
            outputs = self.model.network(*share, (top, left))
            return outputs[:, :, row : row + 1, column : column + 1]

        embedding = self.embedding.window((top, left), *window.shape[2:])
        count = min(self.threads.count, len(window))
        shares = zip(torch.tensor_split(window, count), embedding.share_out(count), strict=True)
        with self.threads.alone():
            outputs = torch.cat(list(self.threads.map(run, shares)))
        pixel = self.levels[:, :, step.row, step.column, None, None]
        return self.model.read_head(outputs, pixel)[:, step.color, 0, 0]

    def write(self, step: Step, chosen: Tensor) -> None:
        """Write levels, shape (B,), at a step."""
        row, column, color = step
        self.levels[:, color, row, column] = chosen
        pixel = self.levels[:, :, row : row + 1, column : column + 1]
        self.x[:, :, row : row + 1, column : column + 1] = self.model.encode(pixel)
