"""The mixture of logistics: sums to one, is exact in its tails, is drawn from as it is scored."""

import decimal
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import nextpixel as npx
from nextpixel.heads import LogisticHead, LogisticMixture, Query, Spot
from nextpixel.heads.compiled_logistic import FIRST
from nextpixel.heads.logistic import LEAST_SCALE
from nextpixel.heads.truncation import Truncation

MEANS = (-1e9, -3.0, 0.0, 0.3, 1.5, 1e9)
SCALES = (1e-8, 1e-3, 0.1, 1.0, 1e3, 1e8)


def mixture(mean: float, scale: float, levels: int, kind=LogisticMixture) -> LogisticMixture:
    """Two components next to each other, in float64."""
    means = torch.tensor([[mean, mean + 2]], dtype=torch.float64)
    scales = torch.tensor([[scale, 3 * scale]], dtype=torch.float64)
    return kind(torch.tensor([[0.0, 1.0]]).double(), means, scales.log(), levels)


def far_from_one(kind, levels: int) -> float:
    """The largest error of the sum over all levels, for extreme means and scales."""
    means = (*MEANS, levels / 2 + 0.5, levels - 1.0, levels + 1e6)
    found = [mixture(*pair, levels, kind) for pair in itertools.product(means, SCALES)]
    return max(abs(one.log_prob(torch.arange(levels)).exp().sum().item() - 1) for one in found)


@pytest.mark.parametrize("levels", [4, 5, 256, 1024, 4096, 65536])
def test_all_levels_sum_to_one_whatever_means_and_scales_are(levels):
    assert far_from_one(LogisticMixture, levels) < 1e-9


class FloatEdges(LogisticMixture):
    """The planted fault of public code: tails begin at +-0.999 of the scale, at any depth."""

    def component_log_prob(self, value):
        x = value.double() * (2 / (self.levels - 1)) - 1
        value = torch.where(x < -0.999, 0, torch.where(x > 0.999, self.levels - 1, value))
        return super().component_log_prob(value)


class FlooredShare(LogisticMixture):
    """The planted fault: probabilities are at least 1e-5 in place of an exact small one."""

    def component_log_prob(self, value):
        return super().component_log_prob(value).clamp(min=math.log(1e-5))


@pytest.mark.parametrize(("kind", "least"), [(FloatEdges, 1.0), (FlooredShare, 0.3)])
def test_the_sum_shows_planted_faults(kind, least):
    assert far_from_one(kind, 65536) > least


