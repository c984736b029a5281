"""The gated layer: both readings of seed 002, the nominal field, and what faults would do."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel import audit, build
from nextpixel.nn import HorizontalConv2d, VerticalConv2d, gate
from nextpixel.order import Step
from tests.laws.cases import disturb


def masked(weight: Tensor, bias: Tensor, x: Tensor, dilation: int = 1) -> Tensor:
    """The other reading: a full k x k kernel whose unseen taps are zero, padded all around."""
    rows, columns = weight.shape[2:]
    padding = (dilation * (rows // 2), dilation * (columns // 2))
    return F.conv2d(x, weight, bias, padding=padding, dilation=dilation)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("side", [3, 5])
def test_cropping_and_masking_the_vertical_kernel_are_the_same(side, first):
    """Mask A: rows above the centre; mask B: down to it (seed 002's code)."""
    layer = VerticalConv2d(2, 4, side, first=first).double()
    full = torch.zeros(4, 2, side, side).double()
    full[:, :, : side // 2 + (not first)] = layer.weight.detach()
    x = torch.randn(2, 2, 6, 7).double()
    torch.testing.assert_close(layer(x), masked(full, layer.bias, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sees_self", [True, False])
@pytest.mark.parametrize("dilation", [1, 2])
def test_cropping_and_masking_the_horizontal_kernel_are_the_same(sees_self, dilation):
    layer = HorizontalConv2d(2, 4, 5, groups=1, sees_self=sees_self, dilation=dilation).double()
    full = torch.zeros(4, 2, 1, 5).double()
    full[..., :3] = layer.weight.detach()
    full[..., 2 if not sees_self else 3 :] = 0
    x = torch.randn(2, 2, 6, 9).double()
    torch.testing.assert_close(layer(x), masked(full, layer.bias, x, dilation), rtol=0, atol=1e-12)


def test_seed_002_net_is_its_masked_twin():
    """The whole net against one written with full masked kernels, weights mapped over."""
    model = build(
        "gated-pixelcnn", shape=(1, 9, 9), levels=4, features=3, layers=2, first_side=5, side=3,
        head_features=3, edge=False,
    )  # fmt: skip
    model = disturb(model.double())
    levels = torch.randint(0, 4, (2, 1, 9, 9))
    v = h = model.encode(levels)
    for layer in [model.first, *model.layers]:
        side = layer.vertical.weight.shape[3]
        up = torch.zeros(*layer.vertical.weight.shape[:2], side, side).double()
        up[:, :, : layer.vertical.weight.shape[2]] = layer.vertical.weight.detach()
        left = torch.zeros(*layer.horizontal.weight.shape[:2], 1, side).double()
        left[..., : side // 2 + 1] = (layer.horizontal.weight * layer.horizontal.mask).detach()
        above = masked(up, layer.vertical.bias, v)
        row = masked(left, layer.horizontal.bias, h) + layer.link(above)
        v, new = gate(above), layer.out(gate(row))
        h = new if layer.first else h + new
    logits = model.last(model.squash(h).relu())
    expected = logits.unsqueeze(1).movedim(2, -1).log_softmax(-1)
    torch.testing.assert_close(model(levels).logits, expected, rtol=0, atol=1e-12)


def test_seed_002_recipe_has_its_sizes():
    from nextpixel import recipes

    recipe = recipes.read("mnist4-gated")
    assert (recipe.data.levels, recipe.train.betas, recipe.train.batch_size) == (4, (0.0, 0.99), 64)
    assert recipe.model.options == {
        "features": 16, "layers": 12, "first_side": 5, "side": 3, "head_features": 16,
        "edge": False, "scale": "unit",
    }  # fmt: skip


@pytest.mark.parametrize(("first_side", "side", "layers"), [(3, 3, 2), (5, 3, 1), (3, 5, 1)])
def test_every_past_pixel_in_the_nominal_field_is_seen_and_no_other(first_side, side, layers):
    options = {"features": 8, "layers": layers, "first_side": first_side, "side": side}
    model = disturb(build("gated-pixelcnn", shape=(1, 11, 11), levels=2, **options).double())
    found = audit(model, probes=4)
    step = Step(9, 5, 0)
    assert not found.blind(step).any()
    seen = found.field(step)[0].nonzero()
    assert (9 - seen[:, 0]).max() == model.reach
    assert (seen[:, 1] - 5).abs().max() == model.reach


def residual_in_the_first_layer(model: nn.Module) -> None:
    model.first.first = False


def vertical_stack_not_shifted(model: nn.Module) -> None:
    layer = model.first.vertical
    layer.forward = lambda x: VerticalConv2d.forward(layer, F.pad(x, (0, 0, 0, 1)))[:, :, 1:]


def vertical_sees_the_row_below(model: nn.Module) -> None:
    layer = model.layers[0].vertical
    layer.forward = lambda x: VerticalConv2d.forward(layer, F.pad(x, (0, 0, 0, 1)))[:, :, 1:]


def horizontal_sees_itself(model: nn.Module) -> None:
    model.first.horizontal.mask[:] = True


@pytest.mark.parametrize(
    "fault",
    [
        residual_in_the_first_layer,
        vertical_stack_not_shifted,
        vertical_sees_the_row_below,
        horizontal_sees_itself,
    ],
)
def test_the_audit_catches_a_planted_fault(fault):
    options = {"features": 6, "layers": 1, "first_side": 3, "side": 3}
    model = build("gated-pixelcnn", shape=(1, 4, 4), levels=2, **options).double()
    if fault is residual_in_the_first_layer:  # h + change must have equal shapes
        model = build("gated-pixelcnn", shape=(1, 4, 4), levels=2, edge=False, **options).double()
    disturb(model)
    fault(model)
    assert not audit(model, probes=6).causal


def test_the_link_is_taken_before_the_gate():
    """Taken after it, the function is another: the horizontal stack would read tanh * sigmoid."""
    model = disturb(
        build("gated-pixelcnn", shape=(1, 4, 4), levels=2, layers=0, features=3).double()
    )
    x, layer = torch.randn(1, 2, 4, 4).double(), model.first
    above = layer.vertical(x)
    expected = layer.out(gate(layer.horizontal(x) + layer.link(above)))
    torch.testing.assert_close(layer(x, x, model.condition(None, 1))[1], expected)
    late = layer.out(gate(layer.horizontal(x) + layer.link(torch.cat([gate(above)] * 2, 1))))
    assert (late - expected).abs().max() > 1e-3


def test_masks_do_not_zero_weights_twice():
    """The seed multiplies its weights by the mask in place; ours stay as they are."""
    layer = HorizontalConv2d(2, 2, 5, groups=1, sees_self=False)
    before = layer.weight.detach().clone()
    layer(torch.randn(1, 2, 3, 3))
    assert torch.equal(layer.weight, before)
    assert layer.weight.abs().min() > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dilations": ()}, "dilations must be a list of 1 or more"),
        ({"dilations": (0,)}, "dilations must be a list of 1 or more"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"first_side": 1}, "first_side must be at least 3, got 1"),
        ({"side": 4}, "side must be odd"),
    ],
)
def test_a_gated_net_that_is_invalid_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        build("gated-pixelcnn", shape=(1, 4, 4), levels=2, **options)
