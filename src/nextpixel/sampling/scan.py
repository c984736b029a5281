"""The scan: every sub-pixel is visited once, predicted from its past, and written.

Sampling, completion and coding differ in what they choose to write; slow and fast methods differ
in the state that predicts. Both are arguments here, so there is one loop.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.heads import Distribution
from nextpixel.order import Step, steps

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


def scan(state: State, choose: Choose, on_row: OnRow | None = None) -> Tensor:
    """Visit every sub-pixel once, in scan order.

    Args:
        state: Predicts a step from the levels written so far.
        choose: Gives the levels to write at a step, shape (B,). It is handed a function that
            predicts the step, and need not call it.
        on_row: Called with the number of rows done and the levels so far, after each row.

    Returns:
        The finished levels, int64, shape (B, C, H, W).
    """
    _, *shape = state.levels.shape
    colors, height, width = shape
    for step in steps((colors, height, width)):
        state.write(step, choose(step, partial(state.predict, step)))
        row_ends = step.column == width - 1 and step.color == colors - 1
        if row_ends and on_row is not None:
            on_row(step.row + 1, state.levels)
    return state.levels
