"""Training with conditions: labels that are passed on and hidden, hooks, dropout, resuming."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import nextpixel as npx
from nextpixel.data import Dataset, Split
from tests import runs

SHAPE = (1, 6, 6)
CONFIG = npx.TrainConfig(
    steps=12, batch_size=10, learning_rate=0.02, validate_every=4, save_every=4, threads=1
)


GATED = "gated-pixelcnn"


class Interruption(Exception):
    """What a callback raises in the middle of a run."""


def make_split(part, count=40, *, seed=0, labelled=True):
    """Labelled images of one color: that of their class, 0 or 1."""
    labels = torch.randint(0, 2, (count,), generator=torch.Generator().manual_seed(seed))
    pixels = labels.to(torch.uint8)[:, None, None, None].repeat(1, *SHAPE)
    return Split(f"two/{part}", pixels, labels if labelled else None, 2, "levels", 0)


def noise(count=40, *, seed=0):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 2, (count, *SHAPE), generator=rng).to(torch.uint8)
    return Split("noise/train", pixels, None, 2, "levels", 0)


def make_data(train=None):
    train = make_split("train") if train is None else train
    return Dataset(train.name.partition("/")[0], train, train, train, ())


def make_model(*, name="pixelcnn", **options):
    sizes = {"features": 4, "layers": 1, "side": 3}
    sizes |= {"first_side": 3, "head_features": 4} if name == GATED else {}
    return npx.build(name, seed=0, shape=SHAPE, levels=2, **sizes, **options)


def labels(dropout=0.0):
    return npx.ClassCondition(2, dropout=dropout)


def train(model, data=None, *, out=None, condition_of=None, **changes):
    calls = {name: changes.pop(name) for name in ("on_progress", "resume") if name in changes}
    config = replace(CONFIG, **changes)
    data = make_data() if data is None else data
    return npx.fit(model, data, config, out=out, condition_of=condition_of, **calls)


def conditions(model, monkeypatch, **changes):
    """Conditions that a model is given in training, and the images they belong to: two lists."""
    received, seen, forward = [], [], type(model).forward

    def note(self, levels, condition=None):
        if self.training:
            received.append(condition)
            seen.append(levels)
        return forward(self, levels, condition)

    monkeypatch.setattr(type(model), "forward", note)
    train(model, **changes)
    return received, seen


def half_size(levels, labels):
    """A map: the image at half its size."""
    del labels
    return F.avg_pool2d(levels.float(), 2)


def stop_at(step):
    def on_progress(progress):
        if progress.step == step:
            raise Interruption

    return on_progress


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# Labels


def test_each_image_is_conditioned_on_its_own_label(monkeypatch):
    received, seen = conditions(make_model(condition=labels()), monkeypatch)
    assert len(received) == 12
    for label, levels in zip(received, seen, strict=True):
        assert torch.equal(label, levels[:, 0, 0, 0])  # the class is the color of the image


def test_the_configured_share_of_labels_is_hidden_anew_each_step(monkeypatch):
    model, steps = make_model(condition=labels(0.3)), {"steps": 200, "validate_every": 200}
    received, _ = conditions(model, monkeypatch, **steps)
    hidden = torch.stack(received) == -1
    share = hidden.double().mean().item()
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / hidden.numel()) ** 0.5
    assert len({tuple(row) for row in hidden.tolist()}) > 50


def test_nothing_is_hidden_from_what_is_measured():
    model = make_model(condition=labels(0.3))
    result = train(model)
    data = make_data()
    nats = npx.evaluate(model, data.validation, data.validation.labels).nats
    assert result.best_nats == pytest.approx(nats, rel=1e-6)


def test_an_unconditional_model_receives_no_condition(monkeypatch):
    received, _ = conditions(make_model(), monkeypatch)
    assert received == [None] * 12


def test_a_class_that_says_all_makes_images_cheaper():
    without, conditional = make_model(), make_model(condition=labels())
    for model in (without, conditional):
        train(model, steps=60, validate_every=60)
    images = make_data().test
    entropy = torch.tensor(2.0).log().item()  # of the class, which the first pixel gives away
    assert npx.evaluate(without, images).nats > 0.95 * entropy
    gain = npx.evaluate(without, images).nats - npx.evaluate(conditional, images).nats
    assert gain > 0.5 * entropy
    assert npx.health(conditional, images).listens


def test_a_model_that_hides_labels_is_conditional_and_not():
    model = make_model(condition=labels(0.3))
    train(model, steps=120, validate_every=120)
    found = npx.health(model, make_data().test)
    assert found.right < found.none - 0.3
    assert found.none < found.shuffled


# Conditions from a hook


def test_a_map_from_a_hook_makes_images_cheaper():
    data = make_data(noise(60))
    model = make_model(condition=npx.MapCondition(1))
    result = train(model, data, condition_of=half_size, steps=100, validate_every=100)
    maps = half_size(data.test.levels, None)
    nats = npx.evaluate(model, data.test, maps).nats
    assert nats == pytest.approx(result.best_nats, rel=1e-6)
    assert nats < 36 * torch.tensor(2.0).log().item() - 5  # noise costs ln 2 a pixel
    assert npx.evaluate(model, data.test, maps.flip(0)).nats > nats + 5


def test_a_hook_gets_int64_levels_and_labels_in_training_and_in_measuring():
    kinds = set()

    def hook(levels, labels):
        kinds.add((levels.dtype, labels.dtype, levels.shape[1:]))
        assert torch.equal(levels[:, 0, 0, 0], labels)
        return labels

    train(make_model(condition=labels()), condition_of=hook)
    assert kinds == {(torch.int64, torch.int64, torch.Size(SHAPE))}


def test_a_hook_wins_over_the_labels(monkeypatch):
    model = make_model(condition=labels())
    received, seen = conditions(model, monkeypatch, condition_of=lambda _, labels: 1 - labels)
    assert torch.equal(received[0], 1 - seen[0][:, 0, 0, 0])


# Dropout


def test_dropout_is_drawn_anew_each_step_and_the_same_in_a_second_run():
    once, again, other = (make_model(name=GATED, dropout=0.5) for _ in range(3))
    for model, seed in ((once, 0), (again, 0), (other, 1)):
        torch.rand(3)  # moves torch's own generator, which is not what dropout is drawn by
        train(model, seed=seed, batch_size=40)
    assert torch.equal(weights(once), weights(again))
    assert not torch.equal(weights(once), weights(other))


def test_training_leaves_the_generator_of_torch_alone():
    before = torch.get_rng_state()
    train(make_model(name=GATED, dropout=0.5, condition=labels(0.2)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_resumed_run_with_dropout_and_hidden_labels_has_the_same_bits(tmp_path):
    def begin(folder, **how):
        model = make_model(name=GATED, dropout=0.4, condition=labels(0.3))
        return train(model, out=tmp_path / folder, ema=0.9, **how)

    begin("whole")
    with pytest.raises(Interruption):
        begin("cut", on_progress=stop_at(6))
    torch.rand(3)  # torch's own generator has moved on, as in another process
    begin("cut", resume=True)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")


def test_what_layers_draw_depends_on_the_seed_of_the_run_and_on_the_step(monkeypatch):
    seeds, one, two = [], make_model(name=GATED, dropout=0.4), make_model(name=GATED, dropout=0.4)
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    train(one, seed=0, steps=5)
    train(two, seed=1, steps=5)
    assert len(set(seeds)) == len(seeds) == 10


# What is invalid


WRONG = {
    "no-labels": (labels(), None, ValueError, "data must have labels for a class-conditional"),
    "map": (npx.MapCondition(1), None, ValueError, r"condition_of must be given: .*maps \(B, 1"),
    "vector": (npx.VectorCondition(2), None, ValueError, "does not follow from images and labels"),
    "none": (npx.MapCondition(1), lambda *_: None, ValueError, "condition must be given: maps"),
    "unasked": ((), half_size, ValueError, "condition must be None: the model was built without"),
    "shape": (npx.MapCondition(2), half_size, ValueError, r"must have shape \(B, 2, 3, 3\)"),
    "kind": (labels(), half_size, ValueError, "condition must be labels, integers of shape"),
    "list": (labels(0.5), lambda *_: [0], TypeError, "must be a tensor of labels, .* got list"),
    "many": (labels(0.5), lambda *_: (1, 2), ValueError, r"condition must be labels .*got 2 of"),
}


@pytest.mark.parametrize(("condition", "hook", "error", "text"), WRONG.values(), ids=WRONG.keys())
def test_a_condition_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, condition, hook, error, text
):
    data = make_data(make_split("train", labelled=False))
    with pytest.raises(error, match=text):
        train(make_model(condition=condition), data, out=tmp_path / "run", condition_of=hook)
    assert not (tmp_path / "run").exists()


def test_hiding_leaves_what_does_not_fit_for_the_model_to_refuse():
    calls = []

    def hook(levels, labels):
        calls.append(len(levels))
        return labels if len(calls) == 1 else (labels, labels)

    with pytest.raises(ValueError, match=r"condition must be labels .*, got 2 of them"):
        train(make_model(condition=labels(0.5)), condition_of=hook)


def test_labels_beyond_the_models_classes_are_refused():
    data = make_data()
    data.train.labels[1:] += 5
    with pytest.raises(ValueError, match=r"condition must be labels 0\.\.1, got"):
        train(make_model(condition=labels()), data)
