"""Gated residual blocks of concatenated elus, and the convolutions' gains fitted to a batch.

References:
    Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, and its public code.
        https://arxiv.org/abs/1701.05517
    Salimans, Kingma (2016), Weight Normalization, section 3. https://arxiv.org/abs/1602.07868
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.conditioner import Conditioner, Embedding
from nextpixel.nn.conv import Injections
from nextpixel.nn.strided import DOWN, DOWN_RIGHT, POINT, NormedWeight, ShiftedConv2d, Window
from nextpixel.program import Map, Program
from nextpixel.program.ops import ConcatElu, SigmoidGate

SMALL = 0.1
"""Scale of what a block adds at first, with normalised weights."""


def concat_elu(x: Tensor) -> Tensor:
    """(B, F, H, W) -> (B, 2 F, H, W)."""
    return F.elu(torch.cat([x, -x], 1))


class Stream(NamedTuple):
    """What one of the two streams sees.

    Attributes:
        window: Of its convolutions.
        row: Whether it is known for a whole row before its first pixel.
    """

    window: Window
    row: bool


STREAMS = (Stream(DOWN, row=True), Stream(DOWN_RIGHT, row=False))
AT_PIXEL = Stream(POINT, row=False)
"""Of 1x1 convolutions."""


class GatedResidual(nn.Module):
    """x + a sigmoid(b), of two convolutions of concatenated elus, and of what other maps add.

    Args:
        features: F.
        stream: The stream that it belongs to.
        conditioner: What is added before the gate.
        others: Of each map that it reads besides, its features, and whether it is known for a whole
            row.
        dropout: Share of the features between the convolutions that training leaves out.
        normed: Whether kernels are normalised.
    """

    def __init__(
        self,
        features: int,
        stream: Stream,
        conditioner: Conditioner,
        *,
        others: tuple[tuple[int, bool], ...] = (),
        dropout: float = 0.0,
        normed: bool = False,
    ) -> None:
        super().__init__()
        f, (window, row) = features, stream
        self.first = ShiftedConv2d(2 * f, f, window, row=row, normed=normed)
        self.others = nn.ModuleList(
            ShiftedConv2d(2 * size, f, POINT, row=known, normed=normed) for size, known in others
        )
        self.dropout = nn.Dropout(dropout)
        self.second = ShiftedConv2d(2 * f, 2 * f, window, row=row, normed=normed)
        self.inject = Injections(conditioner, 2 * f, 2 * f, after=("bias", "map"))

    def forward(self, x: Tensor, others: Sequence[Tensor], embedding: Embedding) -> Tensor:
        """X (B, F, H, W) and the others -> the same."""
        change = self.first(concat_elu(x))
        for layer, other in zip(self.others, others, strict=True):
            change = change + layer(concat_elu(other))
        change = self.inject(self.second, self.dropout(concat_elu(change)), embedding)
        return x + F.glu(change, 1)

    def lower(self, program: Program, x: Map, others: Sequence[Map]) -> Map:
        """`forward` as operations."""
        change = self.first.lower(program, program.apply(ConcatElu, x))
        for layer, other in zip(self.others, others, strict=True):
            assert isinstance(layer, ShiftedConv2d)
            change = program.add(change, layer.lower(program, program.apply(ConcatElu, other)))
        change = program.apply(ConcatElu, change)
        change = self.inject.lower(program, self.second.lower, change)
        return program.add(x, program.apply(SigmoidGate, change))


@torch.no_grad()
def fit_gains(network: nn.Module, run: Callable[[], object]) -> None:
    """Fit the gains of normalised weights to a batch, layer by layer; without gains nothing.

    Every layer then gives outputs of mean 0 and deviation 1, or `SMALL` where it is the last of a
    block (Salimans & Kingma 2016, section 3).

    Args:
        network: Whose layers they are.
        run: Runs it on a batch.
    """
    normed = [one for one in network.modules() if isinstance(one, NormedWeight)]
    last = {id(one.second) for one in network.modules() if isinstance(one, GatedResidual)}
    hooks = [
        layer.register_forward_hook(
            lambda layer, _, y: layer.fit_to(y, SMALL if id(layer) in last else 1.0)
        )
        for layer in normed
        if layer.gain is not None
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
