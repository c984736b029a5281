"""A model built without options works on images of any colors, levels and sizes, or says how."""

from dataclasses import fields
from typing import Any

import pytest
import torch

import nextpixel as npx
from nextpixel.models import PixelModel, model_class

NAMES = [name for name in npx.models.names() if name != "mixture"]  # which is made of others
SHALLOW = {"layers": 1, "blocks": 1}
"""Depth decides nothing here; widths, heads and forms are left to the defaults."""


def default(name: str, colors: int, levels: int, height: int = 4, width: int = 4) -> PixelModel:
    known = {field.name for field in fields(model_class(name).Config)}
    shallow: dict[str, Any] = {key: value for key, value in SHALLOW.items() if key in known}
    return npx.build(name, shape=(colors, height, width), levels=levels, seed=0, **shallow)


@pytest.mark.parametrize("colors", [1, 3, 6])
@pytest.mark.parametrize("levels", [2, 256, 65536])
@pytest.mark.parametrize("name", NAMES)
def test_defaults_score_images_of_any_colors_and_levels(
    name: str, levels: int, colors: int
) -> None:
    model = default(name, colors, levels)
    images = torch.randint(0, levels, (2, colors, 4, 4), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert model.log_prob(images).isfinite().all()


@pytest.mark.parametrize("colors", [1, 3, 6])
@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_causal_with_any_colors(name: str, colors: int) -> None:
    side = 4 if name == "pixelcnn-plusplus" else 2
    assert npx.audit(default(name, colors, 4, side, side), probes=1).causal


@pytest.mark.parametrize("name", NAMES)
def test_defaults_take_sides_that_are_even_or_odd_or_say_which_would_do(name: str) -> None:
    if name != "pixelcnn-plusplus":
        assert default(name, 3, 4, 33, 47).shape == (3, 33, 47)
        return
    with pytest.raises(ValueError, match=r"divisible by 4 .* got \(33, 47\); 36x48 would do"):
        default(name, 3, 4, 33, 47)
    assert default(name, 3, 4, 36, 48).shape == (3, 36, 48)


def test_features_that_are_asked_for_are_kept_or_refused() -> None:
    assert npx.build("pixelcnn", shape=(3, 4, 4), levels=2, features=6).config.features == 6
    with pytest.raises(ValueError, match=r"features must be a multiple of 3, .* 63 or 66 would do"):
        npx.build("pixelcnn", shape=(3, 4, 4), levels=2, features=64)


def test_defaults_that_colors_can_share_stay_as_they_are() -> None:
    for colors, expected in ((1, 64), (2, 64), (3, 66), (6, 66)):
        model = npx.build("pixelcnn", shape=(colors, 4, 4), levels=2, layers=1)
        assert model.config.features == expected


def test_a_net_without_color_groups_couples_colors_unless_asked_otherwise() -> None:
    def colors_of(count: int, **options: Any) -> str:
        return npx.build("locally-masked", shape=(count, 4, 4), levels=4, **options).config.colors

    assert colors_of(1) == "dependent"
    assert colors_of(3) == "coupled"
    assert colors_of(3, colors="independent") == "independent"
