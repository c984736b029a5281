"""Attention over the past: strict, without NaN, with no blind spot; faults that must be seen."""

import math

import pytest
import torch

import nextpixel as npx
from nextpixel.audit import audit
from nextpixel.models import pixelsnail, transformer
from nextpixel.nn import attention
from nextpixel.nn.attention import attend, attend_pooled, pooled_bytes
from nextpixel.program import LATE, PIXEL, Program, Schedule
from nextpixel.program.ops import Attend, Gelu, LayerNorm
from nextpixel.program.ops import attend as attend_op
from tests.laws.cases import CASES, condition_for, disturb
from tests.laws.test_engine import score
from tests.laws.test_exactness import all_images, random_levels

RNG = torch.Generator().manual_seed(0)


def past(count: int) -> torch.Tensor:
    return torch.ones(count, count, dtype=torch.bool).tril(-1)


def one_by_one(query, key, value, *, inclusive=False, pool=1):
    """The definition, query by query."""
    made = torch.zeros(*query.shape[:3], value.shape[3], dtype=query.dtype)
    for n in range(query.shape[2]):
        count = (n + inclusive) // pool
        if count:
            scores = query[:, :, n : n + 1] @ key[:, :, :count].transpose(2, 3)
            weights = (scores / math.sqrt(query.shape[3])).softmax(-1)
            made[:, :, n : n + 1] = weights @ value[:, :, :count]
    return made


def some(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=RNG)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_query_attends_to_the_past_alone(count):
    query, key, value = some(2, 3, count, 4), some(2, 3, count, 4), some(2, 3, count, 5)
    for inclusive in (False, True):
        found = attend(query, key, value, inclusive=inclusive)
        expected = one_by_one(query, key, value, inclusive=inclusive)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pool", [2, 3])
def test_pooled_keys_are_attended_to_once_all_of_their_pixels_are_drawn(pool):
    query, key, value = some(2, 1, 6, 4), some(2, 1, 6 // pool, 4), some(2, 1, 6 // pool, 5)
    found = attend_pooled(query, key, value, pool=pool)
    expected = one_by_one(query, key, value, pool=pool)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_first_step_attends_to_nothing_and_gets_zeros():
    query, key, value = some(1, 2, 3, 4), some(1, 2, 3, 4), some(1, 2, 3, 4)
    assert not attend(query, key, value, inclusive=False)[:, :, 0].any()
    assert not attend_pooled(query, key[:, :, :1], value[:, :, :1], pool=2)[:, :, :2].any()
    with torch.enable_grad():
        query.requires_grad_()
        attend(query, key, value, inclusive=False).sum().backward()
    assert query.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e4, -1e4, 0.0])
