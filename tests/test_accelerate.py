"""Acceleration from outside: what a context changes and leaves alone, and that it is undone."""

import copy
import os
import pickle
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from nextpixel import TrainConfig, build, fit, load_data
from nextpixel.accelerate import accelerated, chains, recurrences, spectral, stacks
from nextpixel.accelerate.layers import FUSED
from nextpixel.models import GatedPixelCNN, PixelModel, ResidualPixelCNN
from nextpixel.models.gated import GatedLayer
from nextpixel.models.residual import ResidualBlock
from nextpixel.nn import MaskedConv2d, VerticalConv2d
from nextpixel.training.gradient import Gradient
from tests.laws.cases import CASES, NETS, disturb

WIDE = {
    "pixelcnn": {"features": 96, "layers": 2, "side": 7},
    "gated-pixelcnn": {
        "features": 48, "layers": 2, "first_side": 3, "head_features": 48,
    },
    "autoencoder": {"features": 48, "layers": 2, "first_side": 3, "head_features": 48},
    "residual-pixelcnn": {
        "features": 48, "inner": 48, "blocks": 2, "first_side": 3, "head_features": 48,
    },
    "row-lstm": {
        "features": 48, "cells": 48, "layers": 2, "first_side": 3, "head_features": 48,
    },
    "diagonal-bilstm": {
        "features": 48, "cells": 48, "layers": 2, "first_side": 3, "head_features": 48,
    },
}  # fmt: skip
"""Sizes at which layers of every kind are fused."""

OTHERS = {"features": 48}
"""Of other models; a multiple of three colors."""


def model_of(name: str, colors: int = 1, levels: int = 2, **options: object) -> PixelModel:
    model = build(name, shape=(colors, 6, 7), levels=levels, **{**WIDE[name], **options})
    return shrunk(disturb(model)).train()


