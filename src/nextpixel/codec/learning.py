"""Online learning: a net that goes on learning from the pixels that were coded.

Encoder and decoder go through a picture strip by strip. After each strip both take the same steps
of Adam on its pixels, so the net knows the picture better when the next strip comes. All is done in
float32 sums of one order and in square roots and quotients, which IEEE 754 rounds alike everywhere:
both have the same weights on every processor, and the stream holds nothing about them.

A step takes every n-th pixel of the strip, so that it sees all of it.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.codec.learned_steps import Batch, Floats, Net, backward, forward, head_gradient, see
from nextpixel.heads import CompiledCDF
from nextpixel.heads.logistic_gradient import room_for
from nextpixel.models import PixelModel
from nextpixel.models.windowed import GAIN, WindowedPixelCNN
from nextpixel.nn import MaskedConv2d
from nextpixel.runtime.matrices import adam_step
from nextpixel.runtime.vectors import WIDTH

STRIP = 16
"""Rows between two lessons."""
PIXELS = 512
"""Pixels of a step, at most."""
RATE, FADE, FADE2, LEAST = 1e-4, 0.9, 0.99, 1e-8
"""Of Adam: rate, decay of both moments, and what is added below the root."""


def check_learning(model: PixelModel) -> None:
    """Refuse a model that cannot go on learning while it codes.

    Raises:
        ValueError: If it is none of one window with anchored means, of levels as they are.
    """
    fits = (
        isinstance(model, WindowedPixelCNN)
        and model.head.name == "anchored-logistic"
        and model.groups == 1
        and not (model.edge or model.config.level_features or model.conditioner.every)
        and (model.colors == 1 or model.head.sees_colors)
    )
    if not fits:
        raise ValueError(
            f"adapt must be left out for this {model.name}: windowed-pixelcnn with coupled colors "
            "and head anchored-logistic can learn while it codes"
        )


class Learner:
    """The weights of one picture.

    Args:
        model: Where they begin.
    """

    def __init__(self, model: PixelModel) -> None:
        head = model.head.compiled
        assert isinstance(model, WindowedPixelCNN)
        assert isinstance(head, CompiledCDF)
        self.net = net_of(model)
        self.batch = batch_for(self.net, PIXELS)
        colors, _, features, _, outputs, _ = map(int, self.net.sizes)
        self.slopes = self.net._replace(
            **{name: np.zeros_like(getattr(self.net, name)) for name in LEARNED}
        )
        self.moments = [
            (np.zeros_like(getattr(self.net, name)), np.zeros_like(getattr(self.net, name)))
            for name in LEARNED
        ]
        self.back = np.zeros(PIXELS * (outputs + 2 * features), np.float32)
        self.turned = np.zeros(features * max(features, outputs), np.float32)
        self.room = np.zeros(len(head.constants) + head.room + 1)
        self.room[: len(head.constants)] = head.constants
        self.kept = np.zeros(room_for(model.config.components, colors))
        self.levels = np.zeros((PIXELS, colors, 1, 1), np.int64)
        self.powers = np.ones(2, np.float32)

    def learn(self, levels: NDArray[np.int64], shape: tuple[int, int, int], first: int) -> None:
        """Take the steps of the strip that begins at a row, of a picture (C, H, W) of levels."""
        _, height, width = shape
        count = (min(height, first + STRIP) - first) * width
        steps = -(-count // PIXELS)
        for step in range(steps):
            pixels = np.arange(step, count, steps) + first * width
            self._step(levels, shape, pixels)

    def _step(
        self, levels: NDArray[np.int64], shape: tuple[int, int, int], pixels: NDArray[np.int64]
    ) -> None:
        net, count = self.net, len(pixels)
        see(net, self.batch, levels, np.array(shape), pixels, self.levels)
        forward(net, self.batch, count)
        for name in LEARNED:
            getattr(self.slopes, name)[:] = 0.0
        colors = shape[0]
        head_gradient(
            net, self.batch, self.levels, self.room, self.kept, self.back, (count, colors)
        )
        backward(net, self.batch, self.back, self.slopes, self.turned, count)
        self._add(np.float32(1.0 / (count * colors)))

    def _add(self, share: np.float32) -> None:
        """A step of Adam up the mean gradient."""
        self.powers *= np.array([FADE, FADE2], np.float32)
        whole = np.float32(1.0) / (np.float32(1.0) - self.powers)
        settings = tuple(map(np.float32, (RATE, FADE, FADE2, LEAST, *whole)))
        for name, (first, second) in zip(LEARNED, self.moments, strict=True):
            slope = getattr(self.slopes, name)
            slope *= share
            adam_step(getattr(self.net, name), slope, first, second, settings)


LEARNED = ("first", "first_bias", "hidden", "hidden_bias", "last", "last_bias", "linear")


def batch_for(net: Net, count: int) -> Batch:
    """Room for some pixels."""
    colors, inputs, features, layers, outputs, _ = map(int, net.sizes)
    sizes = (count * inputs, count * colors, (layers + 1) * count * features, count * outputs)
    return Batch(*(np.zeros(size, np.float32) for size in sizes))


def net_of(model: WindowedPixelCNN) -> Net:
    """The weights of a model, filled up with zeros to multiples of 16 features and outputs."""
    features, outputs = _filled(model.config.features), _filled(model.outputs)
    first = model.first.conv
    taps = sorted(first.taps)
    convs: list[MaskedConv2d] = [layer.conv for layer in model.hidden]  # type: ignore
    levels = torch.arange(model.levels)
    sizes = (model.colors, len(taps) * model.colors, features, len(convs), outputs)
    return Net(
        first=_matrix(first, 0, features),
        first_bias=_bias(first, features),
        hidden=_joined([_matrix(conv, features, features) for conv in convs]),
        hidden_bias=_joined([_bias(conv, features) for conv in convs]),
        last=_matrix(model.last, features, outputs),
        last_bias=_bias(model.last, outputs),
        linear=_matrix(model.linear, 0, outputs),
        sizes=np.array([*sizes, getattr(model.head, "anchors", 0)]),
        shown=model.scaled(levels, torch.float32).numpy().copy(),
        taps=np.array(taps, np.int64),
        sides=np.array([taps.index((0, -1)), taps.index((-1, 0))]),
        gain=np.float32(GAIN),
    )


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _filled(count: int) -> int:
    return -(-count // WIDTH) * WIDTH


def _matrix(conv: MaskedConv2d, rows: int, columns: int) -> Floats:
    """A kernel as a matrix from inputs, tap by tap in raster order, to outputs."""
    weight = (conv.weight * conv.mask).detach().float()
    flat = weight.flatten(2)[..., : len(conv.taps)].movedim(0, -1).movedim(1, 0).flatten(0, 1)
    made = np.zeros((rows or len(flat), columns), np.float32)
    made[: len(flat), : flat.shape[1]] = flat.numpy()
    return made.ravel()


def _bias(conv: MaskedConv2d, size: int) -> Floats:
    made = np.zeros(size, np.float32)
    assert conv.bias is not None
    made[: len(conv.bias)] = conv.bias.detach().float().numpy()
    return made


NOTHING = np.zeros(0, np.float32)
NO_NET = Net(
    first=NOTHING,
    first_bias=NOTHING,
    hidden=NOTHING,
    hidden_bias=NOTHING,
    last=NOTHING,
    last_bias=NOTHING,
    linear=NOTHING,
    sizes=np.zeros(6, np.int64),
    shown=NOTHING,
    taps=np.zeros((0, 2), np.int64),
    sides=np.zeros(2, np.int64),
    gain=np.float32(1.0),
)
NO_BATCH = Batch(NOTHING, NOTHING, NOTHING, NOTHING)
"""For what does not learn."""
