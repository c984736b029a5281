"""bfloat16 and compilation change how the gradient is found, and no figure that is reported."""

import math
import shutil

import pytest
import torch

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.training.gradient import Gradient, compiled_model, missing_compiler
from nextpixel.training.update import channels_last
from tests import runs

SHORT = {"precision": "bfloat16", "steps": 14}


def seen_types(monkeypatch):
    """Types of numbers that the last layer gives, by mode; those that heads read; of losses."""
    found = {"network": set(), "head": set()}
    predict = PixelModel.predict

    def note(self, levels, *args):
        hook = self.last.register_forward_hook(
            lambda module, inputs, output: found["network"].add((module.training, output.dtype))
        )
        distribution = predict(self, levels, *args)
        hook.remove()
        found["head"].add(distribution.logit.dtype)
        return distribution

    monkeypatch.setattr(PixelModel, "predict", note)
    return found


def test_only_the_network_in_training_computes_in_bfloat16(monkeypatch):
    found = seen_types(monkeypatch)
    runs.run(None, **SHORT)
    assert found["network"] == {(True, torch.bfloat16), (False, torch.float32)}
    assert found["head"] == {torch.float32}


@pytest.mark.parametrize("ema", [None, 0.9], ids=["weights", "average"])
def test_what_a_bfloat16_run_reports_is_the_float32_likelihood_of_its_weights(tmp_path, ema):
    data = runs.make_data()
    result = runs.run(tmp_path, data=data, ema=ema, **SHORT)
    best, last, row = npx.load(tmp_path), npx.load(tmp_path / "last"), runs.rows(tmp_path)[-1]
    for model in (best, last):  # torch rounds otherwise for kernels laid out otherwise
        channels_last(model)
    assert {weight.dtype for weight in last.parameters()} == {torch.float32}
    assert float(row["validation_nats"]) == npx.evaluate(last, data.validation.take(12)).nats
    assert float(row["test_nats"]) == npx.evaluate(last, data.test.take(5)).nats
    assert result.best_nats == npx.evaluate(best, data.validation.take(12)).nats


def test_bfloat16_resumes_to_the_same_bits(tmp_path):
    runs.run(tmp_path / "whole", **SHORT)
    runs.stopped_at(9, tmp_path / "cut", **SHORT)
    runs.run(tmp_path / "cut", resume=True, **SHORT)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")


def gradients(model, levels, **how):
    nats = Gradient(model.train(), **how).set(levels)
    return nats, [weight.grad for weight in model.parameters()]


def random_model(kind="pixelcnn", **options):
    options = options or {"features": 8, "layers": 2, "side": 3}
    model = npx.build(kind, seed=0, shape=(1, 6, 6), levels=2, **options)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=rng)
    return model


MODELS = {
    "pixelcnn": {"features": 8, "layers": 2, "side": 3},
    "residual-pixelcnn": {"features": 6, "blocks": 1, "inner": 3, "head_features": 6},
    "gated-pixelcnn": {"features": 4, "layers": 1, "first_side": 3, "side": 3, "head_features": 4},
    "autoencoder": {"features": 4, "layers": 1, "code": 3, "encoder_features": 4},
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_of_bfloat16_are_those_of_float32_but_for_its_eight_bits(kind, threads):
    levels = runs.make_data().train.draw(torch.arange(8))
    model, before = random_model(kind, **MODELS[kind]), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        nats, exact = gradients(model, levels)
        rough_nats, rough = gradients(model, levels, bfloat16=True)
    finally:
        torch.set_num_threads(before)
    assert rough_nats != nats
    assert rough_nats == pytest.approx(nats, rel=0.01)
    assert {one.dtype for one in rough} == {torch.float32}
    one, other = (torch.cat([each.flatten() for each in found]) for found in (rough, exact))
    assert (one - other).norm() <= 0.1 * other.norm()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(
    missing_compiler(torch.device("cpu")) is not None, reason="no C++ compiler at hand"
)
def test_a_compiled_pass_gives_the_same_gradients_but_for_rounding():
    model = random_model("gated-pixelcnn", **MODELS["gated-pixelcnn"]).train()
    exact, compiled = Gradient(model), Gradient(model, compiled=True)
    for count in (8, 5):
        levels = runs.make_data().train.draw(torch.arange(count))
        nats = exact.set(levels)
        expected = [weight.grad for weight in model.parameters()]
        compiled_nats = compiled.set(levels)
        assert compiled_nats == pytest.approx(nats, rel=1e-5)
        for weight, other in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(weight.grad, other, rtol=1e-4, atol=1e-6)


def test_a_compiled_run_calls_the_compiled_model(monkeypatch):
    called = []

    def compile_(model, *, dynamic):
        called.append(dynamic)
        return model

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    result = runs.run(None, steps=3, compile=True)
    assert called == [False]
    assert math.isfinite(result.best_nats)


def test_a_missing_compiler_is_found_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    text = r"train\.compile needs a C\+\+ compiler \(no-such-compiler\), and there is none; inst"
    with pytest.raises(npx.NextPixelError, match=text):
        runs.run(tmp_path / "run", compile=True)
    assert not (tmp_path / "run").exists()


def test_a_compiler_that_fails_is_named_in_one_line(monkeypatch):
    def fail(*_):
        raise torch._dynamo.exc.BackendCompilerFailed("inductor", OSError("broken\nlines"), None)

    monkeypatch.setattr(torch, "compile", lambda model, *, dynamic: fail)
    with pytest.raises(
        npx.NextPixelError, match="torch cannot compile the training pass"
    ) as caught:
        compiled_model(runs.make_model())(torch.zeros(1, 1, 6, 6), None)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("leave train.compile out")
