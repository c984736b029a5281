"""Attention over what is before a pixel, in the order of the scan.

References:
    Chen, Mishra, Rohaninejad, Abbeel (2018), PixelSNAIL, section 2. https://arxiv.org/abs/1712.09763
    Vaswani et al. (2017), Attention Is All You Need, eq. 1. https://arxiv.org/abs/1706.03762
"""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nextpixel.program.attention import attend_head
from nextpixel.program.ops.base import LATE, PIXEL, Call, Map, Op, View
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import WIDTH


@compiled
def attend_step(call: Call) -> None:
    """One pixel of some images: each head of the color groups that low..high-1 belong to."""
    heads, size, pool, kind = call.extra
    groups, inclusive = kind // 2, kind % 2
    value, key = call.features // (groups * heads), (size + WIDTH - 1) // WIDTH * WIDTH
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    pixel, steps = call.row * call.width + call.column, pool * heads
    for n in range(call.places):
        query, target = call.source + n * call.source_step, call.target + n * call.target_step
        keys = call.other + n * call.other_step - pixel * groups * heads * key
        values = call.third + n * call.third_step - pixel * groups * heads * value
        for part in range(call.low // value, call.high // value):
            group, head = part // heads, part % heads
            count = (pixel * groups + group + inclusive) // pool
            attend_head(  # type: ignore[call-arg]
                call.state, query + part * key,
                keys + (head + steps - heads) * key, values + (head + steps - heads) * value,
                target + part * value,
                (count, steps * key, steps * value, key // WIDTH, value // WIDTH, scale),
            )  # fmt: skip


QUERIES = 256
"""How many are compared with all keys in one go, by torch."""


class Attend(Op):
    """Each head's mean of the values of the past, weighted by products of its query and their keys.

    Tokens are pixels, or sub-pixels where there are color groups. Of `pool` pixels in a row only
    the last has a key, once it is drawn. A token that has nothing to attend to gets zeros.

    Args:
        inputs: Queries, keys and values, of as many features a head each.
        output: Of as many features as the values.
        heads: Whose features lie side by side, in each color group.
        inclusive: Whether a token attends to itself: then keys and values must not know its level.
        groups: Color groups.
        pool: Pixels that share a key.
    """

    name = "attend"
    compiled = staticmethod(attend_step)
    whole: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(
        self,
        inputs: tuple[Map, ...],
        output: Map,
        heads: int,
        *,
        inclusive: bool = False,
        groups: int = 1,
        pool: int = 1,
    ) -> None:
        super().__init__(inputs, output)
        if inclusive and any(x.phase == LATE for x in inputs):
            raise ValueError("inclusive attention must not read what knows the pixel itself")
        self.heads, self.groups, self.pool, self.inclusive = heads, groups, pool, inclusive
        size = inputs[0].features // (heads * groups)
        self.extra = heads, size, pool, 2 * groups + inclusive

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output."""
        return inputs[2].features, PIXEL

    def reference(self, *inputs: Tensor) -> Tensor:
        """Queries, keys and values (B, F, H, W) -> (B, values, H, W)."""
        shape = inputs[0].shape
        query, key, value = (self._tokens(x.flatten(2).movedim(1, -1)) for x in inputs)
        number = torch.arange(query.shape[2], device=query.device)
        seen = self._seen(number, number)
        made = _attend(query, key, value, seen)  # (B, heads, tokens, D)
        pixels = torch.unflatten(made.transpose(1, 2).flatten(2), 1, (-1, self.groups)).flatten(2)
        return torch.unflatten(pixels.movedim(-1, 1), 2, shape[2:])

    def step(self, view: View) -> None:
        """The same at one pixel, for all color groups or one."""
        query, _, _ = view.inputs
        key, value = view.whole(1), view.whole(2)  # (B, rows, W, F); this row is the last
        rows, width = key.shape[1:3]
        groups = self.groups * view.target.shape[-1] // self.output.features
        first = view.features.start * self.groups // self.output.features
        query = self._tokens(query, groups)
        own = (view.row * width + view.column) * self.groups + first
        own = own + torch.arange(groups, device=key.device)
        number = torch.arange(rows * width * self.groups, device=key.device)
        number = number + (view.row - (rows - 1)) * width * self.groups
        seen = self._seen(own, number)
        keys, values = (self._tokens(x.flatten(1, 2)) for x in (key, value))
        made = _attend(query, keys, values, seen)
        view.target.copy_(made.transpose(1, 2).flatten(2).flatten(1).unsqueeze(1))

    def _tokens(self, x: Tensor, groups: int | None = None) -> Tensor:
        """(B, pixels, F) -> (B, heads, tokens, D)."""
        x = torch.unflatten(x, 2, (groups or self.groups, self.heads, -1))
        return x.flatten(1, 2).transpose(1, 2)

    def _seen(self, own: Tensor, number: Tensor) -> Tensor:
        """Whether a token attends to another, from their numbers, (own, others)."""
        last = number // self.pool * self.pool + self.pool - 1 == number
        before = number < own[:, None] + self.inclusive
        return before & last & (number >= 0)

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """A block for each head of each color group."""
        most = self.heads * self.groups
        return tuple(max(one, most) for one in sources), max(target, most)


def _attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """(B, heads, tokens, D) each, and who attends to whom -> (B, heads, queries, D).

    Some queries at a time: all pairs would fill the memory.
    """
    some = zip(torch.split(query, QUERIES, 2), torch.split(seen, QUERIES), strict=True)
    return torch.cat([_attend_some(part, key, value, before) for part, before in some], 2)


def _attend_some(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~seen, -math.inf).softmax(-1)
    return weights.masked_fill(~seen, 0.0) @ value
