"""Classes by Bayes, checked against the formula written out by hand."""

import pytest
import torch

from nextpixel import ClassCondition, VectorCondition, build, classify
from tests.laws.cases import disturb

SHAPE = (1, 3, 3)


CLASSES = ClassCondition(3)


def make_model(*, condition=CLASSES, **options):
    """A class-conditional model with random weights, in float64."""
    sizes = {"features": 4, "layers": 1, "side": 3, **options}
    model = build("pixelcnn", shape=SHAPE, levels=2, condition=condition, **sizes)
    return disturb(model.double())


def images(count=7):
    return torch.randint(0, 2, (count, *SHAPE), generator=torch.Generator().manual_seed(0))


def likelihoods(model, levels):
    """p(image | class), shape (N, 3)."""
    labels = [torch.full((len(levels),), label) for label in range(3)]
    return torch.stack([model.log_prob(levels, label).exp() for label in labels], 1).detach()


def test_probabilities_are_those_of_bayes():
    model, levels = make_model(), images()
    of_class = likelihoods(model, levels)
    expected = of_class / of_class.sum(1, keepdim=True)
    assert expected.std(1).min() > 1e-3  # the classes differ
    torch.testing.assert_close(classify(model, levels), expected)


def test_a_prior_weighs_the_classes_and_need_not_sum_to_one():
    model, levels = make_model(), images()
    weighed = likelihoods(model, levels) * torch.tensor([0.7, 0.3, 0.0])
    expected = weighed / weighed.sum(1, keepdim=True)
    torch.testing.assert_close(classify(model, levels, prior=torch.tensor([7, 3, 0])), expected)


def test_probabilities_sum_to_one_where_likelihoods_are_too_small_for_a_float():
    model = build("pixelcnn", shape=(1, 40, 40), levels=2, layers=1, condition=ClassCondition(3))
    disturb(model)
    levels = torch.randint(0, 2, (4, 1, 40, 40))
    label = torch.zeros(4, dtype=torch.int64)
    assert model.log_prob(levels, label).double().exp().max() == 0
    found = classify(model, levels)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(1), torch.ones(4).double())


def test_the_likeliest_class_is_the_one_under_which_the_image_is_likeliest():
    model, levels = make_model(), images()
    assert torch.equal(classify(model, levels).argmax(1), likelihoods(model, levels).argmax(1))


def test_batches_change_nothing_and_every_score_is_counted():
    model, levels, counts = make_model(), images(), []
    found = classify(model, levels, batch_size=3, on_progress=counts.append)
    torch.testing.assert_close(found, classify(model, levels))
    assert counts == [3, 6, 7, 10, 13, 14, 17, 20, 21]


def test_the_mode_of_the_model_is_left_as_it_was():
    model = make_model(batch_norm=True).train()
    classify(model, images())
    assert model.training


def test_a_model_that_may_lack_a_label_is_asked_for_its_classes_only():
    model = make_model(condition=ClassCondition(3, dropout=0.5))
    assert classify(model, images()).shape == (7, 3)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ((), "model must be conditional on a class label alone, got one given nothing"),
        (VectorCondition(2), r"class label alone, got one given vectors \(B, 2\)"),
        ((ClassCondition(3), VectorCondition(2)), "got one given a tuple of labels"),
    ],
    ids=["none", "vector", "two"],
)
def test_a_model_that_knows_no_classes_is_refused(condition, text):
    with pytest.raises(ValueError, match=text):
        classify(make_model(condition=condition), images())


@pytest.mark.parametrize(
    ("prior", "error", "text"),
    [
        ([1, 1, 1], TypeError, "prior must be a tensor of 3 weights, got list"),
        (torch.ones(2), ValueError, r"prior must have shape \(3,\), got \(2,\)"),
        (torch.tensor([1.0, -1, 1]), ValueError, "weights of at least 0, not all 0, got .*-1.0"),
        (torch.tensor([1.0, torch.nan, 1]), ValueError, "weights of at least 0, .*nan"),
        (torch.tensor([1.0, torch.inf, 1]), ValueError, "weights of at least 0, .*inf"),
        (torch.zeros(3), ValueError, "not all 0"),
    ],
    ids=["list", "length", "negative", "nan", "infinite", "zeros"],
)
def test_an_invalid_prior_is_refused(prior, error, text):
    with pytest.raises(error, match=text):
        classify(make_model(), images(), prior=prior)


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match="levels must be a tensor of integers"):
        classify(make_model(), images().float())
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        classify(make_model(), images(0))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        classify(make_model(), images(), batch_size=0)
