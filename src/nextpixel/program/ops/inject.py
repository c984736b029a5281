"""What is added to a map from outside the image: a constant map, or what conditions add."""

from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.program.ops.base import Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH, add16

Source = Tensor | Callable[..., Tensor]
"""A constant map (1, F, H or 1, W or 1), or a module that is called with zeros and an embedding."""


@compiled
def inject_step(call: Call) -> None:
    """Features low..high-1 plus their terms, at each place."""
    for n in range(call.places):
        source, target = call.source + n * call.source_step, call.target + n * call.target_step
        term = call.term + n * call.term_step
        for f in range(call.low, call.high, WIDTH):
            add16(call.state, target + f, call.state, source + f, call.terms, term + f)


class Inject(Op):
    """X + a constant map, or + what conditions add.

    Args:
        source: What is added.
        order: Which of its features each feature adds; None: its own.
    """

    name = "inject"
    compiled = staticmethod(inject_step)
    is_row_constant = True

    def __init__(
        self, inputs: tuple[Map, ...], output: Map, source: Source, order: Tensor | None = None
    ) -> None:
        super().__init__(inputs, output)
        self.source, self.order = source, order

    def term(self, embedding: object, like: Tensor) -> Tensor:
        """What is added for an embedding of conditions, (B or 1, F, H or 1, W or 1)."""
        if isinstance(self.source, Tensor):
            return self.source.detach()
        added = self.source(like.new_zeros(1, self.output.features, 1, 1), embedding)
        return added if self.order is None else added[:, self.order]

    def extra_inputs(self, embedding: object, image: Tensor) -> tuple[Tensor, ...]:
        """The term."""
        return (self.term(embedding, image),)

    def reference(self, *inputs: Tensor) -> Tensor:
        """(B, F, H, W) and the term -> the same."""
        return inputs[0] + inputs[1]

    def step(self, view: View) -> None:
        """The same at the places of a view."""
        torch.add(view.inputs[0], view.term, out=view.target)
