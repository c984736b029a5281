"""Optimisers reach every parameter once; schedules, Muon and weight decay by hand."""

import math

import pytest
import torch
from torch import nn

import nextpixel as npx
from nextpixel.training.config import OPTIMIZERS
from nextpixel.training.gradient import Gradient
from nextpixel.training.optimizers import (
    COEFFICIENTS,
    Muon,
    make_optimizers,
    orthogonalize,
    rate_factor,
    set_rates,
)
from nextpixel.training.update import channels_last
from tests import runs
from tests.laws.cases import CASES, Case, disturb, params

# Settings, updates done, share of the run that is over -> share of the peak rate.
RATES = [
    ({}, 0, 0.0, 1.0),
    ({}, 99, 0.99, 1.0),
    ({"schedule": "linear"}, 25, 0.25, 0.75),
    ({"schedule": "linear"}, 100, 1.0, 0.0),
    ({"schedule": "cosine"}, 0, 0.0, 1.0),
    ({"schedule": "cosine"}, 50, 0.5, 0.5),
    ({"schedule": "cosine"}, 25, 0.25, (2 + math.sqrt(2)) / 4),
    ({"schedule": "cosine"}, 100, 1.0, 0.0),
    ({"schedule": "cosine"}, 120, 1.2, 0.0),  # the clock may run over
    ({"schedule": "exponential", "decay": 0.5}, 0, 0.0, 1.0),
    ({"schedule": "exponential", "decay": 0.5}, 3, 0.03, 0.125),
    ({"warmup": 4}, 0, 0.0, 0.25),
    ({"warmup": 4}, 2, 0.02, 0.75),
    ({"warmup": 4}, 3, 0.03, 1.0),
    ({"warmup": 4}, 50, 0.5, 1.0),
    ({"warmup": 4, "schedule": "linear"}, 1, 0.5, 0.25),
]


@pytest.mark.parametrize(("settings", "step", "share", "expected"), RATES)
def test_the_rate_follows_warm_up_and_schedule(settings, step, share, expected):
    factor = rate_factor(npx.TrainConfig(**settings), step, share)
    assert factor == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", params(CASES))
def test_every_parameter_has_exactly_one_optimizer(case: Case, optimizer):
    model = case.build(4, 4)
    optimizers = make_optimizers(model, npx.TrainConfig(optimizer=optimizer))
    groups = [group for one in optimizers for group in one.param_groups]
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(map(id, model.parameters()))


def test_muon_updates_hidden_kernels_and_adam_the_rest():
    model = runs.make_model()
    config = npx.TrainConfig(optimizer="muon", learning_rate=0.1, adam_learning_rate=0.2)
    muon, adam = make_optimizers(model, config)
    hidden = {id(weight) for weight in model.parameters() if weight.ndim == 4}
    hidden -= {id(model.last.weight)}
    assert {id(weight) for weight in muon.param_groups[0]["params"]} == hidden
    assert (muon.param_groups[0]["peak"], adam.param_groups[0]["peak"]) == (0.1, 0.2)


def test_rates_are_shares_of_their_peaks():
    optimizers = make_optimizers(runs.make_model(), npx.TrainConfig(optimizer="muon"))
    for factor in (0.5, 0.25):
        set_rates(optimizers, factor)
    rates = [one.param_groups[0]["lr"] for one in optimizers]
    assert rates == [0.25 * 1e-3, 0.25 * 4e-3]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_gets_its_settings(name):
    decay = 0.1 * (name == "adamw")
    config = npx.TrainConfig(optimizer=name, betas=(0.0, 0.99), weight_decay=decay)
    (optimizer,) = make_optimizers(runs.make_model(), config)
    assert isinstance(optimizer, torch.optim.AdamW) == (name == "adamw")
    group = optimizer.param_groups[0]
    assert (group["betas"], group["weight_decay"]) == ((0.0, 0.99), decay)


def matrix_of(singular_values, rows, columns):
    rng = torch.Generator().manual_seed(0)
    count = len(singular_values)
    left = torch.linalg.qr(torch.randn(rows, count, generator=rng)).Q
    right = torch.linalg.qr(torch.randn(columns, count, generator=rng)).Q
    return left, right, left @ torch.diag(torch.tensor(singular_values)) @ right.T


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (6, 40), (40, 6)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_orthogonalising_pushes_singular_values_towards_one(rows, columns, size):
    _, _, matrix = matrix_of([1.0, 0.7, 0.5, 0.2, 0.05, 0.01], rows, columns)
    found = torch.linalg.svdvals(orthogonalize(size * matrix))
    assert found.shape == (6,)
    assert 0.65 < found.min() <= found.max() < 1.25


