"""Both stacks at once: torch's values and gradients, and who takes this way."""

import subprocess
import sys

import pytest
import torch

from nextpixel import build
from nextpixel.accelerate import compiled, stacks
from nextpixel.models.gated import GatedLayer
from nextpixel.nn import NO_EMBEDDING, Embedding
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
}
PLACES = {"first": 0, "inner": 1, "final": 2}


def layer_of(name: str, place: str) -> tuple[GatedLayer, list[torch.Tensor], Embedding]:
    """A layer in training mode, float32; the stacks that it reads; what it is told."""
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
        read = [torch.randn(3, layer.features, 7, 12, generator=rng) for _ in range(2)]
        read = [stack.requires_grad_() for stack in read]
    return layer, read, model.conditioner(model.conditioner.example(3, rng), 3)


def as_double(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in tensors]


def outcome(
    layer: GatedLayer, read: list[torch.Tensor], embedding: Embedding
) -> list[torch.Tensor]:
    """What a layer makes, and gradients of its inputs and weights for fixed ones that come back."""
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
    calls, at_once = [], stacks.both_stacks
    monkeypatch.setattr(
        stacks,
        "both_stacks",
        lambda *embedding, **how: calls.append(1) or at_once(*embedding, **how),
    )
    found = outcome(layer, read, embedding)
    assert len(calls) == (0 if (name, place) == ("class as input", "first") else 1)
    embedding = Embedding(tuple(as_double(list(embedding.parts))))
    expected = outcome(layer.double(), as_double(read), embedding)
    assert len(calls) < 2
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=2e-6 * scale)


def test_an_image_has_the_same_bits_in_any_batch():
    layer, read, _ = layer_of("plain", "inner")
    whole = layer(*read, NO_EMBEDDING)[:2]
    for image in range(3):
        alone = layer(*(stack[image : image + 1] for stack in read), NO_EMBEDDING)[:2]
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
    layer.eval()(*read, NO_EMBEDDING)
    with torch.no_grad():
        layer.train()(*read, NO_EMBEDDING)
    with torch.autocast("cpu", torch.bfloat16):
        layer(*read, NO_EMBEDDING)
    layer.double()(*(stack.double() for stack in read), NO_EMBEDDING)


def test_features_that_fill_no_vectors_or_are_too_many_stay_with_torch():
    x = torch.empty(2, 16, 3, 3)
    assert stacks.pays((x, x), 16)
    assert not stacks.pays((x, x), 24)
    assert not stacks.pays((x, x), stacks.LARGEST + 16)
    image = torch.empty(2, 3, 3, 3)
    assert stacks.pays((image, image), 16)
    assert not stacks.pays((image.requires_grad_(), image), 16), "its gradient fills no vectors"


def test_without_numba_training_stays_with_torch(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    compiled.has_numba.cache_clear()
    layer, read, _ = layer_of("plain", "inner")
    assert not stacks.pays(tuple(read), 16)
    layer(*read, NO_EMBEDDING)
    compiled.has_numba.cache_clear()


def test_a_condition_that_differs_from_place_to_place_stays_with_torch(monkeypatch):
    monkeypatch.setattr(stacks, "both_stacks", None)
    options = {"features": 16, "layers": 1, "condition": [{"channels": 2}]}
    model = build("gated-pixelcnn", shape=(1, 6, 6), levels=2, **options).train()
    levels = torch.zeros(2, 1, 6, 6, dtype=torch.int64)
    model(levels, torch.ones(2, 2, 6, 6))


def test_layers_load_numba_only_to_train():
    code = "import sys, nextpixel as npx; model = npx.build_recipe('mnist4-gated'); "
    code += "print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
