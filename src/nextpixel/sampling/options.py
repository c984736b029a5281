"""How images are drawn: what sampling and completion are asked alike."""

from dataclasses import dataclass

from nextpixel.engine import OnRow
from nextpixel.errors import nearest
from nextpixel.heads.truncation import Truncation

METHODS = ("engine", "recompute")
"""Ways to predict a step, which give the same levels; "recompute" is the slow one, the oracle."""


@dataclass(frozen=True)
class SamplingOptions:
    """How images are drawn.

    Attributes:
        truncation: What is done to each distribution.
        method: One of `METHODS`.
        batch_size: Images at a time.
        on_row: Called with the number of rows done and the levels so far.
    """

    truncation: Truncation
    method: str
    batch_size: int
    on_row: OnRow | None

    def checked(self) -> "SamplingOptions":
        """Itself.

        Raises:
            ValueError: If `truncation`, `method` or `batch_size` is invalid.
        """
        self.truncation.checked()
        if self.method not in METHODS:
            raise ValueError(f"there is no method {self.method!r}; {nearest(self.method, METHODS)}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        return self
