"""PixelCNN++: its parts against torch's, its size against the published one, what it refuses."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import nextpixel as npx
from nextpixel.nn.gated_residual import SMALL, GatedResidual
from nextpixel.nn.strided import DOWN, DOWN_RIGHT, NormedWeight, ShiftedConv2d, UpConv2d
from nextpixel.program import LATE, PIXEL, ROW, Program, Schedule
from nextpixel.program.ops import ConcatElu, SigmoidGate, Up
from tests.laws.cases import disturb
from tests.laws.test_exactness import random_levels


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def plusplus(shape=(1, 8, 8), levels=4, **options):
    options = {"features": 4, "blocks": 1, **options}
    return npx.build("pixelcnn-plusplus", seed=0, shape=shape, levels=levels, **options)


def test_it_has_the_parameters_of_the_published_net():
    """53.66 million with 160 features, 5 blocks and 10 components, as the public code has.

    Ours reads a plane of ones next to each color, not one for all: 2 planes x 11 taps x 160 more.
    """
    model = plusplus((3, 32, 32), 256, features=160, blocks=5, weight_norm=True)
    count = sum(weight.numel() for weight in model.parameters())
    assert model.outputs == 100
    assert (count - 2 * 11 * 160) / 1e6 == pytest.approx(53.66, abs=0.005)


def test_every_pixel_of_the_past_is_seen():
    """Both streams count: a net that loses its second stream on the way up sees less."""
    found = npx.audit(disturb(plusplus((1, 8, 8), blocks=2).double(), 0.2), probes=3)
    past = torch.ones(64, 64).tril(-1).bool()
    assert torch.equal(found.sees, past)


def test_every_parameter_is_trained():
    model = disturb(plusplus(levels=256, head="logistic", components=2, weight_norm=True), 0.2)
    model(random_levels(model, 2)).log_prob(random_levels(model, 2)).sum().backward()
    assert [name for name, value in model.named_parameters() if not value.grad.any()] == []


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("window", [DOWN, DOWN_RIGHT])
def test_a_moved_convolution_sees_its_window_only(window, stride):
    layer = ShiftedConv2d(2, 3, window, row=False, stride=stride).double()
    x = torch.randn(1, 2, 8, 8, generator=rng()).double().requires_grad_()
    layer(x)[0, :, 2, 1].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero() - stride * torch.tensor([2, 1])
    rows, columns, top, left = window
    assert seen.tolist() == [[top + i, left + j] for i in range(rows) for j in range(columns)]


@pytest.mark.parametrize("window", [DOWN, DOWN_RIGHT])
def test_up_is_the_transpose_of_down(window):
    """<down(x), y> = <x, up(y)> for the same kernel, but for the shift by which each is causal."""
    layer = UpConv2d(2, 3, window, row=False).double()
    x = torch.randn(2, 2, 4, 4, generator=rng()).double()
    whole = F.conv_transpose2d(x, layer.kernel.transpose(0, 1), layer.bias, stride=2)
    crop = window.columns - 2
    assert torch.equal(layer(x), whole[:, :, :8, crop : crop + 8])


def strided_program() -> tuple[Program, torch.Tensor]:
    """Down and up in both phases, with every op of the model."""
    program = Program(2, 1)

    def weight(outputs, inputs, taps):
        return torch.randn(outputs, inputs, taps, generator=rng())

    down = [(i, j) for i in (-1, 0) for j in (-1, 0, 1)]
    right = [(i, j) for i in (-1, 0) for j in (-1, 0)]
    above = [(-2, 0), (-1, 1)]
    u = program.conv(program.image, weight(3, 2, 2), above, None, phase=ROW)
    ul = program.conv(program.image, weight(3, 2, 2), [(-1, 1), (0, -1)], None, phase=PIXEL)
    u2 = program.conv(u, weight(4, 3, 6), down, torch.ones(4), phase=ROW, stride=2)
    ul2 = program.conv(ul, weight(4, 3, 4), right, None, phase=PIXEL, stride=2)
    ul2 = program.apply(SigmoidGate, program.apply(ConcatElu, program.add(u2, ul2)))
    u1 = program.up(u2, weight(3, 4, 6), (2, 3), torch.ones(3), phase=ROW)
    ul1 = program.up(ul2, weight(3, 4, 4), (2, 2), None, phase=PIXEL)
    program.output = program.add(u1, program.add(ul1, ul))
    return program, torch.randn(2, 2, 8, 8, generator=rng())


def test_strided_maps_have_their_sizes():
    program, image = strided_program()
    assert [kept.stride for kept in program.maps] == [1, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 1]
    assert program.run(image).shape == (2, 3, 8, 8)


def test_a_parity_is_a_convolution():
    program, _ = strided_program()
    ups = [task for tasks in Schedule(program).tasks for task in tasks if isinstance(task.op, Up)]
    assert [(len(task.taps), task.parity) for task in ups[:4]] == [
        (1, (0, 0)), (2, (0, 1)), (1, (1, 0)), (2, (1, 1)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "phase", "tap"),
    [(LATE, PIXEL, (0, 0)), (PIXEL, PIXEL, (0, 1)), (PIXEL, ROW, (0, 0)), (ROW, ROW, (1, 0)),
     (LATE, ROW, (0, -1))],
)  # fmt: skip
def test_what_is_not_yet_known_is_refused(source, phase, tap):
    program = Program(1, 1)
    x = program.image
    if source != LATE:
        x = program.conv(x, torch.ones(1, 1, 1), [(-1, 0)], None, phase=source)
    program.output = program.conv(x, torch.ones(1, 1, 1), [tap], None, phase=phase)
    with pytest.raises(npx.NextPixelError, match=r"conv reads at .* what is made later"):
        Schedule(program)


def test_a_parity_that_is_planted_wrongly_is_seen(monkeypatch):
    """The program is compared with the network before it is used."""
    model, run = disturb(plusplus().double(), 0.2), Up.reference
    monkeypatch.setattr(Up, "reference", lambda self, x: run(self, x).roll(1, -1))
    with pytest.raises(npx.NextPixelError, match="does not compute what the model does"):
        model.sample(1)


def test_normalised_weights_are_fitted_to_the_first_batch():
    model = plusplus((1, 12, 12), weight_norm=True).double()
    images = random_levels(model, 8)
    model.initialize(images)
    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, NormedWeight):
            layer.register_forward_hook(lambda _, __, y, name=name: found.update({name: y}))
    model(images)
    for name, y in found.items():
        scale = SMALL if name.endswith("second") else 1.0
        assert y.mean((0, 2, 3)).abs().max() < 1e-9, name
        torch.testing.assert_close(
            y.std((0, 2, 3), correction=0), torch.full((y.shape[1],), scale).double(),
            rtol=1e-6, atol=0,
        )  # fmt: skip


def test_training_starts_with_fitted_gains_and_goes_on_from_where_it_stopped(tmp_path):
    levels = torch.randint(4, (40, 1, 8, 8), generator=rng())
    data = npx.from_tensors(levels, level_count=4)
    config = npx.TrainConfig(steps=3, batch_size=8, validate_every=3, threads=1)
    model, again = (plusplus(weight_norm=True, dropout=0.2) for _ in range(2))
    start = model.above.gain.clone()
    npx.fit(model, data, config, out=tmp_path / "whole")
    assert (model.above.gain - start).abs().max() > 0.1
    npx.fit(again, data, replace(config, steps=3), out=tmp_path / "parts")
    resumed = plusplus(weight_norm=True, dropout=0.2)
    npx.fit(resumed, data, config, out=tmp_path / "parts", resume=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_gain_is_of_each_output_also_of_a_transposed_kernel():
    layer = UpConv2d(3, 5, DOWN, row=False, normed=True)
    torch.testing.assert_close(layer.kernel.flatten(1).norm(dim=1), torch.ones(5))


@pytest.mark.parametrize(("shape", "options", "refusal"), [
    ((1, 6, 8), {}, r"height and width must be divisible by 4 for pixelcnn-plusplus, got \(6, 8\)"),
    ((3, 8, 8), {"colors": "dependent"}, "colors must be coupled or independent"),
    ((1, 8, 8), {"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ((1, 8, 8), {"blocks": 0}, "blocks must be at least 1"),
    ((1, 8, 8), {"condition": [{"classes": 2, "form": "input"}]}, "form must be bias"),
])  # fmt: skip
def test_what_it_cannot_be_is_refused_by_name(shape, options, refusal):
    with pytest.raises(ValueError, match=refusal):
        plusplus(shape, **options)


def test_dropout_is_for_training_only():
    model = disturb(plusplus(dropout=0.5), 0.2)
    images = random_levels(model, 2)
    assert torch.equal(model.log_prob(images), model.log_prob(images))
    model.train()
    with pytest.raises(ValueError, match="must be taken in evaluation mode"):
        model.log_prob(images)


def test_a_block_adds_to_what_it_reads():
    model = plusplus()
    block = next(part for part in model.modules() if isinstance(part, GatedResidual))
    torch.nn.init.zeros_(block.second.weight)
    x = torch.randn(1, 4, 4, 4, generator=rng())
    assert torch.equal(block(x, (), model.condition(None, 1)), x)
