"""The model is what it says: a causal factorisation whose probabilities sum to one."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from nextpixel import models
from nextpixel.audit import audit
from nextpixel.models import Mixture, PixelModel
from nextpixel.models.registry import MODELS
from nextpixel.nn import MaskedConv2d
from nextpixel.order import Step, index_of
from tests.laws.cases import CASES, Case, condition_for, disturb, own_indices


def all_images(model: PixelModel) -> Tensor:
    count = model.colors * model.shape[1] * model.shape[2]
    images = torch.tensor(list(product(range(model.levels), repeat=count)))
    return images.view(-1, *model.shape)


def random_levels(model: PixelModel, count: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.levels, (count, *model.shape), generator=rng)


def test_every_registered_model_has_a_case():
    assert {case.model for case in CASES.values()} == {model.name for model in (*MODELS, Mixture)}


def test_no_sub_pixel_sees_itself_or_a_later_one(model):
    found = audit(model)
    assert found.leaks() == []
    assert found.causal


def test_every_step_but_the_first_sees_some_of_its_past(model):
    found = audit(model, probes=8)  # a ReLU may be off in one of them
    follows_a_pixel = found.past.sum(1) >= model.colors
    assert (found.sees.sum(1)[follows_a_pixel] > 0).all()


def test_no_step_sees_beyond_the_reach_that_the_model_states(case):
    model = case.build(9, 9)
    found = audit(model)
    step = Step(row=8, column=4, color=0)
    seen = found.field(step).any(0).nonzero()
    assert (8 - seen[:, 0]).max() <= model.reach
    assert (seen[:, 1] - 4).abs().max() <= model.reach


def test_later_levels_never_change_an_earlier_prediction(model):
    """The same law by another road: finite changes, not derivatives."""
    levels, others = random_levels(model, 2, seed=1), random_levels(model, 2, seed=2)
    step = Step(row=2, column=3, color=model.colors - 1)
    indices = own_indices(model)
    mixed = torch.where(indices > indices[step.row, step.column], others, levels)
    mixed[:, step.color, step.row, step.column] = others[:, step.color, step.row, step.column]
    here = (slice(None), slice(None), step.row, step.column)
    torch.testing.assert_close(
        model(mixed, condition_for(model, 2))[here].logits,
        model(levels, condition_for(model, 2))[here].logits,
        rtol=0,
        atol=1e-12,
    )


def test_probabilities_of_all_tiny_images_sum_to_one(tiny_model):
    images = all_images(tiny_model)
    conditions = [condition_for(tiny_model, len(images), seed) for seed in range(3)]
    if conditions[0] is None:
        conditions = [None]
    log_total = torch.stack(
        [tiny_model.log_prob(images, condition_for).logsumexp(0) for condition_for in conditions]
    )
    torch.testing.assert_close(log_total, torch.zeros_like(log_total), rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plusplus", "plusplus-class"])
def test_probabilities_of_all_images_of_the_least_size_sum_to_one(name):
    """4x4 pixels of two levels: 65,536 images."""
    model = CASES[name].with_levels(2).build(4, 4)
    images = all_images(model).int()
    log_p = [model.log_prob(part, condition_for(model, len(part))) for part in images.split(4096)]
    assert torch.cat(log_p).logsumexp(0).item() == pytest.approx(0, abs=1e-10)


def test_gradient_reaches_every_parameter(model):
    rng = torch.Generator().manual_seed(2)
    levels = random_levels(model, 16)
    makes_its_own = model.own_condition(levels) is not None
    condition = None if makes_its_own else model.conditioner.example(16, rng)
    (-model.log_prob(levels, condition)).mean().backward()
    dead = [name for name, value in model.named_parameters() if not value.grad.any()]
    assert dead == []


def test_colors_of_a_pixel_depend_on_each_other_as_declared(color_case):
    case = color_case
    model = case.build(3, 3)
    found = audit(model, probes=12)  # a ReLU may be off in one of them
    here = [index_of(Step(1, 1, color), model.shape) for color in range(case.colors)]
    within = found.sees[here][:, here]
    dependent = case.options.get("colors", "dependent") != "independent"
    expected = torch.ones_like(within).tril(-1) if dependent else torch.zeros_like(within)
    assert within.tolist() == expected.tolist()


def unmask_centre(model: PixelModel) -> None:
    first = next(layer for layer in model.modules() if isinstance(layer, MaskedConv2d))
    reach = first.side // 2
    first.mask[:, :, reach, reach] = True


def unmask_one_future_tap(model: PixelModel) -> None:
    layer = [layer for layer in model.modules() if isinstance(layer, MaskedConv2d)][1]
    layer.mask[:, :, -1, -1] = True


@pytest.mark.parametrize("fault", [unmask_centre, unmask_one_future_tap])
def test_the_laws_catch_a_planted_leak(fault):
    model = CASES["plain"].build(2, 2)
    fault(model)
    assert not audit(model, probes=6).causal
    assert model.log_prob(all_images(model)).logsumexp(0).abs() > 1e-4


def test_the_audit_catches_mask_b_that_connects_all_colors():
    """Seed 003's reading of mask B: R of layer two would read what has seen the current G."""
    model = CASES["plain-dependent-colors"].build(3, 3)
    for layer in model.modules():
        if isinstance(layer, MaskedConv2d) and layer.side == 1:
            layer.mask[:] = True
    assert not audit(model).causal


