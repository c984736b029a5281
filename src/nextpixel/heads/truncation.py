"""How drawing departs from the model: temperature, and which levels may be drawn at all."""

from typing import NamedTuple

import torch
from torch import Tensor

from nextpixel.errors import check_count, check_kind


class Truncation(NamedTuple):
    """Drawing prefers likely levels; the plain one draws from the model itself.

    First log-probabilities are divided by the temperature, then all but the `top_k` likeliest
    levels are left out, then all but the likeliest that together reach `top_p` of what remains.
    Of equally likely levels the lower comes first.

    Attributes:
        temperature: Above 0; below 1 prefers likely levels, above 1 unlikely ones.
        top_k: At least 1; None keeps all levels.
        top_p: Above 0 and up to 1; None keeps all levels. At least one level is kept.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def checked(self) -> "Truncation":
        """Itself.

        Raises:
            TypeError: If one is no number, or `top_k` no integer.
            ValueError: If a number is out of its range.
        """
        for name in ("temperature", "top_p"):
            check_kind(name, getattr(self, name), float | int | None, "a number")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")
        if self.top_k is not None:
            check_count("top_k", self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        return self

    def probabilities(self, log_p: Tensor) -> Tensor:
        """Probabilities to draw by, up to a factor, 0 where left out, float64, (..., K)."""
        p = (log_p.double() / self.temperature).softmax(-1)
        if self.top_k is None and self.top_p is None:
            return p
        return p.masked_fill(~self._kept(p), 0.0)

    def _kept(self, p: Tensor) -> Tensor:
        ordered, order = torch.sort(p, dim=-1, descending=True, stable=True)
        rank = torch.arange(p.shape[-1], device=p.device)
        inside = rank < (self.top_k or p.shape[-1])
        reached = ordered.masked_fill(~inside, 0.0).cumsum(-1)
        before = reached - ordered
        inside = inside & ((before < (self.top_p or 1.0) * reached[..., -1:]) | (rank == 0))
        return torch.zeros_like(inside).scatter(-1, order, inside)


PLAIN = Truncation()
"""Drawing from the model itself."""
