"""Gated layers fused: torch's values and gradients, and when they are."""

import subprocess
import sys

import pytest
import torch

from nextpixel import build
from nextpixel.accelerate import accelerated, stacks
from nextpixel.models.gated import GatedLayer
from nextpixel.nn import NO_EMBEDDING, Embedding, Gate, gate
from tests.laws.cases import disturb

CASES = {
    "plain": {},
    "wide kernels": {"side": 5},
    "dilated": {"dilations": (2,)},
    "colors": {"features": 48, "head_features": 48},
    "class in gates": {"condition": [{"classes": 3, "form": "gate"}]},
    "class as bias": {"condition": [{"classes": 3, "form": "bias"}]},
    "class as input": {"condition": [{"classes": 3, "form": "input"}]},
    "skips": {"skip": True},
    "two panels": {"features": 32},
    "class everywhere": {"condition": [{"classes": 3, "form": "gate"}], "condition_all": True},
}
PLACES = {"first": 0, "inner": 1, "final": 2}


def layer_of(name: str, place: str) -> tuple[GatedLayer, list[torch.Tensor], Embedding]:
    """A layer in training mode, float32; the stacks that it reads; its conditions."""
    colors = 3 if name == "colors" else 1
    options = {"features": 16, "layers": 2, "first_side": 5, **CASES[name]}
    model = disturb(build("gated-pixelcnn", shape=(colors, 7, 12), levels=2, **options)).train()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.25)  # gates are then half open, and rounding is near 1e-7
    layer = [model.first, *model.layers][PLACES[place]]
    rng = torch.Generator().manual_seed(1)
    if place == "first":
        levels = torch.randint(0, 2, (3, *model.shape), generator=rng)
        read = [model.encode(levels)] * 2
    else:
        read = [
            torch.randn(3, layer.link.out_channels // 2, 7, 12, generator=rng) for _ in range(2)
        ]
        read = [stack.requires_grad_() for stack in read]
    return layer, read, model.conditioner(model.conditioner.example(3, rng), 3)


def as_double(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in tensors]


def outcome(
    layer: GatedLayer, read: list[torch.Tensor], embedding: Embedding
) -> list[torch.Tensor]:
    """What a layer makes, and gradients of its inputs and weights for fixed ones that come back."""
    with accelerated(layer):
        made = [one for one in layer(*read, embedding) if one is not None]
    rng = torch.Generator().manual_seed(2)
    back = [torch.randn(one.shape, generator=rng).to(one.dtype) for one in made]
    asked = [x for x in (*read, *layer.parameters()) if x.requires_grad]
    found = torch.autograd.grad(made, asked, back, allow_unused=True)
    return [*made, *(torch.zeros(1) if one is None else one for one in found)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch_in_float64(name, place, monkeypatch):
    layer, read, embedding = layer_of(name, place)
    calls, fused = [], stacks.both_stacks
    monkeypatch.setattr(
        stacks,
        "both_stacks",
        lambda *args, **how: calls.append(1) or fused(*args, **how),
    )
    found = outcome(layer, read, embedding)
    assert len(calls) == (0 if (name, place) == ("class as input", "first") else 1)
    embedding = Embedding(tuple(as_double(list(embedding.parts))))
    expected = outcome(layer.double(), as_double(read), embedding)
    assert len(calls) < 2
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=2e-6 * scale)


def fused(layer: GatedLayer, read: list[torch.Tensor]) -> list[torch.Tensor]:
    with accelerated(layer):
        return layer(*read, NO_EMBEDDING)[:2]


def test_an_image_has_the_same_bits_in_any_batch():
    layer, read, _ = layer_of("plain", "inner")
    whole = fused(layer, read)
    for image in range(3):
        alone = fused(layer, [stack[image : image + 1] for stack in read])
        for one, many in zip(alone, whole, strict=True):
            assert torch.equal(one[0], many[image])


def test_maps_of_any_layout_are_read():
    layer, read, _ = layer_of("plain", "inner")
    expected = outcome(layer, read, NO_EMBEDDING)
    strided = [
        stack.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        for stack in read
    ]
    for one, other in zip(outcome(layer, strided, NO_EMBEDDING), expected, strict=True):
        assert torch.equal(one, other)


def changed(**how: object) -> tuple[GatedLayer, list[torch.Tensor]]:
    layer, read, _ = layer_of("plain", "inner")
    return layer, [stack.detach().to(**how) for stack in read]


def test_evaluation_and_float64_never_go_that_way(monkeypatch):
    monkeypatch.setattr(stacks, "both_stacks", None)
    layer, read = changed()
    fused(layer.eval(), read)
    with torch.no_grad():
        fused(layer.train(), read)
    with torch.autocast("cpu", torch.bfloat16):
        fused(layer, read)
    fused(layer.double(), [stack.double() for stack in read])


def test_features_that_fill_no_vectors_or_are_too_many_stay_with_torch():
    x = torch.empty(2, 16, 3, 3)
    assert stacks.should_fuse((x, x), 16)
    assert not stacks.should_fuse((x, x), 24)
    assert not stacks.should_fuse((x, x), stacks.LARGEST + 16)
    image = torch.empty(2, 3, 3, 3)
    assert stacks.should_fuse((image, image), 16)
    assert not stacks.should_fuse((image.requires_grad_(), image), 16), (
        "its gradient fills no vectors"
    )


def test_a_condition_that_differs_from_place_to_place_stays_with_torch(monkeypatch):
    monkeypatch.setattr(stacks, "both_stacks", None)
    options = {"features": 16, "layers": 1, "condition": [{"channels": 2}]}
    model = build("gated-pixelcnn", shape=(1, 6, 6), levels=2, **options).train()
    levels = torch.zeros(2, 1, 6, 6, dtype=torch.int64)
    with accelerated(model):
        model(levels, torch.ones(2, 2, 6, 6))


@pytest.mark.slow
def test_kernels_are_loaded_only_to_train():
    code = "import sys, nextpixel.training, nextpixel as npx; npx.build_recipe('mnist4-gated'); "
    code += "print('nextpixel.accelerate.grids' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_the_gate_in_training_is_the_gate_with_its_gradient(layout):
    rng = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(2, 6, 4, 5, generator=rng, dtype=torch.float64)
    x = x.contiguous(memory_format=layout).requires_grad_()
    expected = gate(x)
    weight = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
    with accelerated(layer := Gate()):
        found = layer(x)
    assert type(found.grad_fn).__name__ == "_GateBackward"
    assert type(layer(x).grad_fn).__name__ == "MulBackward0"
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(
        *(torch.autograd.grad(y, x, weight)[0] for y in (found, expected)), rtol=1e-12, atol=1e-14
    )


def test_the_gate_in_training_is_exact_where_it_is_saturated():
    x = torch.tensor([-1e30, -200.0, 200.0, 1e30]).repeat(2).view(1, 8, 1, 1).requires_grad_()
    assert stacks.gate(x).flatten().tolist() == [0.0, 0.0, 1.0, 1.0]
    (gradient,) = torch.autograd.grad(stacks.gate(x).sum(), x)
    assert bool(gradient.isfinite().all())
