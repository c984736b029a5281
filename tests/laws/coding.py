"""What the laws of the codec share: images through an archive and back, and what they may cost."""

import math
from typing import Any

import torch
from torch import Tensor

from nextpixel import build
from nextpixel.codec.chunks import label_classes
from nextpixel.codec.tensors import compress, decompress
from nextpixel.images import level_dtype
from nextpixel.models import PixelModel
from nextpixel.nn import Value
from tests.laws.cases import GATED, RESIDUAL, disturb

HEIGHT, WIDTH = 6, 7


def varied_condition(model: PixelModel, count: int) -> Value | None:
    """A condition that differs from image to image; None where the model takes none."""
    return model.conditioner.example(count, torch.Generator().manual_seed(5))


def condition_to_decode(model: PixelModel, condition: Value | None) -> Value | None:
    """The condition that `decompress` needs: none if the archive holds it."""
    return None if label_classes(model) else condition


def ideal_bits(model: PixelModel, levels: Tensor, condition: Value | None) -> float:
    """Of one pass in float64, labels at the same cost each."""
    with torch.inference_mode():
        bits = -float(model.double().log_prob(levels, condition).sum()) / math.log(2)
    model.float()
    classes = label_classes(model)
    return bits + (len(levels) * math.log2(classes) if classes else 0.0)


def assert_comes_back(
    model: PixelModel, levels: Tensor, condition: Value | None = None, **options: int
) -> bytes:
    blob = compress(model, levels, condition, **options)
    back = decompress(model, blob, condition_to_decode(model, condition))
    assert back.dtype == level_dtype(model.levels)
    assert torch.equal(back.long(), levels)
    return blob


def a_model(
    name: str, shape: tuple[int, int, int], levels: int, *, position: bool, **more: Any
) -> PixelModel:
    colors = shape[0]
    options = {
        "pixelcnn": {"features": 2 * colors, "layers": 1, "side": 3, "pointwise": 1},
        "residual-pixelcnn": {**RESIDUAL, "features": 2 * colors, "inner": colors, "blocks": 1,
                              "head_features": 2 * colors, "position": position},
        "gated-pixelcnn": {**GATED, "features": 2 * colors, "layers": 1,
                           "head_features": 2 * colors, "position": position},
    }[name]  # fmt: skip
    return disturb(build(name, seed=0, shape=shape, levels=levels, **options, **more))
