"""A `TrainConfig` refuses what is invalid, in one line that names the setting."""

import subprocess
import sys

import pytest

import nextpixel as npx

NUMBERS = [
    *((name, 0, "must be at least 1, got 0") for name in ("steps", "batch_size", "threads")),
    ("validate_every", 0, "must be at least 1, got 0"),
    ("validation_images", -5, "must be at least 1, got -5"),
    ("preview_count", 0, "must be at least 1, got 0"),
    ("save_every", 0, "must be at least 1, got 0"),
    *((name, -1, "must be at least 0, got -1") for name in ("warmup", "seed", "test_images")),
    ("preview_every", -1, "must be at least 0, got -1"),
    ("previews", -1, "must be at least 0, got -1"),
    ("weight_decay", -0.1, r"must be at least 0, got -0\.1"),
    ("learning_rate", 0.0, r"must be above 0, got 0\.0"),
    ("adam_learning_rate", -1e-3, r"must be above 0, got -0\.001"),
    ("minutes", 0, "must be above 0, got 0"),
    ("clip_norm", 0.0, r"must be above 0, got 0\.0"),
    ("spike", 1.0, r"must be above 1, got 1\.0"),
    ("weight_decay", 0.1, r"must be 0 with optimizer 'adam', which has none, got 0\.1; choose .*"),
    ("decay", 0.0, r"must be at most 1 and above 0, got 0\.0"),
    ("decay", 1.01, r"must be at most 1 and above 0, got 1\.01"),
    ("ema", 1.0, r"must be at least 0 and below 1, got 1\.0"),
    ("betas", (0.9, 1.0), r"must be at least 0 and below 1, got 1\.0"),
    ("betas", (0.9,), r"must be two numbers, got \(0\.9,\)"),
    ("betas", 0.9, r"must be two numbers, got 0\.9"),
    ("learning_rate", float("nan"), "must be above 0 and finite, got nan"),
    ("learning_rate", float("inf"), "must be above 0 and finite, got inf"),
    ("ema", float("nan"), "must be at least 0 and below 1 and finite, got nan"),
    ("optimizer", "sgd", "must be one of adam, adamw, muon, got 'sgd'"),
    ("schedule", "cosin", "must be one of constant, cosine, linear, exponential, got 'cosin'"),
]
TYPES = [
    ("steps", 2.5, r"must be an integer, got 2\.5"),
    ("steps", None, "must be an integer, got None"),
    ("batch_size", True, "must be an integer, got True"),
    ("threads", "2", "must be an integer, got '2'"),
    ("learning_rate", "1e-3", "must be a number, got '1e-3'"),
    ("learning_rate", None, "must be a number, got None"),
    ("clip_norm", True, "must be a number, got True"),
    ("betas", ("0", 0.9), "must be a number, got '0'"),
]


def label(case):
    return str(case) if not isinstance(case, str) or len(case) < 20 else ""


@pytest.mark.parametrize(("name", "value", "text"), NUMBERS, ids=label)
def test_an_invalid_value_is_refused(name, value, text):
    with pytest.raises(ValueError, match=f"^{name} {text}$"):
        npx.TrainConfig(**{name: value})


@pytest.mark.parametrize(("name", "value", "text"), TYPES, ids=label)
def test_a_value_of_another_type_is_refused(name, value, text):
    with pytest.raises(TypeError, match=f"^{name} {text}$"):
        npx.TrainConfig(**{name: value})


@pytest.mark.parametrize("name", ["minutes", "clip_norm", "spike", "ema", "threads"])
def test_what_is_optional_can_be_none(name):
    assert getattr(npx.TrainConfig(**{name: None}), name) is None


def test_settings_cost_no_torch():
    code = "import sys, nextpixel.training.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
