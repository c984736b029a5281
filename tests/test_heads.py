"""Heads: exact distributions, whatever the parameters."""

import math

import pytest
import torch

from nextpixel.heads import (
    HEADS,
    Bernoulli,
    BernoulliHead,
    Categorical,
    CategoricalHead,
    Distribution,
    Head,
    LogisticHead,
    make_head,
    register_head,
)
from nextpixel.heads.truncation import Truncation
from nextpixel.models.options import ModelConfig

EXTREME = torch.tensor([-1e4, -90.0, -1.0, 0.0, 1e-8, 40.0, 1e4], dtype=torch.float64)


def head_named(name: str, levels: int):
    return make_head(levels, 1, ModelConfig(head=name))


def random_logits(*shape: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("levels", [2, 5, 256])
def test_probabilities_sum_to_one_for_any_logits(levels, scale):
    distribution = Categorical(random_logits(7, levels, scale=scale))
    total = distribution.logits.logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-12)


def test_both_levels_sum_to_one_for_any_logit():
    total = Bernoulli(EXTREME).logits.logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-12)


def test_an_unlikely_level_has_no_floor():
    assert Bernoulli(torch.tensor([-1e4])).log_prob(torch.tensor([1])).item() == -1e4
    logits = torch.tensor([[0.0, -1e4, 0.0]])
    surprise = -Categorical(logits).log_prob(torch.tensor([1])).item()
    assert surprise == pytest.approx(1e4 + math.log(2))


@pytest.mark.parametrize("distribution", [Bernoulli(EXTREME), Categorical(random_logits(7, 4))])
def test_log_prob_is_the_entry_of_log_probabilities(distribution):
    levels = torch.arange(7) % distribution.level_count
    expected = distribution.logits.gather(-1, levels.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(distribution.log_prob(levels), expected, rtol=0, atol=1e-12)


def test_a_bernoulli_is_the_categorical_of_two_levels():
    both = torch.stack([torch.zeros_like(EXTREME), EXTREME], -1)
    torch.testing.assert_close(Bernoulli(EXTREME).logits, Categorical(both).logits)


def test_entropy_is_the_expected_surprise():
    assert Categorical(torch.zeros(1, 8)).entropy().item() == pytest.approx(math.log(8))
    assert Bernoulli(torch.tensor([-1e4, 1e4])).entropy().tolist() == [0.0, 0.0]


def test_a_uniform_is_inverted_at_the_cumulative_probabilities():
    """p = 1/4, 1/2, 1/4: the steps are at 0.25 and 0.75, and belong to the upper level."""
    logits = torch.tensor([0.25, 0.5, 0.25]).double().log().expand(5, 3)
    uniforms = torch.tensor([0.0, 0.2499, 0.2501, 0.7499, 0.7501]).double()
    assert Categorical(logits).icdf(uniforms).tolist() == [0, 0, 1, 1, 2]


def test_a_level_of_probability_zero_is_never_drawn():
    logits = torch.tensor([[-1e6, 0.0, -1e6]]).double().expand(3, 3)
    uniforms = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert Categorical(logits).icdf(uniforms).tolist() == [1, 1, 1]


def test_temperature_sharpens_and_flattens():
    logits = torch.tensor([[0.0, 2.0]]).double().expand(1000, 2)
    uniforms = torch.linspace(0, 1 - 1e-9, 1000).double()
    ones = [
        Categorical(logits).icdf(uniforms, Truncation(t)).sum().item() for t in (0.25, 1.0, 4.0)
    ]
    expected = [1000 * torch.sigmoid(torch.tensor(2.0 / t)).item() for t in (0.25, 1.0, 4.0)]
    assert ones == pytest.approx(expected, abs=1.5)


UNEQUAL = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15]).double()


@pytest.mark.parametrize(
    ("truncation", "kept"),
    [
        (Truncation(top_k=1), [1]),
        (Truncation(top_k=2), [1, 3]),
        (Truncation(top_k=99), [0, 1, 2, 3, 4]),
        (Truncation(top_p=1e-9), [1]),
        (Truncation(top_p=0.39), [1]),
        (Truncation(top_p=0.41), [1, 3]),
        (Truncation(top_p=1.0), [0, 1, 2, 3, 4]),
        (Truncation(top_k=2, top_p=0.58), [1, 3]),  # 0.4 / 0.7 is 0.571
        (Truncation(top_k=2, top_p=0.57), [1]),
    ],
)
def test_levels_are_left_out_and_the_rest_keep_their_ratios(truncation, kept):
    uniforms = (torch.arange(10_000).double() + 0.5) / 10_000
    drawn = Categorical(UNEQUAL.log().expand(10_000, 5)).icdf(uniforms, truncation)
    shares = drawn.bincount(minlength=5) / 10_000
    expected = torch.zeros(5)
    expected[kept] = (UNEQUAL[kept] / UNEQUAL[kept].sum()).float()
    torch.testing.assert_close(shares, expected, rtol=0, atol=1.5e-4)