def test_orthogonalising_keeps_the_singular_vectors():
    left, right, matrix = matrix_of([1.0, 0.5, 0.2], 8, 5)
    core = left.T @ orthogonalize(matrix) @ right
    torch.testing.assert_close(core, torch.diag(core.diagonal()), rtol=0, atol=1e-5)


def iterated(x):
    """The polynomial as it is published: of x itself, five times over."""
    x = x / x.norm()
    a, b, c = COEFFICIENTS
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


@pytest.mark.parametrize("weakest", [1.0, 1e-2, 1e-4])
def test_orthogonalising_is_the_published_iteration(weakest):
    values = torch.logspace(0, math.log10(weakest), 24).tolist()
    matrix = matrix_of(values, 24, 90)[2].double()
    expected = iterated(matrix)
    torch.testing.assert_close(orthogonalize(matrix), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(orthogonalize(matrix.mT), expected.mT, rtol=0, atol=1e-11)
    single = orthogonalize(matrix.float()).double()
    assert (single - expected).norm() < 1e-3 * expected.norm()


def test_orthogonalising_zero_gives_zero():
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (32, 2, 1, 3)], ids=["wide", "tall"])
def test_muon_moves_a_kernel_by_its_rate_in_every_direction(shape):
    kernel = nn.Parameter(torch.zeros(shape))
    kernel.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    Muon([kernel], lr=0.1).step()
    rows, columns = shape[0], math.prod(shape[1:])
    scale = 0.1 * max(1.0, rows / columns) ** 0.5
    found = torch.linalg.svdvals(kernel.detach().flatten(1)) / scale
    assert 0.6 < found.min() <= found.max() < 1.25
    assert (kernel.detach() * kernel.grad).sum() < 0


def test_muon_adds_up_gradients_with_its_momentum():
    kernel, gradient = nn.Parameter(torch.zeros(2, 3)), torch.ones(2, 3)
    optimizer = Muon([kernel], lr=0.1, momentum=0.5)
    for _ in range(3):
        kernel.grad = gradient.clone()
        optimizer.step()
    assert torch.equal(optimizer.state[kernel]["momentum"], 1.75 * gradient)


def test_muon_decays_weights_apart_from_gradients():
    kernel = nn.Parameter(torch.ones(2, 3))
    kernel.grad = torch.zeros(2, 3)
    Muon([kernel], lr=0.5, weight_decay=0.2).step()
    torch.testing.assert_close(kernel.detach(), torch.full((2, 3), 0.9))


def test_muon_leaves_a_kernel_without_gradient_alone():
    kernel = nn.Parameter(torch.ones(2, 3))
    Muon([kernel], lr=0.5, weight_decay=0.2).step()
    assert torch.equal(kernel.detach(), torch.ones(2, 3))


NETS = {
    "by spectra": Case("pixelcnn", {"features": 64, "layers": 2, "side": 7}),
    "stacks at once": Case("gated-pixelcnn", {"features": 16, "layers": 1}),
    "stacks": Case("gated-pixelcnn", {"features": 6, "layers": 1}),
}


@pytest.mark.parametrize("name", NETS)
def test_each_weight_goes_against_its_own_gradient(name):
    """Adam's first step is as long as its rate, whatever the layouts of weight and gradient."""
    case = NETS[name]
    model = disturb(
        npx.build(case.model, seed=0, shape=(1, 8, 8), levels=2, **case.options)
    ).train()
    channels_last(model)
    levels = torch.randint(0, 2, (8, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    Gradient(model).set(levels)
    before = [weight.detach().clone() for weight in model.parameters()]
    for optimizer in make_optimizers(model, npx.TrainConfig(learning_rate=0.01)):
        optimizer.step()
    for weight, start in zip(model.parameters(), before, strict=True):
        felt = weight.grad.abs() > 1e-5
        step = -0.01 * weight.grad.sign()
        torch.testing.assert_close((weight.detach() - start)[felt], step[felt], rtol=0, atol=2e-5)
