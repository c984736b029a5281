"""`fit` learns what can be learnt, keeps the best weights, and reports what it did."""

import math
from dataclasses import replace

import pytest
import torch

import nextpixel as npx
from nextpixel.data import Dataset, Split
from tests import runs

ADAM = {"optimizer": "adam", "ema": None, "clip_norm": None, "warmup": 0, "schedule": "constant"}
FROZEN = {**ADAM, "learning_rate": 1e-30}  # too small to change a weight in float32


def one_level(part, *levels):
    """4x4 images, each of one level."""
    pixels = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return Split(f"plain/{part}", pixels, None, 2, "levels", 0)


def small_model(**options):
    return npx.build(
        "pixelcnn", seed=0, shape=(1, 4, 4), levels=2, features=8, layers=2, side=3, **options
    )


def test_training_reaches_the_entropy_of_its_images_and_no_less():
    # All pixels of an image are the same fair coin: ln 2 nats an image are left to learn.
    halves = [one_level(part, 0, 1, 0, 1) for part in ("train", "validation", "test")]
    data = Dataset("coin", *halves, ())
    config = npx.TrainConfig(steps=80, batch_size=4, learning_rate=0.02, validate_every=20)
    result = npx.fit(small_model(), data, config)
    assert math.log(2) <= result.best_nats < math.log(2) + 0.05


def test_training_lowers_the_loss_of_real_digits():
    data = npx.load_data("digits", limit=200)
    model = npx.build("pixelcnn", seed=0, shape=(1, 8, 8), levels=17, features=12, layers=3, side=3)
    before = npx.evaluate(model, data.test).nats
    config = npx.TrainConfig(steps=60, batch_size=32, learning_rate=0.01, validate_every=30)
    npx.fit(model, data, config)
    assert npx.evaluate(model, data.test).nats < 0.75 * before


@pytest.fixture
def worse_and_worse(tmp_path):
    """A run whose validation images are the opposite of what it learns."""
    parts = one_level("train", 1, 1), one_level("validation", 0), one_level("test", 1)
    config = npx.TrainConfig(steps=6, learning_rate=0.01, validate_every=1)
    model = small_model()
    result = npx.fit(model, Dataset("plain", *parts, ()), config, out=tmp_path)
    return tmp_path, model, result


def test_the_best_weights_by_validation_are_kept(worse_and_worse):
    folder, model, result = worse_and_worse
    nats = [float(row["validation_nats"]) for row in runs.rows(folder)]
    assert nats == sorted(nats)
    assert (result.best_step, result.best_nats) == (1, nats[0])
    for kept in (model, npx.load(folder)):
        found = npx.evaluate(kept, one_level("validation", 0)).nats
        assert found == pytest.approx(nats[0], rel=1e-6)


def test_the_last_weights_are_kept_as_well(worse_and_worse):
    folder, _, _ = worse_and_worse
    last = npx.evaluate(npx.load(folder / "last"), one_level("validation", 0)).nats
    assert last == pytest.approx(float(runs.rows(folder)[-1]["validation_nats"]), rel=1e-6)


def test_the_description_says_what_was_trained_how_and_on_what(worse_and_worse):
    folder, _, result = worse_and_worse
    best, last = (npx.checkpoint.read_config(path) for path in (folder, folder / "last"))
    assert best["data"] == {"name": "plain", "protocol": "levels"}
    assert (best["training"]["step"], last["training"]["step"]) == (1, 6)
    assert best["training"]["validation_nats"] == result.best_nats
    assert best["training"]["learning_rate"] == 0.01


def test_the_model_ends_ready_to_use():
    model = runs.make_model()
    runs.run(None, model=model, steps=3)
    assert not any(module.training for module in model.modules())
    assert all(parameter.is_contiguous() for parameter in model.parameters())