def test_of_equally_likely_levels_the_lower_is_kept():
    drawn = Categorical(torch.zeros(50, 4).double()).icdf(
        torch.linspace(0, 0.999, 50).double(), Truncation(top_k=2)
    )
    assert sorted(set(drawn.tolist())) == [0, 1]


@pytest.mark.parametrize(
    ("truncation", "message"),
    [
        (Truncation(0.0), "temperature must be above 0 and finite, got 0.0"),
        (Truncation(math.nan), "temperature must be above 0 and finite, got nan"),
        (Truncation(top_k=0), "top_k must be at least 1, got 0"),
        (Truncation(top_p=0.0), "top_p must be above 0 and at most 1, got 0.0"),
        (Truncation(top_p=1.5), "top_p must be above 0 and at most 1, got 1.5"),
    ],
)
def test_numbers_out_of_range_are_refused(truncation, message):
    with pytest.raises(ValueError, match=message):
        Categorical(torch.zeros(1, 2)).icdf(torch.zeros(1).double(), truncation)


def test_outputs_are_read_color_by_color():
    outputs = torch.arange(2 * 6).float().view(1, 12, 1, 1)
    logits = CategoricalHead(6)(outputs, colors=2).scores
    assert logits.shape == (1, 2, 1, 1, 6)
    assert logits[0, 1, 0, 0].tolist() == [6, 7, 8, 9, 10, 11]
    assert BernoulliHead()(torch.zeros(3, 2, 4, 5), colors=2).logit.shape == (3, 2, 4, 5)


def test_indexing_gives_a_part():
    logits = random_logits(2, 3, 4, 5)
    part = Categorical(logits)[:, 1, 2]
    assert torch.equal(part.scores, logits[:, 1, 2])
    assert torch.equal(Bernoulli(EXTREME)[2:4].logit, EXTREME[2:4])


def test_two_levels_take_one_logit_and_more_take_k():
    assert [head_named("auto", levels).size for levels in (2, 3, 256)] == [1, 3, 256]


def test_more_than_256_levels_and_coupled_colors_take_a_mixture():
    assert isinstance(head_named("auto", 257), LogisticHead)
    assert isinstance(make_head(256, 3, ModelConfig(colors="coupled")), LogisticHead)
    with pytest.raises(ValueError, match="colors must be dependent or independent with the head c"):
        make_head(256, 3, ModelConfig(colors="coupled", head="categorical"))


def test_a_softmax_of_too_many_levels_is_refused():
    assert head_named("categorical", 16_384).size == 16_384
    with pytest.raises(ValueError, match="levels must be 2 to 16384 for the head categorical, got"):
        head_named("categorical", 16_385)


LOGITS = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(3)).double()
OURS = {
    "categorical": (Categorical(LOGITS), torch.distributions.Categorical(logits=LOGITS)),
    "bernoulli": (
        Bernoulli(LOGITS[..., 0]),
        torch.distributions.Categorical(logits=Bernoulli(LOGITS[..., 0]).logits),
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_a_distribution_reads_like_torchs(name):
    ours, theirs = OURS[name]
    assert ours.batch_shape == theirs.batch_shape
    for attribute in ("logits", "probs"):
        torch.testing.assert_close(getattr(ours, attribute), getattr(theirs, attribute))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert torch.equal(ours.mode, theirs.mode)
    value = theirs.sample()
    torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value))
    levels = torch.arange(ours.level_count)
    torch.testing.assert_close(ours.mean, (theirs.probs * levels).sum(-1))


@pytest.mark.parametrize("name", OURS)
def test_the_cumulative_distribution_counts_up_to_and_with_the_level(name):
    ours, theirs = OURS[name]
    for level in range(-1, ours.level_count + 2):
        value = torch.full(ours.batch_shape, level)
        torch.testing.assert_close(ours.cdf(value), theirs.probs[..., : level + 1].sum(-1))


