"""A likelihood counts every image once, in evaluation mode, and says what it is of."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import nextpixel as npx
from nextpixel.data import Split
from nextpixel.evaluation import Difference, Evaluation, Region
from nextpixel.health import Health
from nextpixel.likelihood import evaluation_mode, log_probs
from tests.laws.cases import CASES

EXAMPLE = Evaluation(81.2345, 0.1234, 0.14951, 10_000, "threshold", "mnist/test")


@pytest.fixture
def model():
    """Batch norm, 3 levels, float64."""
    return CASES["plain-batch-norm"].build(4, 5)


@pytest.fixture
def levels():
    return torch.randint(3, (7, 1, 4, 5), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def split(levels):
    return Split("some/test", levels.to(torch.uint8), None, 3, "levels", 0)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7, 100])
def test_every_image_counts_once_whatever_the_batches(model, levels, batch_size):
    with torch.inference_mode():
        single = [model.log_prob(image.unsqueeze(0)).item() for image in levels]
    found = npx.evaluate(model, levels, batch_size=batch_size)
    assert found.nats == pytest.approx(-math.fsum(single) / 7, rel=1e-14)
    assert found.n == 7


def test_log_probs_come_in_the_order_of_the_images(model, levels):
    found = log_probs(model, levels, batch_size=3)
    assert (found.shape, found.dtype) == ((7,), torch.float64)
    torch.testing.assert_close(found, model.log_prob(levels), rtol=1e-14, atol=0)


def test_the_mean_of_a_float32_model_is_taken_in_float64(model, levels):
    single = log_probs(model.float(), levels, batch_size=3)
    assert single.dtype == torch.float64
    found = npx.evaluate(model, levels, batch_size=3).nats
    assert found == pytest.approx(-math.fsum(single.tolist()) / 7, rel=1e-15)


class Fixed:
    """A distribution that gives each image of a batch its own log-probabilities."""

    def __init__(self, log_p):
        self.log_p = log_p

    def log_prob(self, levels):
        return self.log_p[: len(levels)]


@pytest.fixture
def by_hand(monkeypatch):
    """Surprises of 2, 4 and 9 nats: mean 5, deviations -3, -1 and 4, variance 26 / 2."""
    model = npx.build("pixelcnn", shape=(2, 1, 3), levels=2, features=2, layers=1)
    log_p = -torch.tensor([[[[1.0, 0, 0]], [[0, 0, 1]]], [[[0, 1, 1]], [[0, 0, 2]]],
                           [[[0, 3, 0]], [[0, 0, 6]]]])  # fmt: skip
    monkeypatch.setattr(model, "forward", lambda batch, _=None: Fixed(log_p))
    return model


HAND = torch.zeros(3, 2, 1, 3, dtype=torch.int64)


def test_figures_by_hand(by_hand):
    found = npx.evaluate(by_hand, HAND)
    assert found.nats == 5
    assert found.standard_error == pytest.approx(math.sqrt(13 / 3), rel=1e-15)
    assert found.bits_per_dim == pytest.approx(5 / (6 * math.log(2)), rel=1e-15)
    assert found.bits_error == pytest.approx(math.sqrt(13 / 3) / (6 * math.log(2)), rel=1e-15)
    assert found.by_color == pytest.approx([2 / (3 * math.log(2)), 3 / (3 * math.log(2))])
    assert found.region is None


def test_a_region_by_hand(by_hand):
    """The last column: 1, 3 and 6 nats."""
    region = torch.tensor([[False, False, True]])
    found = npx.evaluate(by_hand, HAND, region=region).region
    assert (found.nats, found.sub_pixels) == (pytest.approx(10 / 3), 2)
    assert found.standard_error == pytest.approx(torch.tensor([1.0, 3, 6]).std() / math.sqrt(3))
    assert found.bits_per_dim == pytest.approx(10 / 3 / (2 * math.log(2)))
    red = torch.zeros(2, 1, 3, dtype=torch.bool)
    red[0] = True
    assert npx.evaluate(by_hand, HAND, region=red).region.nats == pytest.approx(2)


@pytest.mark.parametrize(("region", "error", "text"), [
    (torch.ones(1, 3), TypeError, "region must be a boolean tensor, got torch.float32"),
    (torch.ones(3, 1).bool(), ValueError, r"region must have shape \(1, 3\) or \(2, 1, 3\)"),
    (torch.zeros(1, 3).bool(), ValueError, "region must hold at least one sub-pixel, got none"),
])  # fmt: skip
def test_a_region_that_is_none_is_refused(by_hand, region, error, text):
    with pytest.raises(error, match=text):
        npx.evaluate(by_hand, HAND, region=region)


def test_regions_that_share_an_image_out_share_its_likelihood(model, levels):
    left = torch.zeros(model.shape[1:], dtype=torch.bool)
    left[:, :2] = True
    whole = npx.evaluate(model, levels)
    parts = [npx.evaluate(model, levels, region=part).region for part in (left, ~left)]
    assert sum(part.nats for part in parts) == pytest.approx(whole.nats)


def test_a_map_has_the_bits_of_every_sub_pixel(model, levels):
    found = npx.surprise_map(model, levels, batch_size=3)
    assert (found.shape, found.dtype) == (levels.shape, torch.float32)
    bits = found.double().sum((1, 2, 3)) * math.log(2)
    torch.testing.assert_close(bits, -log_probs(model, levels), rtol=1e-5, atol=1e-5)


def test_the_difference_of_models_is_taken_image_by_image(model, levels):
    other = npx.build("pixelcnn", shape=model.shape, levels=model.levels, features=2, layers=1)
    other = other.double()
    each = log_probs(other, levels) - log_probs(model, levels)
    found = npx.compare(model, other, levels)
    assert found.nats == pytest.approx(each.mean().item())
    assert found.standard_error == pytest.approx(each.std().item() / math.sqrt(len(levels)))
    assert npx.compare(model, model, levels).nats == 0
    assert npx.compare(other, model, levels).nats == pytest.approx(-found.nats)


def test_models_of_other_images_are_not_compared(model, levels):
    other = npx.build("pixelcnn", shape=model.shape, levels=7, features=2, layers=1)
    with pytest.raises(ValueError, match="both models must be of the same images"):
        npx.compare(model, other, levels)


def test_a_uniform_model_needs_the_bits_of_its_levels():
    model = npx.build("pixelcnn", shape=(3, 4, 4), levels=8, features=3, layers=1)
    found = npx.evaluate(model, torch.zeros(2, 3, 4, 4, dtype=torch.int64))
    assert found.bits_per_dim == pytest.approx(3, rel=1e-6)


def test_two_images_have_a_standard_error_of_half_their_difference(model, levels):
    first, second = log_probs(model, levels[:2]).tolist()
    found = npx.evaluate(model, levels[:2]).standard_error
    assert found == pytest.approx(abs(first - second) / 2)


def test_a_single_image_has_no_standard_error(model, levels):
    found = npx.evaluate(model, levels[:1])
    assert math.isnan(found.standard_error)
    assert found.as_dict()["standard_error"] is None


def test_the_set_and_its_protocol_are_named(model, split, levels):
    found = npx.evaluate(model, split)
    assert (found.protocol, found.data, found.n) == ("levels", "some/test", 7)
    assert found.nats == npx.evaluate(model, levels).nats


def test_levels_without_a_set_are_named_so(model, levels):
    found = npx.evaluate(model, levels)
    assert (found.protocol, found.data) == ("levels", "levels given")


def test_the_fixed_draw_of_dynamic_levels_is_evaluated():
    pixels = torch.full((9, 1, 4, 4), 128, dtype=torch.uint8)
    split = Split("gray/test", pixels, None, 2, "dynamic", 0)
    model = CASES["plain"].build(4, 4)
    first, second = (npx.evaluate(model, split) for _ in range(2))
    assert first == second
    assert first.protocol == "dynamic"
    assert first.nats == npx.evaluate(model, split.levels).nats


def test_a_model_in_training_mode_is_evaluated_in_evaluation_mode(model, levels):
    expected = npx.evaluate(model.eval(), levels)
    buffers = {name: tensor.clone() for name, tensor in model.named_buffers()}
    assert npx.evaluate(model.train(), levels) == expected
    assert all(torch.equal(buffers[name], tensor) for name, tensor in model.named_buffers())


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_mode_of_the_model_is_restored(model, levels, training):
    npx.evaluate(model.train(training), levels)
    assert {module.training for module in model.modules()} == {training}


def test_each_layer_gets_its_own_mode_back(model):
    model.train()
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module for module in model.modules() if not module.training] == [norm]


def test_the_mode_is_restored_after_an_error(model, levels):
    def fail(_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        npx.evaluate(model.train(), levels, on_progress=fail)
    assert model.training


def test_no_gradients_are_kept(model, levels):
    assert not log_probs(model, levels).requires_grad


def test_progress_counts_images(model, levels):
    seen = []
    npx.evaluate(model, levels, batch_size=3, on_progress=seen.append)
    assert seen == [3, 6, 7]


def test_an_evaluation_is_one_line_for_people():
    assert str(EXAMPLE) == (
        "81.23 +- 0.12 nats per image, 0.1495 bits/dim "
        "(10,000 images of mnist/test, protocol threshold)"
    )


def test_nothing_is_not_less_than_nothing():
    for figure in (-1e-9, -0.0):
        lines = [
            str(replace(EXAMPLE, nats=figure, bits_per_dim=figure)),
            str(Region(figure, 0.0, figure, 3)),
            str(Difference(figure, 0.0, figure, 3)),
            str(Health(right=figure, shuffled=figure, none=figure, n=3)),
        ]
        assert not [line for line in lines if "-0.0" in line]


def test_an_evaluation_is_plain_values_for_programs():
    example = replace(EXAMPLE, bits_error=0.25, by_color=(1.0, 2.0))
    values = json.loads(json.dumps(example.as_dict(), allow_nan=False))
    values["by_color"] = tuple(values["by_color"])
    assert Evaluation(conditioned_on=values.pop("given"), **values) == example


def test_no_images_are_refused(model, levels):
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        npx.evaluate(model, levels[:0])


WRONG = {
    "floats": (torch.zeros(2, 1, 4, 5), TypeError, r"integers 0\.\.2, got torch\.float32"),
    "list": ([[0]], TypeError, r"images must be a part of a data set or a tensor, got list"),
    "too-high": (torch.full((2, 1, 4, 5), 3), ValueError, r"levels must be 0\.\.2, got 3\.\.3"),
    "negative": (torch.full((2, 1, 4, 5), -1), ValueError, r"levels must be 0\.\.2, got -1\.\.-1"),
    "colors": (torch.zeros(2, 3, 4, 5).long(), ValueError, r"shape \(B, 1, 4, 5\), got \(2, 3, 4"),
    "one-image": (torch.zeros(1, 4, 5).long(), ValueError, r"must have shape \(B, 1, 4, 5\)"),
}


@pytest.mark.parametrize(("images", "error", "text"), WRONG.values(), ids=WRONG.keys())
def test_images_that_do_not_fit_the_model_are_refused(model, images, error, text):
    with pytest.raises(error, match=text):
        npx.evaluate(model, images)


def test_a_bad_image_at_the_end_is_found_before_the_first_batch(model, levels):
    levels[-1] = 9
    seen = []
    with pytest.raises(ValueError, match=r"levels must be 0\.\.2, got 0\.\.9"):
        npx.evaluate(model, levels, batch_size=2, on_progress=seen.append)
    assert not seen


def test_a_set_of_fewer_levels_than_the_models_is_refused(model):
    split = Split("two/test", torch.zeros(2, 1, 4, 5, dtype=torch.uint8), None, 2, "levels", 0)
    text = "images must have the model's 3 levels, got two/test with 2"
    with pytest.raises(ValueError, match=text):
        npx.evaluate(model, split)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batches_hold_at_least_one_image(model, levels, batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {batch_size}"):
        npx.evaluate(model, levels, batch_size=batch_size)


def test_likelihoods_are_of_full_float32(model):
    before = torch.backends.cudnn.allow_tf32
    with evaluation_mode(model):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_single_image_gives_no_standard_error_and_no_nan(model):
    levels = torch.zeros(1, *model.shape, dtype=torch.long)
    found = npx.evaluate(model, levels, region=torch.ones(model.shape[1:], dtype=torch.bool))
    assert math.isnan(found.standard_error)
    assert "1 image of levels given, hence no standard error" in str(found)
    for text in (str(found), str(found.region), str(npx.compare(model, model, levels))):
        assert "nan" not in text
        assert "+-" not in text
    values = found.as_dict()
    assert values["standard_error"] is values["bits_error"] is None
    assert values["region"]["standard_error"] is None
