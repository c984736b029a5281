"""A package of its own in 60 lines of code: a layer, an operation, a head and a model."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import nextpixel as npx
from nextpixel.heads import Categorical, CompiledHead, Head, split_colors
from nextpixel.models.options import ModelConfig
from nextpixel.nn import MaskedConv2d
from nextpixel.program import Op, Program
from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import exp64


@compiled
def elu_step(call):
    for n in range(call.places):
        x, y = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high):
            v = np.float64(call.state[x + f])
            call.state[y + f] = np.float32(v if v > 0.0 else exp64(v) - 1.0)


class Elu(Op):
    name = "elu"
    compiled = staticmethod(elu_step)

    def reference(self, *inputs):
        return F.elu(inputs[0])

    def step(self, view):
        view.target.copy_(F.elu(view.inputs[0]))


class EluConv(nn.Module):
    def __init__(self, *sizes, **options):
        super().__init__()
        self.conv = MaskedConv2d(*sizes, **options)

    def forward(self, x):
        return F.elu(self.conv(x))

    def lower(self, program, x):
        return program.apply(Elu, self.conv.lower(program, x))


@compiled
def hill_log_weights(spot):
    top, steep = np.float64(spot.state[spot.at]), np.float64(spot.state[spot.at + 1])
    for k in range(len(spot.p)):
        away = k / (len(spot.p) - 1) - top
        spot.p[k] = -away * away * (1.0 + steep * steep)


@npx.register_head
class HillHead(Head):
    """Two outputs for any number of levels: where the likeliest one is, and how steep."""

    name, size, compiled = "hill", 2, CompiledHead(hill_log_weights)

    def __call__(self, outputs, colors, levels=None):
        top, steep = split_colors(outputs, colors).unsqueeze(-1).unbind(-2)
        away = torch.linspace(0, 1, self.levels).to(outputs) - top
        return Categorical(-away.square() * (1 + steep.square()))


@dataclass(frozen=True, kw_only=True)
class EluConfig(ModelConfig):
    """Options: hidden features."""

    features: int = 16
    head: str = "hill"


@npx.register
class EluPixelCNN(npx.PixelModel):
    name, Config = "elu-pixelcnn", EluConfig

    def __init__(self, shape, levels, config):
        super().__init__(shape, levels, config)
        options = {"groups": self.groups, "sees_self": False}
        self.first = EluConv(self.inputs, config.features, 5, **options)
        self.second = EluConv(config.features, config.features, 3, **options | {"sees_self": True})
        self.add_last(config.features)

    reach = 3

    def network(self, x, embedding, corner=(0, 0)):
        return self.read_out(self.second(self.first(x)), embedding)

    def lower(self):
        program = Program(self.inputs, self.groups)
        x = self.second.lower(program, self.first.lower(program, program.image))
        self.lower_last(program, x)
        return program
