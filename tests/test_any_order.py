"""Locally masked nets: any order is a distribution, and what is known may always come first."""

import itertools
import math

import pytest
import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.models.locally_masked import random_region
from nextpixel.nn import local
from nextpixel.order import CURVES, MIRRORS, indices_of, known_first

EVERY = torch.tensor(list(itertools.product([0, 1], repeat=9))).view(-1, 1, 3, 3)
ORDERS = ["s-curve/rows-from-bottom-right", "hilbert", "spiral", MIRRORS[6], "drawn"]


def random_model(
    shape: tuple[int, int, int] = (1, 3, 3), size: float = 0.4, **options: object
) -> PixelModel:
    model = npx.build(
        "locally-masked", shape=shape, levels=2, features=8, blocks=2, first_side=3, **options,
    )  # fmt: skip
    rng = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=size, generator=rng)
    return model


def stated(order: str, height: int = 3, width: int = 3) -> str | Tensor:
    if order != "drawn":
        return order
    rng = torch.Generator().manual_seed(7)
    return torch.randperm(height * width, generator=rng).view(height, width)


def log_probs(model: PixelModel, levels: Tensor, order: str | Tensor) -> Tensor:
    assert model.conditioner.order is not None
    indices = model.conditioner.order.read(order)
    with torch.no_grad():
        return model.log_prob(*model.in_order(levels, None, indices.expand(len(levels), -1, -1)))


@pytest.mark.parametrize("name", [*CURVES, *MIRRORS, "spiral/columns-from-bottom-right"])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 5), (6, 2)])
def test_every_named_order_visits_each_pixel_once(name: str, size: tuple[int, int]) -> None:
    indices = indices_of(name, *size)
    assert indices.shape == size
    assert sorted(indices.flatten().tolist()) == list(range(math.prod(size)))


@pytest.mark.parametrize(("name", "size"), [("hilbert", 8), ("spiral", 5), ("s-curve", 5)])
def test_a_curve_goes_from_each_pixel_to_a_neighbour(name: str, size: int) -> None:
    visited = indices_of(name, size, size).flatten().argsort()
    rows, columns = visited // size, visited % size
    assert ((rows.diff().abs() + columns.diff().abs()) == 1).all()


def test_what_is_known_comes_first_and_else_the_order_stays() -> None:
    known = torch.tensor([[False, True, False], [True, False, True]])
    indices = known_first(known, indices_of("s-curve", 2, 3))
    assert indices.tolist() == [[3, 0, 4], [2, 5, 1]]


def test_a_missing_half_is_drawn_from_its_border() -> None:
    known = torch.zeros(1, 4, 4, dtype=torch.bool)
    known[:, 2:] = True
    kinds = random_model((1, 4, 4)).conditioner.order
    assert kinds is not None
    indices = kinds.best(known)
    assert indices[2:].max() < indices[1].min()
    assert indices[1].max() < indices[0].min()


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_is_a_distribution_that_leaks_nothing(order: str) -> None:
    model = random_model().double()
    assert log_probs(model, EVERY, stated(order)).exp().sum().item() == pytest.approx(1, abs=1e-12)
    found = npx.audit(model, order=stated(order))
    assert found.causal
    assert found.sees.sum() > 20


