"""Other packages add layers, operations, heads and models; none of it can be wrong in silence."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.engine.cpu import executor
from nextpixel.heads import HEADS, Categorical, CompiledHead, Head, split_colors
from nextpixel.models import GatedPixelCNN, GatedPixelCNNConfig
from nextpixel.models.options import ModelConfig
from nextpixel.nn import MaskedConv2d, VerticalConv2d
from nextpixel.program import ROW, Program, schedule
from nextpixel.runtime.compiling import compiled
from tests import outside

SHAPE = (1, 6, 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_weights(model):
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=rng(1)))
    return model.eval()


@pytest.fixture
def elu(request):
    shape, options = getattr(request, "param", (SHAPE, {}))
    return random_weights(npx.build("elu-pixelcnn", shape=shape, levels=16, features=6, **options))


COLORS = [((3, 4, 5), {}), ((3, 4, 5), {"colors": "independent"}), (SHAPE, {})]


@pytest.mark.parametrize("elu", COLORS, indirect=True, ids=["dependent", "independent", "gray"])
def test_a_model_of_another_package_is_drawn_from_by_the_compiled_engine(elu, recwarn):
    fast = npx.sample(elu, 4, rng=rng())
    assert not recwarn.list
    assert torch.equal(fast, npx.sample(elu, 4, rng=rng(), method="recompute"))
    assert npx.audit(elu).causal


def test_its_archives_take_the_bits_of_the_model(elu):
    levels = npx.sample(elu, 50, rng=rng())
    archive = npx.compress(elu, levels)
    ideal = -elu.log_prob(levels).sum().item() / np.log(2) / 8
    assert torch.equal(npx.decompress(elu, archive), levels)
    assert len(archive) < 1.01 * ideal + 100


def test_it_is_trained_saved_and_loaded_in_another_process(elu, tmp_path):
    data = npx.load_data("digits", limit=64)
    model = npx.build("elu-pixelcnn", shape=data.shape, levels=17, features=6)
    npx.fit(model, data, npx.TrainConfig(steps=3, batch_size=8), out=tmp_path / "run")
    npx.save(model, tmp_path / "saved")
    code = (
        "import sys, torch, nextpixel as npx, tests.outside\n"
        "model = npx.load(sys.argv[1])\n"
        "print(repr(model.log_prob(torch.zeros(1, 1, 8, 8, dtype=torch.int64)).item()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "saved")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(said.stdout) == model.log_prob(torch.zeros(1, *data.shape).long()).item()


class PlainHead(Head):
    """Two parameters for 16 levels, and nothing compiled."""

    name, size = "plain", 2

    def __call__(self, outputs, colors, levels=None):
        top, steep = split_colors(outputs, colors).unsqueeze(-1).unbind(-2)
        away = torch.arange(self.levels).to(outputs) - 4 * top
        return Categorical(-away.square() * steep.exp())


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setitem(HEADS, "plain", PlainHead)
    model = npx.build("elu-pixelcnn", shape=SHAPE, levels=16, features=6, head="plain")
    return random_weights(model)


def test_a_head_without_a_compiled_step_is_drawn_from_by_torch_and_says_so(plain):
    with pytest.warns(UserWarning, match="the head PlainHead has no compiled step"):
        drawn = npx.sample(plain, 4, rng=rng())
    assert torch.equal(drawn, npx.sample(plain, 4, rng=rng(), method="recompute"))


def test_a_head_without_a_compiled_step_writes_no_archive(plain):
    with pytest.raises(npx.NextPixelError, match="the head PlainHead has no compiled step"):
        npx.compress(plain, torch.zeros(1, *SHAPE, dtype=torch.int64))


def test_an_operation_without_a_compiled_step_is_run_by_torch_and_says_so(elu, monkeypatch):
    monkeypatch.setattr(outside.Elu, "compiled", None)
    with pytest.warns(UserWarning, match="the operation 'elu' has no compiled step"):
        drawn = npx.sample(elu, 4, rng=rng())
    assert torch.equal(drawn, npx.sample(elu, 4, rng=rng(), method="recompute"))
    with pytest.raises(npx.NextPixelError, match="the operation 'elu' has no compiled step"):
        npx.compress(elu, drawn)


@compiled
def wrong_step(call):
    for n in range(call.places):
        x, y = call.source + n * call.source_step, call.target + n * call.target_step
        for f in range(call.low, call.high):
            call.state[y + f] = call.state[x + f] * np.float32(0.5)


@compiled
def wrong_log_weights(spot):
    for k in range(len(spot.p)):
        spot.p[k] = -float(k)


def test_a_compiled_step_that_computes_something_else_is_refused(elu, monkeypatch):
    monkeypatch.setattr(outside.Elu, "compiled", staticmethod(wrong_step))
    with pytest.raises(npx.NextPixelError, match="compiled steps of EluPixelCNN do not compute"):
        npx.sample(elu, 1, rng=rng())


def test_a_compiled_head_that_computes_something_else_is_refused(elu, monkeypatch):
    monkeypatch.setattr(outside.HillHead, "compiled", CompiledHead(wrong_log_weights))
    with pytest.raises(npx.NextPixelError, match="compiled steps of EluPixelCNN do not compute"):
        npx.sample(elu, 1, rng=rng())


class OtherNetwork(GatedPixelCNN):
    """Changes the network and inherits the program."""

    name = "other-network"

    def network(self, x, embedding, corner=(0, 0)):
        return 2 * super().network(x, embedding, corner)


class OtherForward(GatedPixelCNN):
    """Changes what a call says and inherits the program."""

    name = "other-forward"

    def predict(self, levels, *embedding):
        return Categorical(super().predict(levels, *embedding).logits * 0.5)


GATED = GatedPixelCNNConfig(features=4, layers=1, first_side=3, head_features=4)


@pytest.mark.parametrize("kind", [OtherNetwork, OtherForward])
def test_a_subclass_whose_program_is_its_parents_is_refused(kind):
    model = random_weights(kind(SHAPE, 4, GATED))
    for use in (lambda: npx.sample(model, 1, rng=rng()),
                lambda: npx.compress(model, torch.zeros(1, *SHAPE).long())):  # fmt: skip
        with pytest.raises(npx.NextPixelError, match=f"the program of {kind.__name__} does not"):
            use()
    assert npx.sample(model, 1, rng=rng(), method="recompute").shape == (1, *SHAPE)


def test_a_program_is_compared_once_for_the_same_weights(elu, monkeypatch):
    npx.sample(elu, 1, rng=rng())
    monkeypatch.setattr(executor, "lowered", lambda model: pytest.fail("compared again"))
    npx.sample(elu, 1, rng=rng())


@dataclass(frozen=True, kw_only=True)
class SlowConfig(ModelConfig):
    """None of its own."""


class Slow(npx.PixelModel):
    """Has no program."""

    name, Config, reach = "slow", SlowConfig, 1

    def __init__(self, shape, levels, config):
        super().__init__(shape, levels, config)
        self.last = MaskedConv2d(self.inputs, self.outputs, 3, groups=self.groups, sees_self=False)

    def network(self, x, embedding, corner=(0, 0)):
        return self.last(x)


def test_a_model_without_a_program_is_recomputed_and_says_so():
    with pytest.warns(UserWarning, match="slow has no program; each pixel costs a forward pass"):
        npx.sample(Slow(SHAPE, 4, SlowConfig()), 1, rng=rng())


def test_a_model_without_a_program_writes_no_archive():
    with pytest.raises(npx.NextPixelError, match=r"slow cannot compress: it has no lower\(\)"):
        npx.compress(Slow(SHAPE, 4, SlowConfig()), torch.zeros(1, *SHAPE).long())


class EarlyAndLate(Slow):
    """Adds what is known before the row to the image, which is known once it is written."""

    name, reach = "early-and-late", 2

    def __init__(self, shape, levels, config):
        super().__init__(shape, levels, config)
        self.above = VerticalConv2d(self.inputs, self.inputs, 3, first=True)

    def network(self, x, embedding, corner=(0, 0)):
        return self.last(self.above(x) + x)

    def lower(self):
        program = Program(self.inputs, self.groups)
        x = program.add(self.above.lower(program, program.image), program.image)
        program.output = self.last.lower(program, x)
        return program


def test_a_sum_is_known_when_both_of_its_maps_are():
    model = random_weights(EarlyAndLate(SHAPE, 4, SlowConfig()))
    drawn = npx.sample(model, 8, rng=rng())
    assert torch.equal(drawn, npx.sample(model, 8, rng=rng(), method="recompute"))


class TooEarly(Slow):
    """Says that what it sees of its own row is known before the row."""

    name = "too-early"

    def lower(self):
        program, last = Program(self.inputs, self.groups), self.last
        program.output = program.conv(program.image, last.seen, last.taps, last.bias, phase=ROW)
        return program


def test_a_tap_that_comes_too_early_is_refused_by_name():
    model = random_weights(TooEarly(SHAPE, 4, SlowConfig()))
    with pytest.raises(npx.NextPixelError, match=r"conv reads at \(0, -1\) what is made later"):
        npx.sample(model, 1, rng=rng())


@pytest.fixture
def unchecked_order(monkeypatch):
    """Without the check of taps: what is left to the comparison of steps with the model."""
    monkeypatch.setattr(schedule.Schedule, "_check_order", lambda self, op: None)


def test_a_program_whose_phases_are_wrong_is_refused(unchecked_order):
    model = random_weights(TooEarly(SHAPE, 4, SlowConfig()))
    with pytest.raises(npx.NextPixelError, match="compiled steps of TooEarly do not compute"):
        npx.sample(model, 1, rng=rng())


@pytest.mark.filterwarnings("ignore:the step engine")
def test_wrong_phases_are_refused_by_the_engine_in_torch_too(monkeypatch, unchecked_order):
    monkeypatch.setitem(HEADS, "plain", PlainHead)
    model = random_weights(TooEarly(SHAPE, 16, SlowConfig(head="plain")))
    with pytest.raises(npx.NextPixelError, match="steps of TooEarly do not compute"):
        npx.sample(model, 1, rng=rng())


def test_archives_of_another_size_compare_the_steps_too(elu, monkeypatch):
    monkeypatch.setattr(outside.Elu, "compiled", staticmethod(wrong_step))
    with pytest.raises(npx.NextPixelError, match="compiled steps of EluPixelCNN do not compute"):
        npx.compress(elu, torch.zeros(1, 1, 9, 9, dtype=torch.int64))


class PastColors(Head):
    """A color is likelier to be the one before it at the same pixel: its logit moves there."""

    name, size, sees_colors = "past-colors", 1, True

    def __call__(self, outputs, colors, levels=None):
        scores = split_colors(outputs, colors)
        first = torch.full_like(levels[:, :1], 0.5, dtype=scores.dtype)
        past = torch.cat([first, levels[:, :-1]], 1).unsqueeze(-1)
        return Categorical(torch.cat([torch.zeros_like(scores), scores + 8 * past - 4], -1))


@compiled
def past_colors_log_weights(spot):
    past = 0.5
    if spot.color > 0:
        past = float(spot.levels[spot.image, spot.color - 1, spot.row, spot.column])
    spot.p[0], spot.p[1] = 0.0, np.float64(spot.state[spot.at]) + 8.0 * past - 4.0


@pytest.mark.parametrize("compiled_head", [None, CompiledHead(past_colors_log_weights)])
@pytest.mark.filterwarnings("ignore:the step engine")
def test_a_head_may_see_the_colors_drawn_before_at_the_pixel(monkeypatch, compiled_head):
    monkeypatch.setitem(HEADS, "past-colors", PastColors)
    monkeypatch.setattr(PastColors, "compiled", compiled_head)
    model = npx.build("pixelcnn", shape=(3, 4, 4), levels=2, features=6, layers=2, side=3,
                      head="past-colors", colors="independent")  # fmt: skip
    model = random_weights(model)
    drawn = npx.sample(model, 20, rng=rng())
    assert torch.equal(drawn, npx.sample(model, 20, rng=rng(), method="recompute"))
    assert drawn.float().var(1).mean() < 0.1  # colors agree
    if compiled_head:
        assert torch.equal(npx.decompress(model, npx.compress(model, drawn)), drawn)


def test_another_head_on_the_same_weights_is_laid_out_anew(elu):
    """Also where both have compiled steps and as many outputs."""
    before = npx.sample(elu, 8, rng=rng())

    class Upside(outside.HillHead):
        def __call__(self, outputs, colors, levels=None):
            return super().__call__(-outputs, colors, levels)

    elu.head = Upside(16)
    with pytest.raises(npx.NextPixelError, match="compiled steps of EluPixelCNN do not compute"):
        npx.sample(elu, 8, rng=rng())
    drawn = npx.sample(elu, 8, rng=rng(), method="recompute")
    assert not torch.equal(drawn, before)
