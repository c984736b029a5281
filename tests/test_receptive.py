"""Receptive fields of all pixels at once are those that derivatives find, pixel by pixel."""

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import audit, field_of
from nextpixel.order import Step
from nextpixel.receptive import receptive_fields, scan_indices

PROBES = 8
"""So few features are often all off in a corner."""
SMALL = {"features": 6}
GATED = {**SMALL, "head_features": 6, "first_side": 3, "side": 3}
KINDS = {
    "pixelcnn": ("pixelcnn", (1, 6, 7), {**SMALL, "layers": 3, "side": 3}),
    "residual": ("residual-pixelcnn", (1, 9, 9), {**GATED, "inner": 6, "blocks": 2,
                                                  "dilations": (1, 2)}),
    "gated": ("gated-pixelcnn", (1, 6, 7), {**GATED, "layers": 2}),
    "gated, skip": ("gated-pixelcnn", (1, 6, 7), {**GATED, "layers": 2, "skip": True}),
    "gated, colors": ("gated-pixelcnn", (3, 5, 5), {**GATED, "layers": 1}),
    "independent colors": ("pixelcnn", (3, 5, 5), {**SMALL, "colors": "independent",
                                                   "layers": 2, "side": 3}),
    "row lstm": ("row-lstm", (1, 6, 6), {"features": 4, "cells": 4, "layers": 2,
                                         "first_side": 3, "head_features": 4}),
    "whole rows": ("diagonal-bilstm", (1, 6, 6), {"features": 4, "cells": 4, "layers": 2,
                                                  "first_side": 3, "head_features": 4}),
    "plusplus": ("pixelcnn-plusplus", (3, 8, 8), {"features": 4, "blocks": 1}),
    "snail": ("pixelsnail", (1, 6, 6), {"features": 8, "blocks": 1, "layers": 1, "key": 4}),
    "snail, pooled": ("pixelsnail", (1, 6, 6), {"features": 8, "blocks": 1, "layers": 1,
                                                "key": 4, "pool": 3}),
    "transformer": ("pixel-transformer", (1, 5, 5), {"features": 8, "heads": 2, "layers": 1}),
    "transformer, colors": ("pixel-transformer", (3, 3, 3), {"features": 6, "heads": 1,
                                                             "layers": 1}),
    "any order": ("locally-masked", (1, 7, 7), {"features": 6, "blocks": 2, "first_side": 3,
                                                "head_features": 6, "dilations": (1, 2)}),
    "windowed": ("windowed-pixelcnn", (3, 6, 6), {"features": 6, "layers": 2, "side": 3}),
}  # fmt: skip


def build(kind):
    name, shape, options = KINDS[kind]
    levels = 16 if name == "windowed-pixelcnn" else 4
    return npx.build(name, shape=shape, levels=levels, seed=0, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pixels_field_is_what_derivatives_find(kind):
    model = build(kind)
    colors, height, width = model.shape
    size = height * width
    sees = audit(model, probes=PROBES).sees.view(size, colors, size, colors).any(3)
    for color in range(colors):
        np.testing.assert_array_equal(receptive_fields(model, color), sees[:, color].numpy())
    np.testing.assert_array_equal(receptive_fields(model), sees[:, -1].numpy())
    field = field_of(model, Step(2, 1, colors - 1), probes=PROBES).any(0).flatten()
    np.testing.assert_array_equal(receptive_fields(model)[2 * width + 1], field.numpy())


def test_a_model_is_left_as_it_is_whatever_its_weights():
    model = build("gated").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fields = receptive_fields(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for weight in model.parameters():
        weight.data.zero_()
    np.testing.assert_array_equal(receptive_fields(model), fields)


def test_a_program_that_is_not_the_models_is_refused():
    model = build("pixelcnn")

    class Changed(type(model)):
        def network(self, x, embedding, corner=(0, 0)):
            return 1 + super().network(x, embedding, corner) ** 3

    model.__class__ = Changed
    with pytest.raises(npx.NextPixelError, match="does not compute what the model does"):
        receptive_fields(model)


def test_a_mixture_of_classes_sees_all_before_and_of_nets_what_they_see():
    first, second = build("pixelcnn"), build("gated")
    fields = receptive_fields(npx.mixture([first, second]))
    np.testing.assert_array_equal(fields, receptive_fields(first) | receptive_fields(second))
    name, shape, options = KINDS["gated"]
    classes = npx.build(
        name, shape=shape, levels=4, seed=0, **options, condition=npx.ClassCondition(3)
    )
    np.testing.assert_array_equal(receptive_fields(npx.mixture([classes])), np.tri(42, k=-1) > 0)


def test_an_order_has_indices_unless_it_is_the_raster_order():
    assert scan_indices(build("gated")) is None
    indices = scan_indices(build("any order")).reshape(7, 7)
    assert indices[0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert indices[1].tolist() == [13, 12, 11, 10, 9, 8, 7]