@pytest.mark.parametrize("order", ORDERS)
def test_engine_and_recompute_draw_the_same_images(order: str) -> None:
    model = random_model((1, 5, 6), condition=npx.ClassCondition(3))
    labels = torch.arange(20) % 3
    drawn = [
        npx.sample(
            model, 20, condition=labels, order=stated(order, 5, 6), method=method,
            rng=torch.Generator().manual_seed(1),
        )
        for method in ("engine", "recompute")
    ]  # fmt: skip
    assert torch.equal(*drawn)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_scan_adds_up_to_the_log_prob_on_any_number_of_threads(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nextpixel.engine.cpu import executor
    from nextpixel.heads.truncation import PLAIN
    from nextpixel.runtime.threads import Threads

    monkeypatch.setattr(executor, "Threads", lambda: Threads(threads))
    model = random_model((1, 6, 5), size=0.2)
    levels = torch.randint(0, 2, (40, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    indices = stated("drawn", 6, 5)
    with torch.inference_mode():
        order = torch.as_tensor(indices).expand(40, -1, -1)
        embedding = model.condition(model.conditioner.with_order(None, order), 40)
        _, found = executor.fill(
            model, levels, torch.ones_like(levels).bool(), torch.zeros(levels.shape).double(),
            embedding, truncation=PLAIN, on_row=None,
        )  # fmt: skip
    expected = log_probs(model.double(), levels, indices)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_any_region_is_completed_exactly(seed: int) -> None:
    """Frequencies of the missing pixels against p(missing | known), of one joint distribution."""
    model, rng = random_model(), torch.Generator().manual_seed(seed)
    known = torch.rand(3, 3, generator=rng) < 0.5
    chosen = EVERY[100 + seed : 101 + seed]
    many = chosen.expand(20_000, -1, -1, -1)
    drawn = npx.complete(model, many, known, batch_size=5000, rng=rng)
    assert torch.equal(drawn[:, :, known].long(), many[:, :, known])
    agree = (EVERY[:, 0, known] == chosen[:, 0, known]).all(1)
    assert model.conditioner.order is not None
    order = model.conditioner.order.best(known.unsqueeze(0))
    assert order[known].max() < order[~known].min()
    p = log_probs(model, EVERY[agree], order).softmax(0)
    powers = 2 ** torch.arange(int((~known).sum()))
    codes = (drawn[:, 0, ~known].long() * powers).sum(1)
    wanted = (EVERY[agree][:, 0, ~known] * powers).sum(1)
    counts = torch.bincount(codes, minlength=len(wanted))[wanted]
    enough = 20_000 * p > 5
    chi = ((counts - 20_000 * p) ** 2 / (20_000 * p))[enough].sum()
    free = int(enough.sum())
    assert float(chi) < free + 4 * math.sqrt(2 * free)
    found = npx.log_prob_of(model, chosen, ~known, given=known)
    assert found.is_exact
    expected = p.log()[(EVERY[agree] == chosen).flatten(1).all(1)]
    assert float(found.nats) == pytest.approx(float(expected), rel=1e-5)


def test_a_region_alone_is_exact_too() -> None:
    model = random_model()
    region = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])
    found = npx.log_prob_of(model, EVERY[77:78], region)
    order = known_first(region, indices_of("s-curve", 3, 3))
    agree = (EVERY[:, 0, region] == EVERY[77, 0, region]).all(1)
    expected = log_probs(model, EVERY[agree], order).logsumexp(0)
    assert found.is_exact
    assert float(found.nats) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("order", ["s-curve", "hilbert"])
def test_an_archive_gives_the_images_back(order: str) -> None:
    model = random_model((1, 6, 7), order=order)
    levels = torch.randint(0, 2, (20, 1, 6, 7), generator=torch.Generator().manual_seed(0))
    blob = npx.compress(model, levels, per_chunk=7)
    assert torch.equal(npx.decompress(model, blob).long(), levels)


def test_images_of_several_orders_may_be_trained_on_together() -> None:
    model = random_model((1, 4, 4))
    levels = torch.randint(0, 2, (6, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    orders = model.draw_orders(6, torch.Generator().manual_seed(0))
    assert orders is not None
    together = model.log_prob(*model.in_order(levels, None, orders))
    apart = [log_probs(model, levels[n : n + 1], orders[n]) for n in range(6)]
    torch.testing.assert_close(together, torch.cat(apart))
    assert len(torch.unique(orders, dim=0)) > 3


def test_random_regions_are_of_every_kind() -> None:
    rng = torch.Generator().manual_seed(0)
    regions = [random_region((6, 8), rng) for _ in range(200)]
    rows = [bool((one == one[:, :1]).all()) for one in regions]
    columns = [bool((one == one[:1]).all()) for one in regions]
    assert 30 < sum(rows) < 170
    assert 30 < sum(columns) < 170
    assert any(not row and not column for row, column in zip(rows, columns, strict=True))


# Faults


def test_a_mask_that_lets_the_first_layer_see_its_own_pixel_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_model()
    monkeypatch.setattr(model.first, "sees_self", True)
    assert not npx.audit(model).causal


def test_a_mask_without_an_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = lambda self, indices: torch.ones_like(self.patches(indices), dtype=torch.bool)  # noqa: E731
    monkeypatch.setattr(local.LocallyMaskedConv2d, "mask", everywhere)
    assert not npx.audit(random_model()).causal


def test_maps_that_keep_too_few_rows_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from nextpixel.program.schedule import Schedule

    model = random_model((1, 6, 6))
    before = npx.sample(model, 8, order="hilbert", rng=torch.Generator().manual_seed(0))
    monkeypatch.setattr(
        Schedule, "_keep_around", lambda self, op: self._keep(op.inputs[0], op.taps)
    )
    again = random_model((1, 6, 6))
    after = npx.sample(again, 8, order="hilbert", rng=torch.Generator().manual_seed(0))
    assert not torch.equal(before, after)


# Refusals


@pytest.mark.parametrize("order", [True, 1.5, [[0, 1]], torch.ones(3, 3).numpy()])
def test_orders_of_another_type_are_refused(order: object) -> None:
    with pytest.raises(TypeError, match="order must be a name, a number or a tensor"):
        npx.sample(random_model(), 1, order=order)  # type: ignore[arg-type]


def test_no_images_are_refused() -> None:
    known = torch.eye(3).bool()
    for call in (npx.complete, npx.log_prob_of):
        with pytest.raises(ValueError, match="at least one image"):
            call(random_model(), EVERY[:0], known)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("zigzag", "there is no order 'zigzag'"),
        ("", "there is no order ''"),
        (torch.zeros(3, 3, dtype=torch.int64), "must hold each of 0..8 once"),
        (torch.arange(8), "must be indices"),
        (8, "there is no order '8'"),
    ],
)
def test_orders_that_are_none_are_refused(order: str | Tensor | int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        npx.sample(random_model(), 1, order=order)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"orders": 8}, "orders must be left out"),
        ({"known_first": 2.0}, "known_first must be 0 to 1"),
        ({"dilations": (0,)}, "dilations must be at least 1 each"),
        ({"order": "zigzag"}, "there is no order 'zigzag'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        random_model(**options)  # type: ignore[arg-type]


def test_colors_that_depend_on_each_other_through_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="colors must be 'coupled' or 'independent'"):
        npx.build("locally-masked", shape=(3, 4, 4), levels=4, features=6, colors="dependent")


def test_particles_are_refused_where_none_are_needed() -> None:
    with pytest.raises(npx.NextPixelError, match="it visits what is known first"):
        npx.complete(random_model(), EVERY[:1], torch.eye(3).bool(), method="particles")


def test_indices_in_half_precision_are_refused() -> None:
    model = random_model((1, 28, 28)).bfloat16()
    with pytest.raises(ValueError, match="must be of float32"):
        model.log_prob(torch.zeros(1, 1, 28, 28, dtype=torch.int64))