@pytest.mark.parametrize("name", OURS)
def test_samples_follow_the_generator_or_torchs_own(name):
    ours, _ = OURS[name]
    first, second = (ours.sample(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    torch.manual_seed(7)
    third = ours.sample()
    torch.manual_seed(7)
    assert torch.equal(ours.sample(), third)
    many = torch.stack([ours.sample() for _ in range(4000)])
    seen = torch.stack([(many == k).double().mean(0) for k in range(ours.level_count)], -1)
    torch.testing.assert_close(seen, ours.probs, rtol=0, atol=0.04)


@pytest.mark.parametrize("name", OURS)
def test_a_part_or_another_type_of_a_distribution_is_one_of_its_class(name):
    ours, _ = OURS[name]
    assert type(ours[1]) is type(ours)
    assert torch.equal(ours[1, :].probs, ours.probs[1])
    assert ours.to(torch.float32).probs.dtype == torch.float32


DEEPEST = {"bernoulli": 2, "categorical": 300}
EVERY_HEAD = [
    pytest.param(head, levels, mode, id=f"{name}-{mode}-{levels}")
    for name, head in HEADS.items()
    if head.__module__.startswith("nextpixel.")
    for mode in ("independent", "coupled")
    if mode == "independent" or issubclass(head, LogisticHead)
    for levels in (2, 5, 300, 5000)
    if levels in (2, 5, DEEPEST.get(name, 5000))
    if levels <= DEEPEST.get(name, 5000)
]


def of_random_outputs(head: type[Head], levels: int, mode: str) -> Distribution:
    """Of 3 colors, over images (2, 3, 2, 2)."""
    made = head.of(levels, 3, ModelConfig(colors=mode, components=3))
    images = torch.randint(0, levels, (2, 3, 2, 2), generator=torch.Generator().manual_seed(1))
    return made(random_logits(2, made.outputs(3), 2, 2, scale=1.5), 3, images)


@pytest.mark.parametrize(("head", "levels", "mode"), EVERY_HEAD)
def test_mean_mode_and_entropy_are_those_of_the_table_of_all_levels(head, levels, mode):
    ours = of_random_outputs(head, levels, mode)
    assert (ours.batch_shape, ours.level_count) == ((2, 3, 2, 2), levels)
    each = [ours.log_prob(torch.full(ours.batch_shape, level)) for level in range(levels)]
    table = torch.stack(each, -1).exp()
    torch.testing.assert_close(table.sum(-1), torch.ones(2, 3, 2, 2).double())
    torch.testing.assert_close(ours.mean, (table * torch.arange(levels)).sum(-1))
    torch.testing.assert_close(ours.entropy(), -(table * torch.stack(each, -1)).sum(-1))
    assert ours.mode.dtype == torch.int64
    chosen = table.gather(-1, ours.mode.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(chosen, table.amax(-1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("head", "levels", "mode"), EVERY_HEAD)
def test_what_is_drawn_has_the_frequencies_of_the_probabilities(head, levels, mode):
    one, count = of_random_outputs(head, levels, mode)[0, 2, 1, 1], 20_000
    many = one.map(lambda parameter: parameter.expand(count, *parameter.shape))
    drawn = many.sample(torch.Generator().manual_seed(2))
    assert (drawn.dtype, drawn.shape) == (torch.int64, (count,))
    edges = one.probs.cumsum(-1)
    bins = (4 * edges - 1e-9).long().clamp(max=3) if levels > 5 else torch.arange(levels)
    expected = torch.zeros(int(bins.max()) + 1).double().index_add(0, bins, count * one.probs)
    seen = torch.bincount(bins[drawn], minlength=len(expected))
    kept = expected > 5
    surprise = ((seen - expected).square() / expected)[kept].sum()
    assert surprise < 20.0  # chi-square of at most 4 degrees: exceeded once in two thousand
    assert seen[~kept].sum() <= 20


@pytest.mark.parametrize(("head", "levels", "mode"), EVERY_HEAD)
def test_a_distribution_is_shown_in_one_line(head, levels, mode):
    shown = repr(of_random_outputs(head, levels, mode))
    assert shown.endswith(f"(2x3x2x2, {levels:,} levels)")


def test_a_head_is_made_by_its_name():
    assert head_named("categorical", 2).size == 2
    with pytest.raises(ValueError, match="levels must be 2 for the head bernoulli, got 3"):
        head_named("bernoulli", 3)
    with pytest.raises(ValueError, match="no head 'bernouli'; did you mean 'bernoulli'"):
        head_named("bernouli", 2)


def test_a_name_belongs_to_one_head_only():
    class Other(CategoricalHead):
        name = "bernoulli"

    with pytest.raises(ValueError, match="there is a head 'bernoulli' already: BernoulliHead"):
        register_head(Other)
    with pytest.raises(TypeError, match="must be a subclass of Head with a name, got 3"):
        register_head(3)
