"""Conditions: what can be given, how it is checked, and how layers receive it."""

import pytest
import torch
import torch.nn.functional as F

from nextpixel import ClassCondition, MapCondition, VectorCondition, build
from nextpixel.nn import Conditioner, Embedding, Injection, MaskedConv2d
from nextpixel.nn.conditioner import MapMaker
from nextpixel.nn.conv import ConditionalConv2d

SHAPE = (1, 4, 6)


def conditioner(*conditions):
    return Conditioner(conditions, SHAPE).double()


def condition_for(condition, label):
    """The embedding of one label, in float64."""
    embedding = conditioner(condition)(torch.tensor([label]), 1)
    return Embedding(tuple(part.double() for part in embedding.parts))


def test_a_label_is_embedded_as_a_one_hot_vector():
    embedding = conditioner(ClassCondition(3))(torch.tensor([2, 0]), 2)
    assert embedding.parts[0].squeeze().tolist() == [[0, 0, 1], [1, 0, 0]]


def test_an_unknown_label_is_embedded_as_nothing():
    optional = conditioner(ClassCondition(3, dropout=0.1))
    assert optional(torch.tensor([-1, 1]), 2).parts[0].squeeze().tolist() == [[0, 0, 0], [0, 1, 0]]
    assert not optional(None, 2).parts[0].any()


def test_a_map_is_widened_to_the_image_by_repeating():
    embedding = conditioner(MapCondition(1))(torch.tensor([[[[1.0, 2.0]]]]), 1)
    assert embedding.parts[0][0, 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 4


def test_a_window_cuts_maps_and_leaves_vectors():
    embedding = Embedding((torch.ones(1, 2, 1, 1), torch.arange(24.0).view(1, 1, 4, 6)))
    vector, cut = embedding.window((1, 2), 2, 3).parts
    assert vector.shape == (1, 2, 1, 1)
    assert cut[0, 0].tolist() == [[8, 9, 10], [14, 15, 16]]


def test_several_conditions_come_as_a_tuple():
    both = conditioner(ClassCondition(3), VectorCondition(2))
    embedding = both((torch.tensor([1]), torch.tensor([[5.0, 6.0]])), 1)
    assert [part.flatten().tolist() for part in embedding.parts] == [[0, 1, 0], [5, 6]]


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 28, 28), (3, 5, 7), (1, 1, 2)])
def test_a_vector_becomes_a_map_of_the_images_size(shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)  # a few weights can leave a small map all alike
        s = MapMaker(10, 3, shape)(torch.randn(2, 10, 1, 1))
    assert s.shape == (2, 3, *shape[1:])
    assert s[0, 0].std() > 0, "places differ"


def test_input_form_computes_w_of_x_plus_w_h():
    """Seed 000: the convolution reads x + W h, and its padding stays zero."""
    conv = MaskedConv2d(2, 4, 3, sees_self=True).double()
    layer = ConditionalConv2d(conv, conditioner(ClassCondition(3, form="input"))).double()
    x = torch.randn(1, 2, 4, 6).double()
    added = layer(x, condition_for(ClassCondition(3, form="input"), 1))
    weights = layer.inject.before.layers["0"].weight[:, 1, 0, 0]
    torch.testing.assert_close(added, conv(x + weights.view(1, 2, 1, 1)))


def test_bias_form_computes_w_x_plus_b_plus_v_y():
    """Seed 004: the convolution gives W x + b + V y."""
    conv = MaskedConv2d(2, 4, 3, sees_self=True).double()
    layer = ConditionalConv2d(conv, conditioner(ClassCondition(3))).double()
    x = torch.randn(1, 2, 4, 6).double()
    added = layer(x, condition_for(ClassCondition(3), 2))
    bias = layer.inject.after.layers["0"].weight[:, 2, 0, 0]
    torch.testing.assert_close(added, conv(x) + bias.view(1, 4, 1, 1))


def test_gate_form_adds_v_h_inside_both_halves_after_the_link():
    """Seed 002, eq. 3: y = tanh(W_f x + V_f h) * sigmoid(W_g x + V_g h)."""
    model = build(
        "gated-pixelcnn", shape=SHAPE, levels=2, features=3, layers=0, first_side=3,
        condition=ClassCondition(3, form="gate"),
    ).double()  # fmt: skip
    layer, x = model.first, torch.randn(1, 2, 4, 6).double()
    embedding = model.condition(torch.tensor([1]), 1)
    inside = layer.horizontal(x) + layer.link(layer.vertical(x))
    added = layer.inject_gate_h.layers["0"].weight[:, 1, 0, 0].view(1, 6, 1, 1)
    f, g = (inside + added).chunk(2, 1)
    expected = layer.out(torch.tanh(f) * torch.sigmoid(g))
    torch.testing.assert_close(layer(x, x, embedding)[1], expected)


