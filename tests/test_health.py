"""Whether a model listens, on models that do or do not by construction."""

import json

import pytest
import torch

from nextpixel import ClassCondition, MapCondition, VectorCondition, build, health
from nextpixel.data import Split
from nextpixel.health import Health
from nextpixel.nn import Injection
from tests.laws.cases import disturb

SHAPE = (1, 6, 6)


def images(labels):
    """Binary images that are all 1 for an odd label and all 0 for an even one."""
    labels = torch.tensor(labels)
    pixels = (labels % 2).to(torch.uint8)[:, None, None, None].expand(-1, *SHAPE)
    return Split("stripes/test", pixels.contiguous(), labels, 2, "levels", 0)


def parity_model(*, classes=2, dropout=0.0):
    """A model that says of every pixel the parity of the label; being wrong costs 4 nats and more.

    Its two features are the two parities, as the label gives them; its output, the log odds of
    level 1, is their difference.
    """
    condition = ClassCondition(classes, dropout=dropout)
    sizes = {"features": 2, "layers": 1, "side": 3, "pointwise": 0}
    model = build("pixelcnn", shape=SHAPE, levels=2, condition=condition, **sizes)
    (embedding,) = (layer for part in injections(model) for layer in part.layers.values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for label in range(classes):
            embedding.weight[label % 2, label] = 4.0
        model.last.weight.copy_(torch.tensor([-1.0, 1.0])[None, :, None, None])
    return model


def injections(model):
    return [part for part in model.modules() if isinstance(part, Injection)]


def without_conditions(model):
    with torch.no_grad():
        for part in injections(model):
            for weight in part.parameters():
                weight.zero_()
    return model


def test_a_model_that_listens_is_found_to():
    found = health(parity_model(), images([0, 1] * 5))
    assert found.listens
    assert found.right < 1 < found.shuffled
    assert "IGNORES" not in str(found)


@pytest.mark.parametrize("name", ["pixelcnn", "residual-pixelcnn", "gated-pixelcnn"])
def test_a_model_whose_conditions_weigh_nothing_is_found_to_ignore_them(name):
    model = disturb(build(name, shape=SHAPE, levels=2, condition=ClassCondition(2)))
    found = health(without_conditions(model), images([0, 1] * 5))
    assert found.right == found.shuffled
    assert not found.listens
    assert str(found).endswith(": the model IGNORES its condition")


def test_no_condition_costs_the_known_nats():
    found = health(parity_model(dropout=0.5), images([0, 1] * 5))
    assert found.none == pytest.approx(36 * torch.tensor(2.0).log().item())
    assert found.right < found.none < found.shuffled


def test_a_model_that_needs_its_condition_has_no_third_figure():
    found = health(parity_model(), images([0, 1] * 5))
    assert found.none is None
    assert "with none" not in str(found)


@pytest.mark.parametrize("labels", [[0] * 20 + [1] * 20, [0, 1] * 20, [0, 0, 1, 1] * 10])
def test_the_order_of_the_images_does_not_matter(labels):
    found = health(parity_model(), images(labels))
    share = found.shuffled / (36 * 4)  # of images that got the other parity
    assert share == pytest.approx(0.5, abs=0.25)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_no_image_gets_its_own_condition_and_none_is_used_twice(monkeypatch, count):
    model, seen = parity_model(classes=count), []
    take = model.forward

    def listen(levels, labels):
        seen.append(labels)
        return take(levels, labels)

    monkeypatch.setattr(model, "forward", listen)
    assert health(model, images(list(range(count)))).n == count
    right, shuffled = seen
    assert (right != shuffled).all()
    assert torch.equal(shuffled.sort().values, right)


def test_the_figures_can_be_repeated():
    some = images([0, 0, 1, 1, 0, 1, 1, 1] * 10)
    assert len({health(parity_model(), some) for _ in range(4)}) == 1


def test_a_model_that_makes_its_own_codes_needs_no_labels():
    model = disturb(build("autoencoder", shape=SHAPE, levels=2, features=4, layers=1, code=3))
    whole = images([0, 1] * 5)
    found = health(model, Split("bare", whole.pixels, None, 2, "levels", 0))
    assert found.none is not None
    assert found.right != found.shuffled
    assert model.log_prob(whole.levels, torch.zeros(10, 3)).mean().item() == pytest.approx(
        -found.none, rel=1e-5
    )


def test_the_figures_are_plain_values():
    found = Health(right=1.0, shuffled=3.25, none=None, n=4)
    assert json.loads(json.dumps(found.as_dict())) == {
        "right": 1.0,
        "shuffled": 3.25,
        "none": None,
        "n": 4,
        "listens": True,
    }


def test_the_line_names_all_figures():
    text = str(Health(right=1.0, shuffled=1.25, none=2.0, n=4))
    assert text == (
        "1.00 nats per image with the right condition, 1.25 with another image's, 2.00 with none"
        ": the model IGNORES its condition"
    )


@pytest.mark.parametrize(
    ("condition", "labels", "text"),
    [
        (ClassCondition(2), [1], "images must hold at least two, got 1"),
        (ClassCondition(2), [1, 1, 1], "images must be of two classes or more, got label 1 alone"),
        ((), [0, 1], "model must have one condition, got one given nothing"),
        (VectorCondition(2), [0, 1], r"the model takes vectors \(B, 2\), which does not follow"),
        (MapCondition(2), [0, 1], r"the model takes maps \(B, 2, h, w\)"),
    ],
    ids=["one-image", "one-class", "unconditional", "vector", "map"],
)
def test_what_cannot_be_asked_is_refused(condition, labels, text):
    model = build("pixelcnn", shape=SHAPE, levels=2, features=2, layers=1, condition=condition)
    with pytest.raises(ValueError, match=text):
        health(model, images(labels))
