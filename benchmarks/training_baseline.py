"""The nets of seeds 000, 001 and 002 written the way public code writes them.

Kernels are stored and computed at their full k x k, the mask is multiplied into `weight.data`
before each forward pass, and tensors are (B, C, H, W) in memory. Modules are made in the order of
the package's own, so that weights can be copied from one to the other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.models import PixelModel


class MaskedConv(nn.Conv2d):
    """Kinds: masks "A" and "B", the rows "above" the centre, or these and its own, "up"."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int | tuple[int, int],
        kind: str,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, side, padding="same", bias=bias)
        mask = torch.ones_like(self.weight)
        height, width = self.kernel_size
        mask[:, :, height // 2 + (kind != "above") :] = 0
        if kind in ("A", "B"):
            mask[:, :, height // 2, width // 2 + (kind == "B") :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        self.weight.data *= self.mask
        return super().forward(x)


class Block(nn.Module):
    """The bottleneck of the paper."""

    def __init__(self, features: int, inner: int, side: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(features, inner, 1)
        self.conv = MaskedConv(inner, inner, side, "B")
        self.widen = nn.Conv2d(inner, features, 1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x + self.widen(F.relu(self.conv(F.relu(self.squeeze(F.relu(x))))))


class GatedLayer(nn.Module):
    """Both stacks, by kernels of which half is masked."""

    def __init__(self, inputs: int, features: int, side: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.vertical = MaskedConv(inputs, 2 * features, side, "above" if first else "up")
        self.horizontal = MaskedConv(inputs, 2 * features, (1, side), "A" if first else "B")
        self.link = nn.Conv2d(2 * features, 2 * features, 1)
        self.out = nn.Conv2d(features, features, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        above = self.vertical(v)
        change = self.out(gate(self.horizontal(h) + self.link(above)))
        return gate(above), change if self.first else h + change


def gate(x: Tensor) -> Tensor:
    activation, opening = x.chunk(2, 1)
    return torch.tanh(activation) * torch.sigmoid(opening)


class Stacks(nn.Module):
    """Gated layers one after the other; the horizontal stack goes on."""

    def __init__(self, layers: list[GatedLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return h


def public(model: PixelModel) -> nn.Sequential:
    """The net of a model, with weights of its own."""
    c, inputs, last = model.config, model.inputs, model.outputs
    if model.name == "pixelcnn":
        layers: list[nn.Module] = []
        for number in range(c.layers):
            read, kind = (c.features, "B") if number else (inputs, "A")
            layers += [MaskedConv(read, c.features, c.side, kind, bias=c.bias)]
            layers += [nn.BatchNorm2d(c.features), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(c.features, last, 1))
    if model.name == "residual-pixelcnn":
        body: list[nn.Module] = [MaskedConv(inputs, c.features, c.first_side, "A")]
        body += [Block(c.features, c.inner, c.side) for _ in range(c.blocks)]
        body += [nn.ReLU(), nn.Conv2d(c.features, c.head_features, 1), nn.ReLU()]
        return nn.Sequential(*body, nn.Conv2d(c.head_features, last, 1))
    first = GatedLayer(inputs, c.features, c.first_side, first=True)
    others = [GatedLayer(c.features, c.features, c.side, first=False) for _ in range(c.layers)]
    squash = nn.Conv2d(c.features, c.head_features, 1)
    return nn.Sequential(
        Stacks([first, *others]), squash, nn.ReLU(), nn.Conv2d(c.head_features, last, 1)
    )