def test_an_injection_adds_the_sum_of_its_parts():
    layer = Injection([2, 0, 1], 3).double()
    parts = (torch.randn(1, 2, 1, 1), torch.randn(1, 9, 1, 1), torch.randn(1, 1, 4, 6))
    embedding = Embedding(tuple(part.double() for part in parts))
    x = torch.zeros(1, 3, 4, 6).double()
    first, third = layer.layers["0"].weight, layer.layers["2"].weight
    expected = F.conv2d(embedding.parts[0], first) + F.conv2d(embedding.parts[2], third)
    torch.testing.assert_close(layer(x, embedding), expected)


def test_hidden_labels_are_the_share_that_was_asked_for():
    labels = torch.ones(4000, dtype=torch.int64)
    optional, strict = conditioner(ClassCondition(3, dropout=0.25)), conditioner(ClassCondition(3))
    rng = torch.Generator().manual_seed(0)
    share = (optional.hide(labels, rng) == -1).double().mean().item()
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / 4000) ** 0.5
    assert torch.equal(strict.hide(labels, rng), labels)


LABELS, VECTORS, MAPS = ClassCondition(3), VectorCondition(2), MapCondition(1)
REFUSED = [
    ((), torch.zeros(2).long(), ValueError, "must be None: the model was built without one"),
    ((LABELS,), None, ValueError, "must be given: labels (B,), 0..2"),
    ((LABELS,), [0, 1], TypeError, "must be a tensor of labels, integers of shape (B,), 0..2"),
    ((LABELS,), torch.zeros(2), TypeError, "must be labels, integers, got torch.float32"),
    ((LABELS,), torch.tensor([0, 3]), ValueError, "must be labels 0..2, got 0..3"),
    ((LABELS,), torch.tensor([-1, 0]), ValueError, "must be labels 0..2, got -1..0"),
    ((LABELS,), torch.zeros(2, 1).long(), ValueError, "got shape (2, 1)"),
    ((LABELS,), torch.zeros(3).long(), ValueError, "must have one entry an image, 2, got 3"),
    ((VECTORS,), torch.zeros(2, 3), ValueError, "must have shape (B, 2), got (2, 3)"),
    ((VECTORS,), torch.zeros(2, 2).long(), TypeError, "must be floats, got torch.int64"),
    ((VECTORS,), torch.full((2, 2), torch.nan), ValueError, "must be finite numbers"),
    ((MAPS,), torch.zeros(2, 1, 3, 6), ValueError, "h and w dividing 4 and 6"),
    ((MAPS,), torch.zeros(2, 2, 4, 6), ValueError, "must have shape (B, 1, 4, 6)"),
    ((MAPS,), torch.zeros(2, 1, 0, 6), ValueError, "h and w dividing 4 and 6"),
    ((LABELS, VECTORS), torch.zeros(2).long(), ValueError, "must be a tuple of labels (B,), 0..2"),
    ((LABELS, VECTORS), None, ValueError, "must be given: a tuple of"),
]


@pytest.mark.parametrize(("conditions", "value", "error", "text"), REFUSED)
def test_a_condition_that_does_not_fit_is_a_plain_error(conditions, value, error, text):
    with pytest.raises(error) as caught:
        conditioner(*conditions)(value, 2)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ClassCondition(0), "classes must be at least 1, got 0"),
        (lambda: ClassCondition(3, form="gait"), "form must be one of input, bias, gate, map"),
        (lambda: ClassCondition(3, dropout=1.0), "dropout must be at least 0 and below 1"),
        (lambda: VectorCondition(0), "size must be at least 1, got 0"),
        (lambda: MapCondition(1, form="bias"), "form must be one of map, input, gate"),
    ],
)
def test_a_condition_that_is_invalid_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_gate_is_refused_where_there_is_none():
    with pytest.raises(
        ValueError, match="form must be input, bias or map in a model without gates"
    ):
        build("pixelcnn", shape=SHAPE, levels=2, condition=ClassCondition(3, form="gate"))


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ([{"klasses": 3}], "condition must have one of classes, size, channels"),
        ([{"classes": 3, "frm": "bias"}], "unknown key 'frm'; did you mean 'form'"),
        ([{"classes": "three"}], "classes must be an integer, got 'three'"),
        (5, "condition must have one of classes, size, channels, .* or none, got 5"),
    ],
)
def test_conditions_from_files_are_read_strictly(condition, text):
    with pytest.raises(ValueError, match=text):
        build("pixelcnn", shape=SHAPE, levels=2, condition=condition)


def test_conditions_change_the_prediction_and_survive_a_file(tmp_path):
    from nextpixel import load, save

    condition = [ClassCondition(3, form="gate"), MapCondition(2)]
    model = build(
        "gated-pixelcnn", shape=SHAPE, levels=2, layers=1, features=4, condition=condition
    )
    torch.nn.init.normal_(model.last.weight)
    levels = torch.zeros(2, *SHAPE, dtype=torch.int64)
    value = (torch.tensor([0, 1]), torch.randn(2, 2, 2, 3))
    log_p = model.log_prob(levels, value)
    assert log_p[0] != log_p[1]
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config.condition == tuple(condition)
    assert torch.equal(again.log_prob(levels, value), log_p)
