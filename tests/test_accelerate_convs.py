"""Masked convolutions fused, in blocks and alone: torch's values and gradients, and when."""

import pytest
import torch
import torch.nn.functional as F

from nextpixel import build
from nextpixel.accelerate import accelerated, chains, layers, spectral
from nextpixel.models import ResidualPixelCNN
from nextpixel.nn import NO_EMBEDDING, Embedding, MaskedConv2d
from tests.laws.cases import disturb
from tests.test_accelerate_gated import as_double

CASES = {
    "single": {"block": "single", "side": 5},
    "bottleneck": {},
    "wide kernels": {"side": 5},
    "colors": {"features": 96, "inner": 48, "head_features": 48},
    "independent colors": {"features": 48, "inner": 48, "colors": "independent"},
    "class": {"condition": [{"classes": 3, "form": "bias"}]},
    "class in single": {"block": "single", "condition": [{"classes": 3, "form": "bias"}]},
}
LEFT_TO_TORCH = {
    "class as input": {"condition": [{"classes": 3, "form": "input"}]},
    "class as map": {"condition": [{"classes": 3, "form": "map"}]},
    "batch norm": {"batch_norm": True},
}


def model_of(name: str) -> tuple[ResidualPixelCNN, torch.Tensor, Embedding]:
    """A net in training mode, float32; what its first block reads; its conditions."""
    colors = 3 if "colors" in name else 1
    options = {
        "features": 32,
        "inner": 16,
        "blocks": 2,
        "head_features": 32,
        **(CASES | LEFT_TO_TORCH)[name],
    }
    model = build("residual-pixelcnn", shape=(colors, 7, 13), levels=2, **options)
    model = disturb(model).train()
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(3, options["features"], 7, 13, generator=rng).requires_grad_()
    return model, x, model.conditioner(model.conditioner.example(3, rng), 3)


def outcome(
    model: ResidualPixelCNN, x: torch.Tensor, embedding: Embedding, back: torch.Tensor | None = None
) -> list[torch.Tensor]:
    """What blocks make, and gradients of their input and weights for what comes back."""
    made = x
    with accelerated(model):
        for block in model.blocks:
            made = block(made, embedding)
    back = torch.ones_like(made) if back is None else back.to(made.dtype)
    asked = [x, *model.blocks.parameters()]
    return [made, *torch.autograd.grad(made, asked, back)]


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch_in_float64(name, monkeypatch):
    model, x, embedding = model_of(name)
    calls, chain = [], chains.chain
    monkeypatch.setattr(
        chains, "chain", lambda *args, **how: calls.append(1) or chain(*args, **how)
    )
    back = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    found = outcome(model, x, embedding, back)
    assert len(calls) == len(model.blocks)
    calls.clear()
    embedding = Embedding(tuple(as_double(list(embedding.parts))))
    expected = outcome(model.double(), *as_double([x]), embedding, back)
    assert not calls
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("name", LEFT_TO_TORCH)
def test_what_comes_between_convolutions_splits_a_block(name, monkeypatch):
    counts, chain = [], chains.chain
    monkeypatch.setattr(
        chains,
        "chain",
        lambda x, taps, *args, **how: counts.append(len(taps)) or chain(x, taps, *args, **how),
    )
    model, x, embedding = model_of(name)
    outcome(model, x, embedding)
    assert set(counts) == {1}, "lone convolutions only"


@pytest.mark.parametrize("name", ["single", "bottleneck", "class"])
def test_the_whole_net_has_the_gradients_of_float64(name):
    model, _, _ = model_of(name)
    levels = torch.randint(0, 2, (3, *model.shape), generator=torch.Generator().manual_seed(3))
    condition = model.conditioner.example(3, torch.Generator().manual_seed(4))
    with accelerated(model):
        log_prob = model(levels, condition).log_prob(levels)
    found = torch.autograd.grad(log_prob.sum(), model.parameters())
    log_prob = model.double()(levels, condition).log_prob(levels)
    expected = torch.autograd.grad(log_prob.sum(), model.parameters())
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=1e-5 * scale)


def test_masked_weights_change_nothing_and_get_no_gradient():
    model, x, embedding = model_of("colors")
    convs = [layer.conv for layer in model.blocks[0].layers]
    before = outcome(model, x, embedding)
    with torch.no_grad():
        for conv in convs:
            conv.weight.add_(~conv.mask * 3.0)
    after = outcome(model, x, embedding)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    for conv, gradient in zip(convs, after[2:7:2], strict=True):
        assert not (gradient * ~conv.mask).any()
        assert (gradient * conv.mask).any()


def test_a_relu_that_is_off_lets_no_gradient_through():
    model, x, _ = model_of("single")
    x = torch.where(x < 0, x, -x).detach()
    x[0, 0, 0, 0] = 0.0
    x.requires_grad_()
    convs = [(layer.conv, layer.inject) for layer in model.blocks[0].layers]
    made = layers._chain(x, convs, NO_EMBEDDING, residual=False)
    (back,) = torch.autograd.grad(made.sum(), x)
    assert not back.any()


def test_an_image_has_the_same_bits_in_any_batch():
    model, x, embedding = model_of("bottleneck")
    with accelerated(model):
        whole = model.blocks[0](x, embedding)
        for image in range(3):
            assert torch.equal(model.blocks[0](x[image : image + 1], embedding)[0], whole[image])


def test_maps_of_any_layout_are_read():
    model, x, embedding = model_of("bottleneck")
    strided = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    back = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    turned = back.contiguous(memory_format=torch.channels_last)
    expected = outcome(model, x, embedding, back)
    for one, other in zip(outcome(model, strided, embedding, turned), expected, strict=True):
        assert torch.equal(one, other)


