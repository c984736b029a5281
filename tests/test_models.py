"""Building models, and what they say to invalid arguments."""

import pytest
import torch

from nextpixel import models
from nextpixel.models import GatedPixelCNNConfig, PixelCNN, PixelCNNConfig, ResidualPixelCNN
from nextpixel.models.registry import MODELS
from nextpixel.models.windowed import WindowedPixelCNN
from nextpixel.nn import NO_EMBEDDING, ClassCondition, VectorCondition
from tests.laws.cases import disturb

BUILD = {"shape": (1, 4, 4), "levels": 2}


@pytest.fixture
def model():
    return models.build("pixelcnn", features=4, layers=2, side=3, **BUILD)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_one_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (
        models.build("pixelcnn", features=4, seed=seed, **BUILD) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(1), expected)
    weights = [next(iter(m.parameters())) for m in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_without_a_seed_weights_are_drawn_from_torchs_generator():
    torch.manual_seed(5)
    first, second = (models.build("pixelcnn", features=4, **BUILD) for _ in range(2))
    torch.manual_seed(5)
    again = models.build("pixelcnn", features=4, **BUILD)
    weights = [next(iter(m.parameters())) for m in (first, second, again)]
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", [model.name for model in MODELS if model is not WindowedPixelCNN])
def test_training_starts_from_the_uniform_distribution(name):
    model = models.build(name, shape=(1, 8, 8), levels=5)
    levels = torch.zeros(2, 1, 8, 8, dtype=torch.int64)
    expected = torch.full((2,), -64 * torch.tensor(5.0).log())
    torch.testing.assert_close(model.log_prob(levels).detach(), expected)


def test_windowed_training_starts_around_the_mean_of_left_and_above():
    model = models.build("windowed-pixelcnn", shape=(3, 4, 5), levels=64)
    levels = torch.randint(64, (2, 3, 4, 5), generator=torch.Generator().manual_seed(1))
    mixture = model(levels)[:, 0]  # of red, which no color before shapes
    middle = (mixture.log_weights.exp() * mixture.means).sum(-1)
    neighbours = (levels[:, 0, 1:, :-1] + levels[:, 0, :-1, 1:]) / 2
    torch.testing.assert_close(middle[:, 1:, 1:], neighbours, rtol=0, atol=1e-4)
    assert mixture.means.std(-1).max() < 4


def test_what_a_windowed_net_sees_does_not_change_with_brightness():
    model = disturb(models.build("windowed-pixelcnn", shape=(3, 6, 9), levels=64), 0.05)
    rng = torch.Generator().manual_seed(1)
    dark = torch.randint(20, 30, (2, 3, 6, 9), generator=rng)
    differences = model(dark + 17).means - model(dark).means
    inside = differences[:, :, 3:, 3:-3]
    torch.testing.assert_close(inside, torch.full_like(inside, 17.0), rtol=0, atol=1e-3)


def test_models_are_built_in_evaluation_mode(model):
    assert not model.training


def test_seed_000_net_has_its_layers():
    options = {"layers": 8, "side": 7, "pointwise": 0, "batch_norm": True, "bias": False}
    model = models.build("pixelcnn", shape=(1, 28, 28), levels=256, edge=False, **options)
    assert isinstance(model, PixelCNN)
    shapes = [tuple(weight.shape) for weight in model.parameters() if weight.ndim == 4]
    assert shapes == [(64, 1, 4, 7), *[(64, 64, 4, 7)] * 7, (256, 64, 1, 1)]
    assert model.reach == 24


def test_seed_001_net_has_its_blocks():
    model = models.build("residual-pixelcnn", shape=(1, 28, 28), levels=2, edge=False)
    assert isinstance(model, ResidualPixelCNN)
    assert len(model.blocks) == 15
    block = [tuple(layer.conv.weight.shape) for layer in model.blocks[0].layers]
    assert block == [(64, 128, 1, 1), (64, 64, 2, 3), (128, 64, 1, 1)]
    assert model.reach == 3 + 15


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "pixelcnm"}, "there is no model 'pixelcnm'; did you mean 'pixelcnn'"),
        ({"layerz": 3}, "unknown key 'layerz'; did you mean 'layers'"),
        ({"layers": "many"}, "layers must be an integer, got 'many'"),
        ({"colors": "mixed"}, "colors must be one of dependent, independent, coupled, got 'mixed'"),
        ({"levels": 1}, "levels must be 2 to 65536, got 1"),
        ({"levels": 65537}, "levels must be 2 to 65536, got 65537"),
        ({"shape": (28, 28)}, r"shape must be \(colors, height, width\)"),
        ({"shape": (1, 0, 4)}, r"shape must be \(colors, height, width\), each at least 1"),
        ({"side": 4}, "side must be odd"),
        (
            {"shape": (3, 4, 4), "features": 64},
            "features must be a multiple of 3, the number of colors .*, got 64; 63 or 66 would do",
        ),
        (
            {"name": "residual-pixelcnn", "shape": (3, 4, 4), "features": 6, "inner": 2},
            "inner must be a multiple of 3, the number of colors .*, got 2; 3 would do",
        ),
        (
            {"name": "gated-pixelcnn", "shape": (2, 4, 4), "features": 6, "head_features": 5},
            "head_features must be a multiple of 2, .*, got 5; 4 or 6 would do",
        ),
        ({"name": "gated-pixelcnn", "first_side": 4}, "first_side must be odd, .*, got 4"),
        ({"name": "residual-pixelcnn", "first_side": 4}, "first_side must be odd, .*, got 4"),
        ({"name": "residual-pixelcnn", "first_side": 1}, "first_side must be at least 3, got 1"),
        ({"layers": "3"}, "layers must be an integer, got '3'"),
        ({"batch_norm": "no"}, "batch_norm must be true or false, got 'no'"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"features": 0}, "features must be at least 1, got 0"),
        (
            {"name": "residual-pixelcnn", "block": "triple"},
            "block must be one of bottleneck, single",
        ),
        ({"name": "residual-pixelcnn", "blocks": -1}, "blocks must be at least 1, got -1"),
    ],
)
def test_build_refuses_what_is_invalid(change, text):
    arguments = {"name": "pixelcnn", **BUILD, **change}
    with pytest.raises(ValueError, match=text):
        models.build(arguments.pop("name"), **arguments)


