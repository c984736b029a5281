"""Protocols: which one applies, which combinations are refused, and what each does to pixels."""

import pytest
import torch

from nextpixel.data.config import DataConfig
from nextpixel.data.protocols import resolve, to_levels
from nextpixel.data.splits import rng_of
from nextpixel.images import quantize

ALL_PIXELS = torch.arange(256).to(torch.uint8)


@pytest.mark.parametrize(
    ("options", "source", "expected"),
    [
        ({}, None, (256, "quantized")),
        ({"levels": 2}, None, (2, "threshold")),
        ({"levels": 3}, None, (3, "quantized")),
        ({"levels": 256}, None, (256, "quantized")),
        ({"levels": 4, "protocol": "quantized"}, None, (4, "quantized")),
        ({"protocol": "quantized"}, None, (256, "quantized")),
        ({"protocol": "threshold"}, None, (2, "threshold")),
        ({"protocol": "dynamic"}, None, (2, "dynamic")),
        ({"levels": 2, "protocol": "dynamic"}, None, (2, "dynamic")),
        ({}, 17, (17, "levels")),
        ({"levels": 17}, 17, (17, "levels")),
        ({"levels": 2, "protocol": "levels"}, 2, (2, "levels")),
    ],
    ids=str,
)
def test_levels_and_protocol_follow_from_request_and_source(options, source, expected):
    assert resolve(DataConfig(name="set", **options), source) == expected


@pytest.mark.parametrize(
    ("options", "source", "message"),
    [
        ({"levels": 4, "protocol": "dynamic"}, None, "levels must be 2 with protocol 'dynamic'"),
        ({"levels": 4, "protocol": "threshold"}, None, "levels must be 2 with .*, got 4"),
        ({"levels": 2, "protocol": "quantized"}, None, "must be threshold or dynamic at 2 levels"),
        ({"protocol": "levels"}, None, "set, which has 8-bit pixels, got 'levels'"),
        ({"protocol": "dynamic"}, 17, "must be 'levels' for set, .* got 'dynamic'"),
        ({"protocol": "threshold"}, 2, "must be 'levels' for set, .* got 'threshold'"),
        ({"levels": 2}, 17, "levels must be 17 for set, .* got 2"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(options, source, message):
    with pytest.raises(ValueError, match=message):
        resolve(DataConfig(name="set", **options), source)


def test_threshold_is_one_from_128_on():
    got = to_levels(ALL_PIXELS, 2, "threshold", rng_of(0))
    assert got.tolist() == [0] * 128 + [1] * 128


@pytest.mark.parametrize("levels", [3, 4, 17, 255, 256])
def test_quantized_is_quantize(levels):
    got = to_levels(ALL_PIXELS, levels, "quantized", rng_of(0))
    assert torch.equal(got, quantize(ALL_PIXELS, levels))


def test_levels_are_left_alone():
    assert torch.equal(to_levels(ALL_PIXELS[:17], 17, "levels", rng_of(0)), ALL_PIXELS[:17])


def test_dynamic_is_one_as_often_as_the_pixel_is_bright():
    count = 20_000
    pixels = ALL_PIXELS.repeat(count, 1)
    share = to_levels(pixels, 2, "dynamic", rng_of(7)).double().mean(0)
    expected = ALL_PIXELS.double() / 255
    deviation = (expected * (1 - expected) / count).sqrt()
    assert ((share - expected).abs() <= 4.5 * deviation).all()  # exact for 0 and for 255
    assert abs(float(share.mean()) - 0.5) < 0.001
