"""Convolution by spectra against torch's own, and when a layer takes it."""

import pytest
import torch
import torch.nn.functional as F

from nextpixel.accelerate import spectral
from nextpixel.nn import MaskedConv2d


def draw(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64).requires_grad_()


def cropped(x, weight):
    reach = weight.shape[3] // 2
    return F.conv2d(F.pad(x, (reach, reach, weight.shape[2] - 1, 0)), weight)


SIZES = [(3, 2, 3, 5, 4), (2, 3, 7, 9, 8), (4, 4, 5, 1, 1), (2, 2, 11, 28, 20), (1, 2, 1, 3, 3)]


@pytest.mark.parametrize(("inputs", "outputs", "side", "height", "width"), SIZES)
def test_values_and_both_gradients_are_those_of_the_plain_convolution(
    inputs, outputs, side, height, width
):
    x, weight = draw(2, inputs, height, width), draw(outputs, inputs, side // 2 + 1, side)
    expected, found = cropped(x, weight), spectral.convolve(x, weight)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    change = draw(*expected.shape).detach()
    gradients = torch.autograd.grad(found, (x, weight), change)
    torch.testing.assert_close(
        gradients, torch.autograd.grad(expected, (x, weight), change), rtol=0, atol=1e-12
    )


def wide_layer():
    return MaskedConv2d(64, 64, 7, sees_self=True, bias=True).double()


def test_a_wide_layer_computes_the_same_in_training_and_in_evaluation():
    layer, x = wide_layer(), draw(8, 64, 6, 5)
    torch.nn.init.normal_(layer.bias)
    assert spectral.pays(x, layer.weight)
    torch.testing.assert_close(layer.train()(x), layer.eval()(x), rtol=0, atol=1e-12)


def test_in_training_the_future_reaches_the_past_by_rounding_only():
    layer, x = wide_layer().train(), draw(8, 64, 6, 5).detach()
    later = x.clone()
    later[:, :, 3, 3:] += 1
    later[:, :, 4:] += 1
    past = torch.ones(6, 5, dtype=torch.bool)
    past[3, 3:] = past[4:] = False
    change = (layer(later) - layer(x))[:, :, past].abs().max()
    assert change < 1e-13


@pytest.mark.parametrize("count", [1, 8])
def test_evaluation_is_exact_it_never_goes_by_spectra(count, monkeypatch):
    layer, x = wide_layer().eval(), draw(count, 64, 6, 5)
    monkeypatch.setattr(spectral, "convolve", None)
    layer(x)


@pytest.mark.parametrize(
    ("count", "features", "side"), [(7, 64, 7), (8, 63, 7), (8, 64, 5)], ids=str
)
def test_small_batches_narrow_layers_and_small_kernels_stay_with_taps(count, features, side):
    x = torch.empty(count, features, 6, 5)
    assert not spectral.pays(x, torch.empty(features, features, side // 2 + 1, side))


def test_half_precision_stays_with_taps():
    x = torch.empty(8, 64, 6, 5, dtype=torch.bfloat16)
    assert not spectral.pays(x, torch.empty(64, 64, 4, 7, dtype=torch.bfloat16))
