"""The seeds' nets as their texts describe them and their code names their tensors."""

import torch
import torch.nn.functional as F
from torch import nn


class Masked(nn.Conv2d):
    """A square kernel with a mask, A or B, and for three groups of interleaved colors."""

    def __init__(self, kind, inputs, outputs, side, *, bias=True, colors=1):
        super().__init__(inputs, outputs, side, padding=side // 2, bias=bias)
        mask = torch.zeros_like(self.weight)
        mask[:, :, : side // 2] = 1
        mask[:, :, side // 2, : side // 2] = 1
        out, into = (torch.arange(n) % colors for n in (outputs, inputs))
        sees = out[:, None] > into if kind == "A" else out[:, None] >= into
        mask[:, :, side // 2, side // 2] = sees.float()
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Wrapped(nn.Module):
    """Seed 000 keeps the convolution as a part of its masked layer."""

    def __init__(self, kind, inputs, outputs, side):
        super().__init__()
        self.Conv2d = Masked(kind, inputs, outputs, side, bias=False)
        del self.Conv2d.mask
        self.Conv2d.mask = Masked(kind, inputs, outputs, side).mask

    def forward(self, x):
        return self.Conv2d(x)


class Net000(nn.Module):
    def __init__(self, features=64, side=7, layers=8, levels=256):
        super().__init__()
        self.layers = layers
        for n in range(1, layers + 1):
            conv = Wrapped("A" if n == 1 else "B", 1 if n == 1 else features, features, side)
            setattr(self, f"layer{n}", nn.Sequential(conv, nn.BatchNorm2d(features), nn.ReLU()))
        setattr(self, f"layer{layers + 1}", nn.Conv2d(features, levels, 1))

    def forward(self, x):
        for n in range(1, self.layers + 2):
            x = getattr(self, f"layer{n}")(x)
        return x


def net_001(weights, x, blocks):
    """The notebook's net on its list of kernels (rows, columns, inputs, outputs) and biases."""
    pairs = iter(zip(weights[::2], weights[1::2], strict=True))

    def conv(x, kind=None):
        kernel, bias = next(pairs)
        kernel, side = kernel.permute(3, 2, 0, 1).clone(), kernel.shape[0]
        if kind:
            kernel[:, :, side // 2, side // 2 + (kind == "B") :] = 0
            kernel[:, :, side // 2 + 1 :] = 0
        return F.conv2d(x, kernel, bias, padding=side // 2)

    x = conv(x, "A")
    for _ in range(blocks):
        y = conv(F.relu(x))
        y = conv(F.relu(y), "B")
        x = conv(F.relu(y)) + x
    return conv(F.relu(conv(F.relu(x))))


def weights_001(features, inner, blocks, levels, first_side=7, side=3):
    sizes = [(first_side, 1, features)]
    sizes += [(1, features, inner), (side, inner, inner), (1, inner, features)] * blocks
    sizes += [(1, features, features), (1, features, levels)]
    rng = torch.Generator().manual_seed(0)
    found = []
    for side, inputs, outputs in sizes:
        found.append(0.3 * torch.randn(side, side, inputs, outputs, generator=rng))
        found.append(0.1 * torch.randn(outputs, generator=rng))
    return found


class Stack(nn.Conv2d):
    def __init__(self, inputs, outputs, side, kind, vertical):
        size, pad = (side, side // 2) if vertical else ((1, side), (0, side // 2))
        super().__init__(inputs, outputs, size, padding=pad)
        self.keep = side // 2 + (kind == "B")
        self.vertical = vertical

    def forward(self, x):
        mask = torch.zeros_like(self.weight)
        if self.vertical:
            mask[:, :, : self.keep] = 1
        else:
            mask[..., : self.keep] = 1
        return F.conv2d(x, self.weight * mask, self.bias, padding=self.padding)


class GatedLayer(nn.Module):
    def __init__(self, inputs, features, side, kind):
        super().__init__()
        self.vconv = Stack(inputs, 2 * features, side, kind, True)
        self.hconv = Stack(inputs, 2 * features, side, kind, False)
        self.v_to_h_conv = nn.Conv2d(2 * features, 2 * features, 1)
        self.h_to_h_conv = nn.Conv2d(features, features, 1)
        self.kind = kind

    def forward(self, v, h):
        def gate(x):
            return torch.tanh(x.chunk(2, 1)[0]) * torch.sigmoid(x.chunk(2, 1)[1])

        up = self.vconv(v)
        out = self.h_to_h_conv(gate(self.v_to_h_conv(up) + self.hconv(h)))
        return gate(up), out + h if self.kind == "B" else out


class Net002(nn.Module):
    def __init__(self, layers=12, features=16, levels=4, first_side=5, side=3):
        super().__init__()
        first = GatedLayer(1, features, first_side, "A")
        rest = [GatedLayer(features, features, side, "B") for _ in range(layers)]
        self.layers = nn.ModuleList([first, *rest])
        self.out_conv = nn.Sequential(
            nn.Conv2d(features, features, 1), nn.ReLU(), nn.Conv2d(features, levels, 1)
        )

    def forward(self, x):
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.out_conv(h)


class Net004(nn.Module):
    """Six 7x7 and two 1x1 convolutions, with V y after each where there are classes."""

    def __init__(self, features=64, side=7, wide=6, classes=0):
        super().__init__()
        sizes = [("A", 1, features, side)] + [("B", features, features, side)] * (wide - 1)
        sizes += [("B", features, features, 1), ("B", features, 1, 1)]
        convs = [Masked(*size) for size in sizes]
        for conv in convs if classes else ():
            conv.V = nn.Parameter(torch.randn(conv.out_channels, classes))
        layers = [part for conv in convs for part in (conv, nn.ReLU())]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x, y=None):
        for layer in self.net:
            x = layer(x)
            if y is not None and isinstance(layer, Masked):
                x = x + (y @ layer.V.T)[:, :, None, None]
        return x


class Residual004(nn.Module):
    def __init__(self, features, side, colors):
        super().__init__()
        half = features // 2
        sizes = [(features, half, 1), (half, half, side), (half, features, 1)]
        convs = [Masked("B", *size, colors=colors) for size in sizes]
        self.net = nn.Sequential(*[part for conv in convs for part in (conv, nn.ReLU())])

    def forward(self, x):
        return self.net(x) + x


class Color004(nn.Module):
    """The first layer has the plain mask A, as published: G does not see R there."""

    def __init__(self, features=120, side=7, blocks=8, levels=4, *, dependent=True):
        super().__init__()
        colors = 3 if dependent else 1
        layers = [Masked("A", 3, features, side), nn.BatchNorm2d(features), nn.ReLU()]
        for _ in range(blocks):
            layers += [Residual004(features, side, colors), nn.BatchNorm2d(features), nn.ReLU()]
        self.net = nn.Sequential(*layers, Masked("B", features, 3 * levels, 1, colors=colors))

    def forward(self, x):
        return self.net(x)