def test_test_images_never_influence_the_weights(tmp_path):
    data = runs.make_data()
    other = replace(data, test=runs.make_split("test", 3, seed=77))
    runs.run(tmp_path / "a", data=data, steps=14, test_images=5)
    runs.run(tmp_path / "b", data=other, steps=14, test_images=0)
    for name in ("model.safetensors", "last/model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_average_follows_the_weights_by_hand(tmp_path):
    model, weights = runs.make_model(), []

    def remember(progress):
        weights.append([parameter.detach().double() for parameter in model.parameters()])

    runs.run(tmp_path, model=model, steps=6, ema=0.3, on_progress=remember)
    expected = weights[0]
    for done, current in enumerate(weights[1:], start=1):
        keep = min(0.3, (1 + done) / (10 + done))  # 2/11, 3/12, then 0.3
        pairs = zip(expected, current, strict=True)
        expected = [keep * average + (1 - keep) * value for average, value in pairs]
    found = npx.load(tmp_path / "last").parameters()
    for average, value in zip(expected, found, strict=True):
        torch.testing.assert_close(value.double(), average, rtol=1e-5, atol=1e-7)


def test_statistics_of_batch_norm_are_averaged_too(tmp_path):
    model = runs.make_model()
    runs.run(tmp_path, model=model, steps=3, ema=0.99, validate_every=100)
    averaged = npx.load(tmp_path / "last").state_dict()
    current = torch.load(tmp_path / "resume" / "state.pt", weights_only=True)["state"]["model"]
    means = [name for name in current if name.endswith("running_mean")]
    assert means
    assert not any(torch.equal(averaged[name], current[name]) for name in means)


def test_the_gradient_is_no_longer_than_its_limit():
    model, lengths = runs.make_model(), []

    def measure(progress):
        gradients = [parameter.grad.flatten() for parameter in model.parameters()]
        lengths.append(torch.cat(gradients).norm().item())

    runs.run(None, model=model, steps=4, clip_norm=None, on_progress=measure)
    assert min(lengths) > 2e-3
    lengths.clear()
    runs.run(None, model=model, steps=4, clip_norm=1e-3, on_progress=measure)
    assert max(lengths) <= 1.0001e-3


def seen_levels(model, **changes):
    """What the model is trained on, step by step."""
    seen = []

    def hook(module, inputs):
        if module.training:
            seen.append(inputs[0].clone())

    handle = model.register_forward_pre_hook(hook)
    data = replace(runs.make_data(), train=runs.make_split("train", 1))
    runs.run(None, model=model, data=data, steps=3, **changes)
    handle.remove()
    return torch.cat(seen)


def test_dynamic_levels_are_drawn_anew_at_each_step():
    levels = seen_levels(runs.make_model())
    assert len(levels.unique(dim=0)) == 3


def test_dynamic_levels_depend_on_the_seed_alone():
    levels = seen_levels(runs.make_model())
    assert torch.equal(seen_levels(runs.make_model(seed=8)), levels)
    assert not torch.equal(seen_levels(runs.make_model(), seed=8), levels)


def test_the_same_seed_gives_the_same_bits(tmp_path):
    for name, seed in (("a", 1), ("again", 1), ("other", 2)):
        runs.run(tmp_path / name, steps=8, seed=seed)
    assert runs.outcome(tmp_path / "a") == runs.outcome(tmp_path / "again")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "other")]
    assert weights[0] != weights[1]


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs.run(None, steps=5)
    assert not list(tmp_path.iterdir())


def test_the_result_says_how_the_run_ended():
    result = runs.run(None, steps=5)
    assert (result.steps, result.images, result.best_step) == (5, 48, 5)
    assert 0 < result.seconds < 60


def test_the_clock_ends_a_run_that_has_a_budget():
    seen = []
    changes = {"minutes": 0.3 / 60, "steps": 10**6, "previews": 2}
    result = runs.run(None, on_preview=lambda _, step: seen.append(step), **changes)
    assert 0.3 <= result.seconds < 30
    assert result.best_step <= result.steps == seen[-1] < 10**6


def test_threads_are_set_for_the_run_alone():
    before, during = torch.get_num_threads(), []
    call = {"on_progress": lambda progress: during.append(torch.get_num_threads())}
    runs.run(None, steps=1, threads=before + 1, **call)
    assert (during, torch.get_num_threads()) == ([before + 1], before)


def test_settings_have_defaults():
    seen = []

    def stop(progress):
        seen.append(progress)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        npx.fit(runs.make_model(), runs.make_data(), on_progress=stop)
    assert (seen[0].images, seen[0].share) == (48, 1 / npx.TrainConfig().steps)


MISFITS = {
    "size": ({"shape": (1, 5, 6), "levels": 2}, r"shape \(1, 5, 6\) and 2 levels"),
    "colors": ({"shape": (3, 6, 6), "levels": 2}, r"shape \(3, 6, 6\) and 2 levels"),
    "levels": ({"shape": (1, 6, 6), "levels": 4}, r"shape \(1, 6, 6\) and 4 levels"),
}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("validation", "data must have validation images, by which weights are chosen, got none"),
        ("test", "test_images must be 0 for data without any, got 5"),
    ],
)
def test_held_out_images_that_are_missing_are_found_before_the_first_step(tmp_path, part, text):
    data, steps = runs.make_data(), []
    empty = replace(getattr(data, part), pixels=torch.zeros(0, 1, 6, 6, dtype=torch.uint8))
    with pytest.raises(ValueError, match=text):
        runs.run(tmp_path / "run", data=replace(data, **{part: empty}), on_progress=steps.append)
    assert not steps
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("sizes", "got"), MISFITS.values(), ids=MISFITS.keys())
def test_a_model_that_does_not_fit_the_data_is_refused(tmp_path, sizes, got):
    model = npx.build("pixelcnn", seed=0, features=6, layers=1, **sizes)
    text = rf"model must be built for the data's shape \(1, 6, 6\) and 2 levels, got {got}"
    with pytest.raises(ValueError, match=text):
        runs.run(tmp_path, model=model)
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="unknown option 'on_progres'; did you mean 'on_progress'"):
        npx.fit(runs.make_model(), runs.make_data(), on_progres=print)