def exact_log_prob(level: int, mean: float, scale: float, levels: int) -> float:
    """By 400 digits."""
    with decimal.localcontext(prec=400, Emax=10**9, Emin=-(10**9)):

        def sigmoid(edge: decimal.Decimal) -> decimal.Decimal:
            return 1 / (1 + (-edge / decimal.Decimal(scale)).exp())

        sign = -1 if level > mean else 1  # of both edges, so that no two numbers near 1 are left
        edges = [decimal.Decimal(sign * (level + side - mean)) for side in (0.5, -0.5)]
        one, none = decimal.Decimal(1), decimal.Decimal(0)
        above = (one if sign > 0 else none) if level == levels - 1 else sigmoid(edges[0])
        under = (none if sign > 0 else one) if level == 0 else sigmoid(edges[1])
        return float((sign * (above - under)).ln())


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0, 1e5])
@pytest.mark.parametrize("mean", [-3.0, 0.25, 700.0, 1100.0])
def test_log_probabilities_are_exact_in_the_tails_too(mean, scale):
    levels = torch.tensor([0, 1, 5, 511, 701, 1022, 1023])
    one = torch.tensor([mean], dtype=torch.float64)
    found = LogisticMixture(torch.zeros_like(one), one, one * 0 + math.log(scale), 1024)
    exact = [exact_log_prob(int(k), mean, scale, 1024) for k in levels]
    torch.testing.assert_close(
        found.map(lambda p: p.expand(7, 1)).log_prob(levels),
        torch.tensor(exact, dtype=torch.float64), rtol=1e-12, atol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("levels", [256, 65536])
def test_the_least_scale_is_of_a_bin_at_any_depth(levels):
    head = LogisticHead(levels, components=1)
    middle = levels // 2
    outputs = torch.tensor([0.0, 2 * middle / (levels - 1) - 1, -100.0]).double().view(1, 3, 1, 1)
    found = head(outputs, 1)
    assert found.log_scales.exp().item() == pytest.approx(LEAST_SCALE)
    assert found.log_prob(torch.tensor([[[[middle]]]])).exp().item() > 1 - 1e-6


def random_outputs(head: LogisticHead, colors: int, count: int, spread: float = 1.0):
    rng = torch.Generator().manual_seed(3)
    noise = torch.randn(count, head.outputs(colors), 1, 1, generator=rng)
    return (head.initial(colors)[:, None, None] + spread * noise).float()


def test_coupled_colors_are_one_mixture_of_the_pixel():
    head = LogisticHead(16, 3, components=4, coupled=True)
    outputs = random_outputs(head, 3, 5, spread=0.2).double()  # 1 - (1 - p) is not small
    levels = torch.randint(16, (5, 3, 1, 1), generator=torch.Generator().manual_seed(0))
    found = head(outputs, 3, levels).log_prob(levels).sum((1, 2, 3))
    parts = outputs[:, :, 0, 0].split(4, 1)
    x = levels[:, :, 0, 0].double() * 2 / 15 - 1
    red, green = x.unsqueeze(-1).unbind(1)[:2]
    tied = [torch.tanh(parts[at]) for at in (5, 8, 9)]
    means = [parts[1], parts[3] + tied[0] * red, parts[6] + tied[1] * red + tied[2] * green]
    total = parts[0].log_softmax(-1)
    for color, (mean, at) in enumerate(zip(means, (2, 4, 7), strict=True)):
        half, k = 1 / 15, levels[:, color, 0]
        rate = torch.exp(-parts[at])
        above = torch.where(k == 15, 1, torch.sigmoid((x[:, color, None] + half - mean) * rate))
        under = torch.where(k == 0, 0, torch.sigmoid((x[:, color, None] - half - mean) * rate))
        total = total + (above - under).log()
    torch.testing.assert_close(found, total.logsumexp(-1), rtol=1e-9, atol=1e-9)


def test_a_pixel_of_coupled_colors_sums_to_one_and_has_its_colors_depend_on_each_other():
    head = LogisticHead(5, 3, components=3, coupled=True)
    outputs = random_outputs(head, 3, 1).double().expand(125, -1, -1, -1)
    every = torch.tensor(list(itertools.product(range(5), repeat=3))).view(125, 3, 1, 1)
    log_p = head(outputs, 3, every).log_prob(every)[..., 0, 0]
    assert log_p.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-12)
    alone = log_p.view(5, 5, 5, 3)
    assert (alone[..., 0] - alone[:, :1, :1, 0]).abs().max() < 1e-12  # red of its past only
    assert (alone[0, :, 0, 1] - alone[4, :, 0, 1]).abs().max() > 0.1  # green of red
    assert (alone[:, :, :1, 1] - alone[..., 1]).abs().max() < 1e-12  # and not of blue


def test_sampling_is_by_the_sum_up_to_a_level():
    head = LogisticHead(300, components=4)
    found = head(random_outputs(head, 1, 50).double(), 1)
    uniforms = torch.rand(50, 1, 1, 1, generator=torch.Generator().manual_seed(5)).double()
    drawn = found.icdf(uniforms)
    assert torch.equal(drawn, super(LogisticMixture, found).icdf(uniforms))
    assert (found.cdf(drawn) > uniforms).all()
    assert (found.cdf(drawn - 1) <= uniforms).all()


def test_the_outermost_uniforms_are_not_moved_inwards():
    found = mixture(2.0, 1.0, 65536)
    last = torch.tensor([1 - 2.0**-53], dtype=torch.float64)
    assert found.icdf(torch.zeros(1).double()).item() == 0
    assert found.icdf(last).item() > 2 + math.log(1e15)  # what 1 - 1e-5 would never reach