def test_evaluation_and_other_precisions_never_go_that_way(monkeypatch):
    monkeypatch.setattr(chains, "chain", None)
    model, x, embedding = model_of("bottleneck")
    block = model.blocks[0]
    with accelerated(block):
        block.eval()(x, embedding)
        with torch.no_grad():
            block.train()(x, embedding)
        with torch.autocast("cpu", torch.bfloat16):
            block(x, embedding)
        block.double()(x.double(), embedding)


def test_features_that_fill_no_vectors_or_are_too_many_stay_with_torch():
    def asked(features: int, **options: object) -> bool:
        model = build(
            "residual-pixelcnn", shape=(1, 5, 5), levels=2, features=features, inner=16, **options
        ).train()
        x = torch.zeros(8, features, 5, 5)
        return layers.residual_block(model.blocks[0], x, NO_EMBEDDING) is not None

    assert asked(32)
    assert not asked(24)
    assert not asked(chains.LARGEST + 16)
    assert asked(64, block="single", side=5)
    assert not asked(64, block="single", side=7), "spectra are faster there"


LONE = {
    "mask B": (32, 48, 3, 1, True, True),
    "mask A": (16, 16, 5, 1, False, True),
    "colors": (48, 96, 5, 3, True, True),
    "no bias": (16, 32, 7, 1, True, False),
    "widening": (16, 64, 1, 1, True, True),
}


@pytest.mark.parametrize("asked", [True, False], ids=["inputs too", "weights only"])
@pytest.mark.parametrize("name", LONE)
def test_a_lone_convolution_has_values_and_gradients_of_float64(name, asked, monkeypatch):
    inputs, outputs, side, groups, sees_self, bias = LONE[name]
    torch.manual_seed(0)
    conv = MaskedConv2d(inputs, outputs, side, groups=groups, sees_self=sees_self, bias=bias)
    conv.train()
    x = torch.randn(2, inputs, 9, 5).requires_grad_(asked)
    back = torch.randn(2, outputs, 9, 5)
    calls, chain = [], chains.chain
    monkeypatch.setattr(
        chains, "chain", lambda *args, **how: calls.append(1) or chain(*args, **how)
    )

    def found(x: torch.Tensor) -> list[torch.Tensor]:
        with accelerated(conv):
            made = conv(x)
        wanted = [*conv.parameters(), *([x] if asked else [])]
        return [made, *torch.autograd.grad(made, wanted, back.to(made.dtype))]

    single = found(x)
    assert calls == [1]
    conv.double()
    for one, other in zip(single, found(*as_double([x])), strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=2e-6 * scale)
    assert calls == [1]


@pytest.mark.parametrize("sizes", [(2, 32, 7), (32, 32, 1), (24, 24, 3)], ids=str)
def test_images_small_convolutions_and_odd_features_stay_with_torch(sizes, monkeypatch):
    monkeypatch.setattr(chains, "chain", None)
    inputs, outputs, side = sizes
    conv = MaskedConv2d(inputs, outputs, side, sees_self=True).train()
    with accelerated(conv):
        conv(torch.zeros(2, inputs, 5, 5))


def test_where_torch_has_several_threads_it_uses_them(monkeypatch):
    model, x, embedding = model_of("bottleneck")
    assert layers.residual_block(model.blocks[0], x, embedding) is not None
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert layers.residual_block(model.blocks[0], x, embedding) is None


def test_a_convolution_that_sees_nothing_gives_its_bias():
    conv = MaskedConv2d(16, 64, 1, sees_self=False).train()
    torch.nn.init.normal_(conv.bias)
    with accelerated(conv):
        made = conv(torch.randn(2, 16, 3, 3))
    torch.testing.assert_close(made, conv.bias.view(1, -1, 1, 1).expand(made.shape))


def test_another_default_type_changes_nothing():
    model, x, embedding = model_of("bottleneck")
    expected = outcome(model, x, embedding)
    torch.set_default_dtype(torch.float64)
    try:
        found = outcome(model, x, embedding)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


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
    assert spectral.should_fuse(x, layer.weight)
    with accelerated(layer):
        found = layer.train()(x)
    assert not torch.equal(found, layer(x))
    torch.testing.assert_close(found, layer(x), rtol=0, atol=1e-12)


def test_in_training_the_future_reaches_the_past_by_rounding_only():
    layer, x = wide_layer().train(), draw(8, 64, 6, 5).detach()
    later = x.clone()
    later[:, :, 3, 3:] += 1
    later[:, :, 4:] += 1
    past = torch.ones(6, 5, dtype=torch.bool)
    past[3, 3:] = past[4:] = False
    with accelerated(layer):
        change = (layer(later) - layer(x))[:, :, past].abs().max()
    assert 0 < change < 1e-13
    assert not (layer(later) - layer(x))[:, :, past].any()


@pytest.mark.parametrize("count", [1, 8])
def test_evaluation_is_exact_it_never_goes_by_spectra(count, monkeypatch):
    layer, x = wide_layer().eval(), draw(count, 64, 6, 5)
    monkeypatch.setattr(spectral, "convolve", None)
    with accelerated(layer):
        layer(x)
        with torch.no_grad():
            layer.train()(x)


@pytest.mark.parametrize(
    ("count", "features", "side"), [(7, 64, 7), (8, 63, 7), (8, 64, 5)], ids=str
)
def test_small_batches_narrow_layers_and_small_kernels_stay_with_taps(count, features, side):
    x = torch.empty(count, features, 6, 5)
    assert not spectral.should_fuse(x, torch.empty(features, features, side // 2 + 1, side))


def test_half_precision_stays_with_taps():
    x = torch.empty(8, 64, 6, 5, dtype=torch.bfloat16)
    assert not spectral.should_fuse(x, torch.empty(64, 64, 4, 7, dtype=torch.bfloat16))