def test_extreme_scores_are_no_nan_in_any_executor(size):
    """The largest score is taken off before powers are made, in compiled steps too."""
    model = CASES["snail"].build(4, 5).float()
    with torch.no_grad():
        for block in model.blocks:
            block.attention.key.weight.mul_(size)
    levels = random_levels(model, 5)
    expected = model.log_prob(levels)
    assert expected.isfinite().all()
    torch.testing.assert_close(score(model, levels).float(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("name", "side"), [("snail", 5), ("transformer", 5)])
def test_no_pixel_of_the_past_is_unseen(name, side):
    assert torch.equal(audit(CASES[name].with_levels(2).build(side, side)).sees, past(side * side))


def test_without_the_raw_pixel_in_the_keys_a_blind_spot_remains():
    """The last pixel of the row above, for all but the last two columns, at any depth."""
    for blocks in (1, 3):
        options = {**CASES["snail"].options, "raw": False, "blocks": blocks}
        model = npx.build("pixelsnail", shape=(1, 5, 5), levels=2, **options)
        unseen = past(25) & ~audit(disturb(model.double(), 0.3), probes=4).sees
        assert [tuple(pair) for pair in unseen.nonzero().tolist()] == [
            (5 * row + column, 5 * row - 1) for row in range(1, 5) for column in range(3)
        ]


@pytest.mark.parametrize(("pool", "unseen"), [(2, False), (4, False), (8, True)])
def test_pixels_that_wait_for_a_key_must_be_in_reach_of_the_layers_before(pool, unseen):
    """With one layer that is so for pools of up to four."""
    options = {"features": 8, "blocks": 1, "layers": 1, "key": 4, "pool": pool}
    model = disturb(npx.build("pixelsnail", shape=(1, 2, 8), levels=2, **options).double(), 0.3)
    assert (audit(model, probes=4).sees != past(16)).any().item() == unseen


def test_heads_are_of_one_size_for_torch(monkeypatch):
    """Else its kernel keeps a table of all pairs."""
    sizes = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def watched(*inputs, **how):
        sizes.append({x.shape[3] for x in inputs})
        return plain(*inputs, **how)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    query, key, value = some(1, 2, 6, 4), some(1, 2, 6, 4), some(1, 2, 6, 5)
    assert attend(query, key, value, inclusive=False).shape == (1, 2, 6, 5)
    assert attend_pooled(query, key[:, :, :3], value[:, :, :3], pool=2).shape == (1, 2, 6, 5)
    assert sizes == [{5}, {5}]


def test_the_reference_never_holds_all_pairs(monkeypatch):
    model = CASES["transformer"].build(4, 5)
    levels = random_levels(model, 2)
    expected = model.network(model.encode(levels), npx.nn.NO_EMBEDDING)
    held = []
    plain = attend_op._attend_some
    monkeypatch.setattr(attend_op, "QUERIES", 3)
    monkeypatch.setattr(
        attend_op, "_attend_some", lambda q, *x: held.append(q.shape[2]) or plain(q, *x)
    )
    torch.testing.assert_close(model.lower().run(model.encode(levels)), expected)
    assert max(held) == 3


@pytest.mark.parametrize("name", ["pixel-transformer", "pixelsnail"])
def test_positions_of_one_pixel_tie_a_net_to_its_size(name):
    from nextpixel.engine.cpu.executor import prepared

    model = disturb(npx.build(name, shape=(1, 1, 1), levels=2, features=4, layers=1, heads=1))
    with pytest.raises(ValueError, match="takes images of"):
        prepared(model, (3, 4))


def include_itself(monkeypatch):
    plain = attention.attend
    for module in (pixelsnail, transformer):
        monkeypatch.setattr(module, "attend", lambda *x, inclusive: plain(*x, inclusive=True))


@pytest.mark.parametrize("name", ["snail", "snail-heads"])
def test_the_laws_see_attention_that_includes_itself(name, monkeypatch):
    include_itself(monkeypatch)
    model = CASES[name].with_levels(2).build(2, 3)
    assert not audit(model).causal
    assert model.log_prob(all_images(model)).logsumexp(0).abs() > 1e-6


def test_a_program_that_includes_itself_is_refused(monkeypatch):
    monkeypatch.setattr(
        Attend, "_seen", lambda self, own, number: (number <= own[:, None]) & (number >= 0)
    )
    with pytest.raises(npx.NextPixelError, match="does not compute what the model does"):
        npx.sample(CASES["snail"].build(4, 4), 1)


def test_inclusive_attention_must_not_read_what_knows_the_pixel():
    program = Program(inputs=1, groups=1)
    query = program.conv(program.image, torch.ones(1, 1, 1), [(0, -1)], None, phase=PIXEL)
    late = program.conv(program.image, torch.ones(1, 1, 1), [(0, 0)], None, phase=LATE)
    with pytest.raises(ValueError, match="must not read what knows the pixel itself"):
        program.apply(Attend, query, late, late, heads=1, inclusive=True)


def test_a_first_step_of_nan_is_seen_by_the_laws(monkeypatch):
    """What a softmax over nothing gives."""
    plain = attention.attend

    def careless(query, key, value, *, inclusive):
        made = plain(query, key, value, inclusive=inclusive)
        return torch.cat([made[:, :, :1] * math.nan, made[:, :, 1:]], 2)

    monkeypatch.setattr(pixelsnail, "attend", careless)
    model = CASES["snail"].build(2, 2)
    assert model.log_prob(all_images(model)).isnan().all()
    with pytest.raises(npx.NextPixelError):
        npx.sample(model, 1)


def test_a_compiled_step_that_miscounts_keys_is_seen(monkeypatch):
    """By the comparison with the oracle: it takes every second key."""
    model = CASES["snail"].build(5, 6).float()
    levels = random_levels(model, 8)
    exact = model.log_prob(levels)
    plain = Attend.__init__

    def pooled(self, inputs, output, heads, **how):
        plain(self, inputs, output, heads, **how)
        heads, size, _, kind = self.extra
        self.extra = heads, size, 2, kind

    monkeypatch.setattr(Attend, "__init__", pooled)
    assert (score(model, levels) - exact).abs().max() > 1e-4


def test_a_map_that_is_kept_whole_needs_the_height():
    with pytest.raises(npx.NextPixelError, match="height must be stated for the operation attend"):
        Schedule(CASES["snail"].build(4, 4).lower())


def test_a_transformer_reads_the_pixel_before_across_rows():
    """The first of a row reads the last of the row above, without any attention."""
    model = CASES["transformer"].build(3, 4)
    for block in model.blocks:
        torch.nn.init.zeros_(block.merge.weight)
    sees = audit(model, probes=1).sees
    before = torch.ones(12, 12).diagonal(-1)
    assert torch.equal(sees, torch.diag(before, -1).bool())


def test_sub_pixels_are_tokens_of_the_same_weights():
    """Only the first layer, the positions and the head grow with the number of colors."""
    options = CASES["transformer"].options
    gray = npx.build("pixel-transformer", shape=(1, 3, 4), levels=2, **options)
    colors = npx.build("pixel-transformer", shape=(3, 3, 4), levels=2, **options)
    sizes = [sum(w.numel() for w in model.blocks.parameters()) for model in (gray, colors)]
    assert sizes[0] == sizes[1]
    assert colors.position.map.shape == (12, 3, 4)


def test_memory_of_pooled_attention_is_said_in_advance(monkeypatch):
    assert pooled_bytes(3, 4096, 2, 4) == (3 * 4 + 1) * 4096 * 2048
    monkeypatch.setattr(attention, "MUCH", 1)
    monkeypatch.setattr("nextpixel.runtime.device.available", lambda *_: 100, raising=False)
    query, key = torch.zeros(1, 1, 40, 4), torch.zeros(1, 1, 20, 4)
    with pytest.raises(npx.NextPixelError, match="attention of 40 pixels to 20"):
        attend_pooled(query, key, key, pool=2)


def test_gelu_and_layer_norm_are_those_of_torch():
    x = some(2, 6, 3, 4)
    program = Program(inputs=6, groups=1)
    factor, bias = some(6), some(6)
    program.output = program.apply(LayerNorm, program.image, factor=factor, bias=bias)
    norm = torch.nn.functional.layer_norm(x.movedim(1, -1), (6,), factor, bias).movedim(-1, 1)
    torch.testing.assert_close(program.run(x), norm, rtol=0, atol=1e-12)
    program.output = program.apply(Gelu, program.output)
    torch.testing.assert_close(program.run(x), norm * torch.sigmoid(1.702 * norm))


@pytest.mark.parametrize(("model", "options", "message"), [
    ("pixelsnail", {"pool": 2}, "pool must divide the width of the images, 5, got 2"),
    ("pixelsnail", {"heads": 0}, "heads must be at least 1"),
    ("pixelsnail", {"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ("pixelsnail", {"condition": npx.ClassCondition(3, form="gate")}, "form must be input, bias"),
    ("pixel-transformer", {"heads": 3}, "features must be a multiple of heads, 3, got 64"),
    ("pixel-transformer", {"condition": npx.ClassCondition(3, form="gate")}, "form must be input"),
])  # fmt: skip
def test_options_are_refused_by_name(model, options, message):
    with pytest.raises(ValueError, match=message):
        npx.build(model, shape=(1, 4, 5), levels=2, **options)


def test_colors_in_groups_are_refused_by_pixelsnail():
    with pytest.raises(ValueError, match="colors must be coupled or independent for pixelsnail"):
        npx.build("pixelsnail", shape=(3, 4, 4), levels=2, colors="dependent")


def test_models_of_positions_take_images_of_their_own_size_only():
    from nextpixel.engine.cpu.executor import prepared

    model = CASES["snail"].build(4, 4).float()
    with pytest.raises(ValueError, match="pixelsnail takes images of"):
        prepared(model, (6, 6))
    assert condition_for(model, 1) is None
    assert prepared(CASES["diagonal"].build(4, 4).float(), (6, 7)) is not None