def shrunk(model: PixelModel) -> PixelModel:
    """Smaller weights, in proportion to what a kernel reads: values then stay near one."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.div_(max(1.0, weight[0].numel() ** 0.5) if weight.ndim > 1 else 1.0)
    return model


def gradients(model: PixelModel, levels: torch.Tensor, seed: int = 5) -> list[torch.Tensor]:
    """Gradients of the surprise of some images, as torch.autograd gives them now."""
    rng = torch.Generator().manual_seed(3)
    own = model.own_condition(levels) is not None
    condition = None if own else model.conditioner.example(len(levels), rng)
    torch.manual_seed(seed)  # dropout
    found = torch.autograd.grad(
        -model(levels, condition).log_prob(levels).sum(), model.parameters(), allow_unused=True
    )
    return [
        torch.zeros_like(weight) if one is None else one
        for one, weight in zip(found, model.parameters(), strict=True)
    ]


def images(model: PixelModel, count: int = 8) -> torch.Tensor:
    rng = torch.Generator().manual_seed(11)  # for which rounding turns no ReLU on or off
    return torch.randint(0, model.levels, (count, *model.shape), generator=rng)


def assert_fused_is_plain(model: PixelModel) -> None:
    """As near to the gradients of float64 as plain float32 is, or as rounding lets it be."""
    levels = images(model)
    with accelerated(model):
        found = gradients(model, levels)
    plain, exact = gradients(model, levels), gradients(copy.deepcopy(model).double(), levels)
    for one, other, expected in zip(found, plain, exact, strict=True):
        scale = max(1.0, expected.abs().max().item())
        near = max(1e-5 * scale, 4 * (other - expected).abs().max().item())
        torch.testing.assert_close(one.double(), expected, rtol=0, atol=near)


@pytest.mark.parametrize("name", NETS)
def test_every_form_of_every_model_trains_by_the_gradients_of_its_plain_layers(name):
    case = CASES[name]
    options = case.options | {
        key: size
        for key, size in WIDE.get(case.model, OTHERS).items()  # else nothing is fused
        if "features" in key or key in ("inner", "cells")
    }
    options.pop("dropout", None)  # draws in the order of memory, which is another
    shape = case.build(6, 7).shape
    model = build(case.model, shape=shape, levels=case.levels, **options)
    assert_fused_is_plain(shrunk(disturb(model)).train())


@pytest.mark.parametrize("name", WIDE)
def test_wide_layers_of_every_model_are_fused(name, monkeypatch):
    calls = []
    for module, fused in (
        (chains, "chain"), (stacks, "both_stacks"), (spectral, "convolve"), (recurrences, "recur"),
    ):  # fmt: skip
        plain = getattr(module, fused)
        monkeypatch.setattr(
            module, fused, lambda *args, plain=plain, **how: calls.append(1) or plain(*args, **how)
        )
    model = model_of(name, levels=256)
    gradients(model, images(model))
    assert not calls, "outside of a context"
    with accelerated(model):
        gradients(model, images(model))
    assert calls


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_on_a_model(fails):
    model = model_of("gated-pixelcnn")
    names, own = list(model.state_dict()), [sorted(vars(part)) for part in model.modules()]
    before = pickle.dumps(model)
    try:
        with accelerated(model):
            assert [sorted(vars(part)) for part in model.modules()] != own
            assert list(model.state_dict()) == names
            if fails:
                raise RuntimeError("while it is accelerated")
    except RuntimeError:
        assert fails
    assert [sorted(vars(part)) for part in model.modules()] == own
    assert pickle.dumps(model) == before
    assert "read_out" not in vars(copy.deepcopy(model))


def test_contexts_may_be_nested():
    model = model_of("gated-pixelcnn")
    with accelerated(model):
        expected = gradients(model, images(model))
        with accelerated(model):
            assert torch.equal(gradients(model, images(model))[0], expected[0])
        assert torch.equal(gradients(model, images(model))[0], expected[0])
    assert "forward" not in vars(model.first)


class DoubledConv(MaskedConv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class DoubledVertical(VerticalConv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class DoubledBlock(ResidualBlock):
    def forward(self, x: torch.Tensor, embedding: object) -> torch.Tensor:
        return 2 * super().forward(x, embedding)


class DoubledGated(GatedLayer):
    def forward(self, v: torch.Tensor, h: torch.Tensor, embedding: object) -> tuple:
        v, h, skip = super().forward(v, h, embedding)
        return v, 2 * h, skip


def swap(part: nn.Module, cls: type[nn.Module]) -> None:
    """Make a module one of an outside subclass."""
    part.__class__ = cls


@pytest.mark.parametrize(
    ("name", "part", "cls"),
    [
        ("pixelcnn", lambda model: model.hidden[1].conv.conv, DoubledConv),
        ("residual-pixelcnn", lambda model: model.blocks[0], DoubledBlock),
        ("residual-pixelcnn", lambda model: model.blocks[0].layers[1].conv, DoubledConv),
        ("residual-pixelcnn", lambda model: model.squash.conv, DoubledConv),
        ("gated-pixelcnn", lambda model: model.layers[0], DoubledGated),
        ("gated-pixelcnn", lambda model: model.layers[0].vertical, DoubledVertical),
        ("gated-pixelcnn", lambda model: model.layers[0].out, DoubledConv),
        ("gated-pixelcnn", lambda model: model.squash, DoubledConv),
    ],
)
def test_a_subclass_with_another_forward_is_never_replaced(name, part, cls):
    model = model_of(name)
    before = gradients(model, images(model))
    swap(part(model), cls)
    changed = gradients(model, images(model))
    assert any(not torch.allclose(one, other) for one, other in zip(before, changed, strict=True))
    assert_fused_is_plain(model)


class DoubledNet(GatedPixelCNN):
    def network(self, x: torch.Tensor, *where: object) -> torch.Tensor:
        return 2 * super().network(x, *where)


class HeadOnSquares(ResidualPixelCNN):
    def read_out(self, x: torch.Tensor, embedding: object) -> torch.Tensor:
        return super().read_out(x * x, embedding)


@pytest.mark.parametrize(
    ("name", "cls"), [("gated-pixelcnn", DoubledNet), ("residual-pixelcnn", HeadOnSquares)]
)
def test_a_model_with_another_network_is_never_replaced(name, cls):
    model = model_of(name)
    swap(model, cls)
    assert_fused_is_plain(model)


def test_a_forward_that_a_user_has_set_on_a_layer_stays():
    model = model_of("gated-pixelcnn")
    layer = model.layers[0]
    link = nn.Conv2d.forward
    layer.link.forward = lambda x: 3 * link(layer.link, x)
    with accelerated(model):
        found = gradients(model, images(model))
    torch.testing.assert_close(found, gradients(model, images(model)), rtol=0, atol=1e-4)
    assert "forward" in vars(layer.link)
    del layer.link.forward
    assert not torch.allclose(found[5], gradients(model, images(model))[5], atol=1e-4)


def watched(model: PixelModel, run: object) -> set[str]:
    """Names of the modules whose forward hooks fire."""
    seen: set[str] = set()
    hooks = [
        part.register_forward_hook(lambda *_, name=name: seen.add(name))
        for name, part in model.named_modules()
    ]
    run()
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("context", [False, True], ids=["plain", "accelerated"])
@pytest.mark.parametrize("name", WIDE)
def test_forward_hooks_fire_on_every_module(name, context):
    """In a context too: what is watched is not fused."""
    skip = {"skip": True} if name in ("gated-pixelcnn", "autoencoder") else {}
    model = model_of(name, **skip)
    levels = images(model)
    step = Gradient(model, accelerate=context)
    seen = watched(model, lambda: step.set(levels))
    lists = (nn.ModuleList, nn.ModuleDict)
    expected = {name for name, part in model.named_modules() if not isinstance(part, lists)}
    expected -= {name for name in expected if name.startswith("conditioner")}
    silent = {name for name in expected - seen if not name.startswith("layers.1.inject_out")}
    assert silent == set(), "the last layer has no `out` if all layers skip to the head"


@pytest.mark.parametrize("name", WIDE)
def test_the_plain_form_can_be_differentiated_twice(name):
    model = model_of(name, levels=3).double()
    levels = images(model, 2)
    loss = model(levels).log_prob(levels).sum()
    first = torch.autograd.grad(loss, model.parameters(), create_graph=True, allow_unused=True)
    norm = sum(one.square().sum() for one in first if one is not None)
    second = torch.autograd.grad(norm, model.parameters(), allow_unused=True)
    assert any(one is not None and one.any() for one in second)


def test_the_fused_form_refuses_to_be_differentiated_twice():
    model = model_of("gated-pixelcnn")
    levels = images(model, 2)
    with accelerated(model):
        loss = model(levels).log_prob(levels).sum()
    first = torch.autograd.grad(loss, model.parameters(), create_graph=True, allow_unused=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sum(one.sum() for one in first if one is not None).backward()


def test_every_fused_class_is_one_of_the_library():
    assert all(cls.__module__.startswith("nextpixel.") for cls in FUSED)
    assert {fusion.method for fusion in FUSED.values()} == {"forward", "read_out"}


AVX2 = "+avx2,+avx,+fma,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+sse,+popcnt"
KINDS = {"short registers": ("haswell", AVX2, 4), "no vectors": ("generic", "", 4)}


def run(code: list[str], name: str, features: str, folder: str) -> str:
    environment = os.environ | {
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": folder,
    }
    done = subprocess.run(
        [sys.executable, *code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="asks for x86 code")
@pytest.mark.parametrize(
    "kind", ["no vectors", pytest.param("short registers", marks=pytest.mark.long)]
)
def test_kernels_are_right_in_code_for_other_processors(kind, tmp_path):
    name, features, tile = KINDS[kind]
    code = "from nextpixel.accelerate.grids import TILE; print(TILE)"
    assert int(run(["-c", code], name, features, str(tmp_path))) == tile
    files = ["tests/test_accelerate_convs.py", "tests/test_accelerate_gated.py"]
    tests = [*files, "-k", "float64 and (single or plain)"]
    said = run(["-m", "pytest", "-p", "no:cacheprovider", *tests], name, features, str(tmp_path))
    assert "passed" in said


@pytest.mark.parametrize("wanted", [True, False])
def test_fit_accelerates_unless_asked_not_to(wanted, monkeypatch):
    calls, fused = [], stacks.both_stacks
    monkeypatch.setattr(
        stacks, "both_stacks", lambda *args, **how: calls.append(1) or fused(*args, **how)
    )
    data = load_data("digits")
    model = build("gated-pixelcnn", shape=data.shape, levels=17, **WIDE["gated-pixelcnn"])
    fit(model, data, TrainConfig(steps=1, batch_size=4, accelerate=wanted))
    assert bool(calls) == wanted


def test_accelerate_must_be_true_or_false():
    with pytest.raises(TypeError, match="accelerate must be true or false, got 'no'"):
        TrainConfig(accelerate="no")
