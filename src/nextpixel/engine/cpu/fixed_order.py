"""Convolutions of conditions with sums in one order, so that no processor rounds them otherwise.

What a net makes of a condition before its first pixel is written in torch, whose sums are split as
suits the processor. An archive must be read on any: inside `fixed_order` torch's convolutions are
products summed tap by tap, as in the engine. Single numbers are added and multiplied alike on all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nextpixel.runtime.compiling import compiled

Pair = tuple[int, int]


@compiled
def add_products(weight, columns, out):
    """Add weight (F, K) times columns (B, K, L) to out (B, F, L), k by k."""
    for image in range(len(columns)):
        for feature in range(len(weight)):
            for k in range(weight.shape[1]):
                for place in range(columns.shape[2]):
                    out[image, feature, place] += weight[feature, k] * columns[image, k, place]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """As `torch.conv2d` of one group, (B, I, H, W) -> (B, F, h, w)."""
    assert groups == 1
    side = tuple(weight.shape[2:])
    columns = F.unfold(x, side, dilation, padding, stride)
    (up, across), (down, along) = _pair(padding), _pair(stride)
    height = (x.shape[2] + 2 * up - _pair(dilation)[0] * (side[0] - 1) - 1) // down + 1
    width = (x.shape[3] + 2 * across - _pair(dilation)[1] * (side[1] - 1) - 1) // along + 1
    out = np.zeros((len(x), len(weight), columns.shape[2]), columns.numpy().dtype)
    add_products(weight.flatten(1).contiguous().numpy(), columns.contiguous().numpy(), out)
    made = torch.from_numpy(out).view(len(x), -1, height, width)
    return made if bias is None else made + bias[:, None, None]


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    *rest: Any,  # noqa: ANN401 - what torch hands on
) -> Tensor:
    """As `torch.conv_transpose2d`: a convolution of x with zeros between its places."""
    assert rest in ((), (0, 1, 1), ((0, 0), 1, (1, 1)))
    (down, along), (up, across) = _pair(stride), _pair(padding)
    batch, planes, height, width = x.shape
    spread = x.new_zeros(batch, planes, (height - 1) * down + 1, (width - 1) * along + 1)
    spread[:, :, ::down, ::along] = x
    rows, columns = weight.shape[2:]
    room = (columns - 1 - across, columns - 1 - across, rows - 1 - up, rows - 1 - up)
    return conv2d(F.pad(spread, room), weight.flip(2, 3).transpose(0, 1), bias)


REPLACED: Mapping[Callable[..., Any], Callable[..., Tensor]] = {
    torch.conv2d: conv2d,
    torch.conv_transpose2d: conv_transpose2d,
}


class _FixedOrder(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever torch's function gives
        del types
        return REPLACED.get(function, function)(*args, **(kwargs or {}))


@contextmanager
def fixed_order() -> Iterator[None]:
    """Let torch's convolutions on the CPU sum in one order for a while, in this thread."""
    with torch.no_grad(), _FixedOrder():
        yield


def _pair(value: int | Sequence[int]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
