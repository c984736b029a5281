"""The masked convolution, plain and with conditions. Knows features and groups, no likelihoods."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.accelerate import chains, spectral
from nextpixel.nn.conditioner import Conditioner, Embedding, Injection
from nextpixel.nn.masks import causal_mask, spread
from nextpixel.program import PIXEL, Map, Program


class MaskedConv2d(nn.Module):
    """Convolution whose output at a sub-pixel depends on no later one.

    The kernel holds only the rows down to its centre, and the mask is applied to a copy in
        `forward`: the weights themselves are never written to, so optimisers, averages and
        compilers see plain parameters. Masked entries get zero gradient and never matter.

    In training mode on a CPU, wide layers go by their spectra (`nn.spectral`): there, and only
        there, later sub-pixels reach an output by rounding, about 1e-7 of it.

    Args:
        inputs: Input features.
        outputs: Output features.
        side: Width of the kernel; odd.
        groups: Color groups that `inputs` and `outputs` are split into.
        sees_self: Mask B (True) or mask A (False).
        bias: Whether each output feature has a constant. It leaks nothing.

    Raises:
        ValueError: If `side` is even or a number of features cannot be split into the groups.

    References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
        section 3.4. https://arxiv.org/abs/1601.06759
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        *,
        groups: int = 1,
        sees_self: bool,
        bias: bool = True,
    ) -> None:
        super().__init__()
        mask = spread(causal_mask(side, groups, sees_self=sees_self), outputs, inputs)
        self.register_buffer("mask", mask, persistent=False)  # follows from the config: not saved
        self.side, self.groups = side, groups
        reach, seen = side // 2, int(mask.any(0).any(0).sum())
        every = [(r - reach, c - reach) for r in range(reach + 1) for c in range(side)]
        self.taps = tuple(every[:seen])  # rows and columns from a place to what some output sees
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side // 2 + 1, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights of variance 2 / (taps that are seen), for layers followed by a ReLU."""
        seen = self.mask[-1].sum().item()
        nn.init.normal_(self.weight, std=math.sqrt(2 / max(1.0, seen)))

    @property
    def masked(self) -> Tensor:
        """The weights, those of taps that must not be seen zero."""
        return self.weight * self.mask

    @property
    def seen(self) -> Tensor:
        """The weights of `taps` in their order, (outputs, inputs, taps)."""
        weight = self.weight if self.groups == 1 else self.masked  # one group sees taps as a whole
        return weight.flatten(2)[..., : len(self.taps)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        if self.training and spectral.pays(x, self.weight):
            y = spectral.convolve(x, self.masked)
            return y if self.bias is None else y + self.bias.view(-1, 1, 1)
        if self.training and self._is_large() and chains.pays(x, self.weight):
            return chains.chain(x, [self.taps], [self.seen], [self.constant], rectified=False)
        reach = self.side // 2
        if reach:
            x = F.pad(x, (reach, reach, reach, 0))
        return F.conv2d(x, self.masked, self.bias)

    def _is_large(self) -> bool:
        """Whether `nn.chains` pays for this one alone, by measurement on a CPU with AVX-512."""
        outputs, inputs = self.weight.shape[:2]
        return len(self.taps) > 1 or (len(self.taps) == 1 and outputs >= 4 * inputs)

    @property
    def constant(self) -> Tensor:
        """The bias, zeros if there is none, (1, outputs)."""
        bias = self.weight.new_zeros(len(self.weight)) if self.bias is None else self.bias
        return bias.unsqueeze(0)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as an operation; masked weights are zeros, unseen taps are left out."""
        return program.conv(x, self.seen, list(self.taps), self.bias, phase=PIXEL)

    def extra_repr(self) -> str:
        """Sizes, for `print(model)`."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, side={self.side}"


class ConditionalConv2d(nn.Module):
    """A masked convolution that hears conditions: W (x + W' h) + b + V y + V' * s.

    Args:
        conv: The convolution.
        conditioner: What can be given, and in which form; see `nextpixel.nn.condition`.

    Raises:
        ValueError: If a condition has the form "gate": there is none here.
    """

    def __init__(self, conv: MaskedConv2d, conditioner: Conditioner) -> None:
        super().__init__()
        if any(conditioner.widths("gate")):
            raise ValueError("form must be input, bias or map in a model without gates, got 'gate'")
        outputs, inputs = conv.weight.shape[:2]
        self.conv = conv
        self.before = Injection(conditioner.widths("input"), inputs)
        self.behind = Injection(conditioner.widths("bias", "map"), outputs)

    def inject(self, embedding: Embedding) -> Tensor:
        """What is added behind the convolution if conditions are vectors, (B or 1, outputs)."""
        inject: Tensor = self.behind(self.conv.constant.view(1, -1, 1, 1), embedding)
        return inject.flatten(1)

    def lower(self, program: Program, x: Map) -> Map:
        """`forward` as operations."""
        return program.inject(self.conv.lower(program, program.inject(x, self.before)), self.behind)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        behind: Tensor = self.behind(self.conv(self.before(x, embedding)), embedding)
        return behind
