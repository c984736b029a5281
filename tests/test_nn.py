"""Masks against matrices written out by hand, and the convolution against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from nextpixel.nn import MaskedConv2d, causal_mask
from nextpixel.nn.masks import spread


def test_mask_a_keeps_what_comes_before_the_centre():
    expected = [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert causal_mask(5, 1, sees_self=False)[0, 0].int().tolist() == expected


def test_mask_b_keeps_the_centre_too():
    expected = [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert causal_mask(5, 1, sees_self=True)[0, 0].int().tolist() == expected


def test_colors_are_masked_at_the_centre_only():
    """A: R sees none, G sees R, B sees R and G; B: each also sees itself (seed 004)."""
    mask_a, mask_b = (causal_mask(3, 3, sees_self=sees_self) for sees_self in (False, True))
    assert mask_a[:, :, 1, 1].int().tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert mask_b[:, :, 1, 1].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    for mask in (mask_a, mask_b):
        assert mask[:, :, 0].all()
        assert mask[:, :, 1, 0].all()
        assert not mask[:, :, 1, 2].any()


def test_features_are_masked_by_their_group():
    mask = spread(causal_mask(1, 2, sees_self=True), outputs=4, inputs=2)[..., 0, 0]
    assert mask.int().tolist() == [[1, 0], [1, 0], [1, 1], [1, 1]]


@pytest.mark.parametrize("side", [0, 2, -3])
def test_a_kernel_without_a_centre_is_refused(side):
    with pytest.raises(ValueError, match=f"side must be odd, .* got {side}"):
        causal_mask(side, 1, sees_self=True)


@pytest.mark.parametrize(("inputs", "outputs", "name"), [(4, 6, "inputs"), (6, 4, "outputs")])
def test_features_that_do_not_split_into_the_groups_are_refused(inputs, outputs, name):
    with pytest.raises(ValueError, match=f"{name} must be a multiple of the 3 color groups, got 4"):
        MaskedConv2d(inputs, outputs, 3, groups=3, sees_self=True)


@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("sees_self", [False, True])
def test_the_cropped_kernel_computes_what_the_full_masked_kernel_does(side, sees_self):
    layer = MaskedConv2d(2, 4, side, groups=2, sees_self=sees_self).double()
    full = torch.zeros(4, 2, side, side, dtype=torch.float64)
    full[:, :, : side // 2 + 1] = layer.weight.detach() * layer.mask
    x = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    expected = F.conv2d(x, full, layer.bias, padding=side // 2)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


def test_forward_never_writes_to_the_weights_and_masked_ones_get_no_gradient():
    layer = MaskedConv2d(3, 3, 5, sees_self=False)
    before = layer.weight.detach().clone()
    layer(torch.randn(1, 3, 4, 4)).sum().backward()
    assert torch.equal(layer.weight, before)
    assert layer.weight[~layer.mask].abs().min() > 0, "masked weights are not set to zero"
    assert layer.weight.grad[~layer.mask].abs().max() == 0


def test_the_mask_is_not_saved_and_follows_the_layer():
    layer = MaskedConv2d(1, 1, 3, sees_self=False)
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert "mask" in dict(layer.named_buffers())


def test_a_layer_without_bias_has_none():
    assert set(MaskedConv2d(1, 1, 3, sees_self=True, bias=False).state_dict()) == {"weight"}


def test_a_layer_prints_its_sizes():
    assert repr(MaskedConv2d(4, 6, 3, sees_self=True)) == "MaskedConv2d(4, 6, side=3)"


def test_first_weights_keep_the_variance_after_a_relu():
    torch.manual_seed(0)
    layer = MaskedConv2d(64, 64, 5, sees_self=True)
    response = layer(torch.randn(8, 64, 16, 16).relu())[..., 4:, 4:-4]
    assert 0.8 < response.var() < 1.25