def test_levels_of_another_kind_or_shape_or_range_are_refused(model):
    with pytest.raises(
        TypeError, match=r"levels must be a tensor of integers 0..1, got torch.float32"
    ):
        model(torch.zeros(1, 1, 4, 4))
    with pytest.raises(TypeError, match=r"levels must be a tensor of integers 0..1, got ndarray"):
        model(torch.zeros(1, 1, 4, 4, dtype=torch.int64).numpy())
    with pytest.raises(
        ValueError, match=r"levels must have shape \(B, 1, 4, 4\), got \(1, 1, 4, 5\)"
    ):
        model(torch.zeros(1, 1, 4, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"levels must have shape \(B, 1, 4, 4\), got \(1, 4, 4\)"):
        model(torch.zeros(1, 4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"levels must be 0..1, got 0..2"):
        model(torch.full((1, 1, 4, 4), 2).tril())
    with pytest.raises(ValueError, match="condition must be None"):
        model(torch.zeros(1, 1, 4, 4, dtype=torch.int64), torch.zeros(1))


@pytest.mark.parametrize("config", [PixelCNNConfig, GatedPixelCNNConfig], ids=lambda c: c.__name__)
@pytest.mark.parametrize("value", ["3", 3.0, True])
def test_a_config_takes_no_count_that_is_no_integer(config, value):
    with pytest.raises(TypeError, match=f"layers must be an integer, got {value!r}"):
        config(layers=value)


@pytest.mark.parametrize("name", ["pixelcnn", "residual-pixelcnn", "gated-pixelcnn"])
def test_a_network_without_the_condition_that_it_takes_says_so(name):
    model = models.build(name, condition=ClassCondition(3), **BUILD)
    levels = torch.zeros(2, 1, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="condition must be given"):
        model.predict(levels)
    with pytest.raises(ValueError, match="condition must be given"):
        model.network(model.encode(levels), NO_EMBEDDING)


def test_kernels_are_all_hidden_convolutions(model):
    assert [tuple(kernel.shape) for kernel in model.kernels()] == [
        (4, 2, 2, 3),
        (4, 4, 2, 3),
        (4, 4, 1, 1),
    ]


def test_a_model_is_shown_in_one_line_and_printed_layer_by_layer():
    options = {"features": 8, "layers": 1, "head_features": 8}
    conditions = (ClassCondition(10), VectorCondition(3))
    model = models.build(
        "gated-pixelcnn", shape=(1, 28, 28), levels=256, condition=conditions, **options
    )
    count = sum(weight.numel() for weight in model.parameters())
    assert repr(model) == (
        f"GatedPixelCNN(1x28x28, 256 levels, {count:,} parameters, class condition of 10, "
        "vector condition of 3)"
    )
    assert "(squash): MaskedConv2d(8, 8, side=1)" in str(model)