def test_an_unmasked_1x1_layer_lets_a_color_see_itself():
    model = CASES["gated-dependent-colors"].build(3, 3)
    model.squash.mask[:] = True
    assert not audit(model, probes=6).causal


def test_plain_mask_a_at_the_centre_leaves_green_blind_to_red():
    """What seed 004's published code does: causal, but not the graph that it declares."""
    model = CASES["plain-dependent-colors"].build(3, 3)
    first = next(layer for layer in model.modules() if isinstance(layer, MaskedConv2d))
    first.mask[:, :, -1, 1] = False
    found = audit(model, probes=12)
    here = [index_of(Step(1, 1, color), model.shape) for color in range(3)]
    assert found.causal
    assert not found.sees[here][:, here].any()


def test_the_audit_catches_instance_norm():
    """Statistics over the image leak the future, in evaluation mode too."""
    model = CASES["plain-batch-norm"].build(3, 3)
    for layer in model.hidden:
        layer.norm = nn.InstanceNorm2d(6).double()
    assert not audit(model).causal


def test_batch_norm_leaks_in_training_mode_and_is_refused_there():
    model = CASES["plain-batch-norm"].build(4, 4).train()
    levels = random_levels(model, 2).double().requires_grad_()
    first = model.predict(levels).logits[0, 0, 0, 0]
    (seen,) = torch.autograd.grad(first[0], levels)
    assert seen[0, 0].flatten()[1:].any(), "the first pixel sees its future"
    assert seen[1].any(), "and another image"
    with pytest.raises(ValueError, match="log_prob must be taken in evaluation mode"):
        model.log_prob(levels.long())


@pytest.mark.parametrize("layers", [3, 8])
def test_a_plain_stack_has_the_known_blind_spot(layers):
    """3x3 kernels on 4x4 pixels: 11 pairs stay unseen, however many layers there are."""
    options = {"features": 6, "layers": layers, "side": 3}
    model = disturb(models.build("pixelcnn", shape=(1, 4, 4), levels=2, **options).double())
    past = torch.ones(16, 16, dtype=torch.bool).tril(-1)
    assert (past & ~audit(model, probes=6).sees).sum() == 11


def test_levels_map_to_the_same_prediction_in_any_integer_type(model):
    levels = random_levels(model, 2)
    expected = model.log_prob(levels, condition_for(model, 2))
    for dtype in (torch.uint8, torch.int32):
        found = model.log_prob(levels.to(dtype), condition_for(model, 2))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_case_builds_are_not_trivial(case: Case):
    """Predictions differ between images: else the laws above would hold of nothing."""
    model = case.build(5, 6)
    log_p = model.log_prob(random_levels(model, 4), condition_for(model, 4))
    assert log_p.std() > 0.1