def test_a_truncation_is_that_of_all_levels():
    head = LogisticHead(40, components=3)
    found = head(random_outputs(head, 1, 20).double(), 1)
    uniforms = torch.rand(20, 1, 1, 1, generator=torch.Generator().manual_seed(5)).double()
    cold = found.icdf(uniforms, Truncation(temperature=0.2, top_k=3))
    assert torch.equal(cold, npx.heads.Categorical(found.logits).icdf(
        uniforms, Truncation(temperature=0.2, top_k=3)))  # fmt: skip


@pytest.mark.parametrize("levels", [4, 256, 65536])
@pytest.mark.parametrize("components", [1, 3, 8, 10])
@pytest.mark.parametrize("colors", [0, 1, 3])
def test_compiled_steps_say_what_the_head_says(colors, components, levels):
    coupled, colors = colors > 0, max(1, colors)
    head = LogisticHead(levels, colors, components, coupled=coupled)
    outputs = random_outputs(head, colors, 4)
    rng = torch.Generator().manual_seed(0)
    seen = torch.randint(levels, (4, colors, 1, 1), generator=rng)
    expected = head(outputs.double(), colors, seen)[:, -1, 0, 0]
    state, size = outputs.flatten().numpy(), outputs.shape[1]
    asked = sorted({0, 1, levels // 3, levels - 2, levels - 1})
    for image in range(4):
        p = np.zeros(FIRST - 1 + head.compiled.room + 1)
        p[: len(head.compiled.constants)] = head.compiled.constants
        at = image * size
        spot = Spot(state, at, at, head.size, seen.numpy(), image, 0, 0, colors - 1, p)
        head.compiled.prepare(spot)
        one, result = expected[image], np.zeros(1)
        for level in asked:
            head.compiled.log_prob(Query(p, level, result))
            want = one.log_prob(torch.tensor(level)).item()
            assert result[0] == pytest.approx(want, rel=1e-11, abs=1e-11)
            head.compiled.below(Query(p, level + 1, result))
            assert result[0] == pytest.approx(one.cdf(torch.tensor(level)).item(), abs=1e-13)


def test_outputs_that_are_no_numbers_stay_none():
    head = LogisticHead(256, components=2)
    for wrong in range(head.size):
        outputs = random_outputs(head, 1, 1)
        outputs[0, wrong] = math.nan
        p = np.zeros(FIRST + head.compiled.room)
        p[: len(head.compiled.constants)] = head.compiled.constants
        levels = np.zeros((1, 1, 1, 1), np.int64)
        head.compiled.prepare(Spot(outputs.flatten().numpy(), 0, 0, 6, levels, 0, 0, 0, 0, p))
        result = np.zeros(1)
        head.compiled.log_prob(Query(p, 7, result))
        assert math.isnan(result[0])


@pytest.mark.parametrize(("colors", "mode", "outputs"), [
    (3, "coupled", 100), (1, "coupled", 30), (3, "independent", 90), (2, "coupled", 60),
])  # fmt: skip
def test_outputs_are_counted(colors, mode, outputs):
    head = LogisticHead(256, colors, 10, coupled=mode == "coupled")
    assert head.outputs(colors) == len(head.initial(colors)) == outputs


def test_training_starts_near_the_uniform_distribution():
    for levels in (16, 256, 65536):
        model = npx.build("pixelcnn", shape=(1, 4, 4), levels=levels, features=4, head="logistic")
        share = model(torch.zeros(1, 1, 4, 4).int()).probs[0, 0, 0, 0]
        assert (share - 1 / levels).abs().sum() / 2 < 0.08


def test_gradients_are_finite_where_a_level_is_far_out():
    outputs = torch.tensor([0.0, 5.0, -100.0, 0.0, -1.0, -8.0]).view(1, 6, 1, 1).requires_grad_()
    head = LogisticHead(65536, components=2)
    level = torch.full((1, 1, 1, 1), 65000)
    F.relu(-head(outputs, 1).log_prob(level)).sum().backward()
    assert outputs.grad.isfinite().all()


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="components must be at least 1, got 0"):
        LogisticHead(4, components=0)
