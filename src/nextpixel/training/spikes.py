"""Which updates are left out because their gradient stands out from those before.

A single odd batch can throw a model back by hours. With a limit, an update whose gradient norm
exceeds so many times the median of the last `RECENT` norms, or is not finite, is left out: its
images are passed over, weights, average and optimisers stay as they are. Norms of updates that were
left out count in the median as well, so that a norm that has grown for good is soon the new normal.
"""

import math
from statistics import median
from typing import Any

RECENT = 100
"""Norms that the median is taken of."""

LEAST = 20
"""Norms that must be known before any can stand out."""

MOST = 10
"""Updates without a finite loss and gradient that may be left out in a row; then it is an error."""


class Spikes:
    """Judges the norms of a run, one update after the other.

    Args:
        limit: How many times the median is too much; None: nothing is ever left out.

    Example:
        >>> spikes = Spikes(3.0)
        >>> [spikes.stands_out(norm) for norm in [1.0] * 20 + [2.5, 4.0, math.nan, 1.0]][20:]
        [False, True, True, False]
        >>> spikes.skipped
        2
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.norms: list[float] = []
        self.skipped, self.row = 0, 0

    @property
    def bears(self) -> bool:
        """Whether one more update without finite numbers may be left out."""
        return self.limit is not None and self.row < MOST

    def stands_out(self, norm: float) -> bool:
        """Whether to leave out an update with this norm of the gradient, before clipping."""
        if self.limit is None:
            return False
        enough = len(self.norms) >= LEAST
        out = not math.isfinite(norm) or (enough and norm > self.limit * median(self.norms))
        self.row = 0 if math.isfinite(norm) else self.row + 1
        self.skipped += out
        if math.isfinite(norm):
            self.norms = [*self.norms[1 - RECENT :], norm]
        return out

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs."""
        return {"norms": self.norms, "skipped": self.skipped, "row": self.row}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self.norms, self.skipped, self.row = state["norms"], state["skipped"], state["row"]
