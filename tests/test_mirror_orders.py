"""Mirror orders: one net, eight scans; each is a distribution, and the best is taken."""

import io
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.codec.archive import write
from nextpixel.codec.tensors import TensorSource
from nextpixel.models import PixelModel
from nextpixel.order import MIRRORS, indices_of, turn, turn_back

SHAPE = (1, 3, 3)
EVERY = torch.tensor(list(itertools.product([0, 1], repeat=9))).view(-1, *SHAPE)


def random_model(
    shape: tuple[int, int, int] = SHAPE, size: float = 0.5, **options: object
) -> PixelModel:
    model = npx.build(
        "residual-pixelcnn", shape=shape, levels=2, orders=8 if shape[1] == shape[2] else 4,
        features=8, blocks=1, block="single", position=True, **options,
    )  # fmt: skip
    rng = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=size, generator=rng)
    return model


def log_probs(model: PixelModel, levels: Tensor, order: int) -> Tensor:
    orders = torch.full((len(levels),), order)
    with torch.no_grad():
        return model.log_prob(*model.in_order(levels, None, orders))


@pytest.mark.parametrize("number", range(8))
def test_the_turned_raster_scan_visits_pixels_by_their_indices(number: int) -> None:
    height, width = 3, 5
    image = torch.arange(height * width).view(height, width)
    turned = turn(image, number)
    by_indices = indices_of(MIRRORS[number], height, width).flatten().argsort()
    assert turned.flatten().tolist() == by_indices.tolist()
    assert torch.equal(turn_back(turned, number), image)


def test_each_order_is_a_distribution_of_its_own() -> None:
    model = random_model().double()
    found = [log_probs(model, EVERY, order) for order in range(8)]
    for each in found:
        assert each.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert all(not torch.allclose(found[0], each) for each in found[1:])


def test_the_mixture_of_orders_is_a_distribution() -> None:
    model = random_model().double()
    parts = torch.stack([log_probs(model, EVERY, order) for order in range(8)]).double()
    every = [npx.evaluate(model, EVERY[n : n + 1], order="all") for n in range(0, 512, 37)]
    expected = -(parts.exp().mean(0).log())[::37]
    assert [one.nats for one in every] == pytest.approx(expected.tolist(), abs=1e-5)
    assert every[0].orders == 8
    assert "mixture of 8 orders" in str(every[0])


@pytest.mark.parametrize("order", ["rows-from-bottom-right", "columns-from-bottom-left"])
def test_evaluation_in_an_order_keeps_colors_and_regions_in_place(order: str) -> None:
    model = random_model()
    inside = torch.zeros(3, 3, dtype=torch.bool)
    inside[0, 1] = True
    found = npx.evaluate(model, EVERY[:40], order=order, region=inside)
    number = MIRRORS.index(order)
    levels = turn(EVERY[:40], number)
    with torch.no_grad():
        log_p = model(levels, torch.full((40,), number)).log_prob(levels)
    assert found.nats == pytest.approx(-float(log_p.sum((1, 2, 3)).mean()), abs=1e-5)
    assert found.region is not None
    expected = -turn_back(log_p, number)[:, 0, 0, 1].mean()
    assert found.region.nats == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("order", MIRRORS)
def test_engine_and_recompute_draw_the_same_images(order: str) -> None:
    model = random_model((1, 5, 5), condition=npx.ClassCondition(3))
    labels = torch.tensor([0, 1, 2, 1])
    drawn = [
        npx.sample(
            model, 4, condition=labels, order=order, method=method,
            rng=torch.Generator().manual_seed(1),
        )
        for method in ("engine", "recompute")
    ]  # fmt: skip
    assert torch.equal(*drawn)


def test_a_drawn_image_has_the_frequencies_of_its_order() -> None:
    model, order = random_model((1, 2, 2)), "columns-from-bottom-right"
    drawn = npx.sample(model, 20_000, order=order, rng=torch.Generator().manual_seed(0))
    every = torch.tensor(list(itertools.product([0, 1], repeat=4))).view(-1, 1, 2, 2)
    p = log_probs(model, every, MIRRORS.index(order)).exp()
    codes = (drawn.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    counts = torch.bincount(codes, minlength=16)
    assert float(((counts - 20_000 * p) ** 2 / (20_000 * p)).sum()) < 37.7  # 0.1 % of 15 degrees


@pytest.mark.parametrize(
    ("side", "row", "column", "best"),
    [("top", 0, None, 0), ("bottom", 2, None, 2), ("left", None, 0, 4), ("right", None, 2, 6)],
)
def test_a_half_plane_known_from_any_side_is_completed_exactly(
    side: str, row: int | None, column: int | None, best: int
) -> None:
    del side
    model = random_model()
    known = torch.zeros(3, 3, dtype=torch.bool)
    known[slice(None) if row is None else row, slice(None) if column is None else column] = True
    chosen = EVERY[300:301]
    many = chosen.expand(20_000, -1, -1, -1)
    drawn = npx.complete(model, many, known, batch_size=5000, rng=torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, :, known].long(), many[:, :, known])
    agree = (EVERY[:, 0, known] == chosen[:, 0, known]).all(1)
    p = log_probs(model, EVERY[agree], best).softmax(0)
    codes = (drawn[:, 0, ~known].long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    wanted = (EVERY[agree][:, 0, ~known] * 2 ** torch.arange(5, -1, -1)).sum(1)
    counts = torch.bincount(codes, minlength=64)[wanted]
    enough = 20_000 * p > 5
    chi = ((counts - 20_000 * p) ** 2 / (20_000 * p))[enough].sum()
    assert float(chi) < 110  # 0.03 % of 63 degrees
    found = npx.log_prob_of(model, chosen, ~known, given=known)
    assert found.is_exact
    expected = p.log()[(EVERY[agree] == chosen).flatten(1).all(1)]
    assert float(found.nats) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("order", ["rows-from-bottom-left", "columns-from-top-right"])
def test_what_is_reported_on_the_way_lies_as_the_images_do(order: str) -> None:
    seen: list[Tensor] = []
    note = lambda done, levels: seen.append(levels.clone())  # noqa: E731
    drawn = npx.sample(
        random_model(), 6, order=order, on_row=note, rng=torch.Generator().manual_seed(0)
    )
    first = (slice(None), 0, -1) if order.startswith("rows") else (slice(None), 0, slice(None), -1)
    assert all(torch.equal(part[first], drawn[first].long()) for part in seen)
    assert torch.equal(seen[-1], drawn.long())


def test_images_of_several_masks_are_each_completed_in_their_own_order() -> None:
    model = random_model()
    known = torch.zeros(4, 1, 3, 3, dtype=torch.bool)
    known[0, :, 2], known[1, :, 0], known[2, :, :, 2], known[3, :, 1:] = True, True, True, True
    rng = [torch.Generator().manual_seed(3) for _ in range(2)]
    together = npx.complete(model, EVERY[:4], known, rng=rng[0])
    apart = [npx.complete(model, EVERY[n : n + 1], known[n], rng=rng[1]) for n in range(4)]
    assert torch.equal(together, torch.cat(apart))


@pytest.mark.parametrize("shape", [(1, 6, 6), (1, 4, 6)])
def test_an_archive_in_the_best_orders_gives_the_images_back(shape: tuple[int, int, int]) -> None:
    model = random_model(shape, condition=npx.ClassCondition(2))
    levels = torch.randint(0, 2, (20, *shape), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 2
    best = npx.compress(model, levels, labels, per_chunk=7, orders="best")
    assert torch.equal(npx.decompress(model, best).long(), levels)
    own = npx.compress(model, levels, labels, per_chunk=7)
    assert torch.equal(npx.decompress(model, own).long(), levels)
    assert len(best) < len(own)  # of random weights some order is far better than another


def test_an_archive_in_the_best_orders_costs_what_the_best_order_says() -> None:
    model = random_model((1, 6, 6), size=0.2)
    levels = torch.randint(0, 2, (50, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    least = torch.stack([log_probs(model, levels, order) for order in range(8)]).amax(0)
    bits = float(-least.sum() / np.log(2) + 3 * len(levels))
    report = write(io.BytesIO(), model, TensorSource(levels), orders=True)
    assert report.ideal_bits == pytest.approx(bits, rel=1e-6)
    assert report.payload_bytes == pytest.approx(bits / 8, rel=0.01)


@pytest.mark.parametrize("order", [None, *MIRRORS[1:8:3]])
def test_every_order_is_causal_in_its_own_frame(order: str | None) -> None:
    assert npx.audit(random_model((1, 4, 4)), order=order).causal


def test_the_map_of_positions_lies_as_the_turned_image_does() -> None:
    model = random_model(condition=npx.ClassCondition(2))
    place = model.get_submodule("position")
    orders = torch.arange(8)
    condition = model.conditioner.with_order(torch.zeros(8, dtype=torch.int64), orders)
    with torch.no_grad():
        lying = place.turned(model.condition(condition, 8))  # type: ignore[operator]
    for order in range(8):
        assert torch.equal(lying[order], turn(place.map, order))  # type: ignore[arg-type]


def test_training_draws_orders_and_lowers_the_surprise_in_each() -> None:
    levels = torch.zeros(64, 1, 6, 6, dtype=torch.int64)
    levels[:, :, :, 3:] = 1  # all alike: any order can learn them
    model = random_model((1, 6, 6))
    before = [float(log_probs(model, levels, order).mean()) for order in range(8)]
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        orders = model.draw_orders(len(levels), rng)
        assert orders is not None
        loss = -model.log_prob(*model.in_order(levels, None, orders)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = [float(log_probs(model, levels, order).mean()) for order in range(8)]
    assert all(now > then for now, then in zip(after, before, strict=True))
    assert min(after) > -3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "up"}, "there is no order 'up'"),
        ({"order": 8}, r"order must be 0..7 for this model, got 8"),
    ],
)
def test_orders_that_do_not_exist_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        npx.sample(random_model(), 1, **options)  # type: ignore[arg-type]


def test_an_order_in_the_condition_is_refused() -> None:
    model = random_model()
    with pytest.raises(ValueError, match="the order must be stated by `order`"):
        npx.sample(model, 2, condition=torch.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"orders 0\.\.7, got 8"):
        model.log_prob(EVERY[:1], torch.tensor([8]))


def test_a_model_of_one_order_refuses_others() -> None:
    model = npx.build("pixelcnn", shape=SHAPE, levels=2, features=4, layers=1)
    for call in (
        lambda: npx.sample(model, 1, order=1),
        lambda: npx.complete(model, EVERY[:1], torch.ones(3, 3).bool(), order=1),
        lambda: npx.evaluate(model, EVERY[:1], order="all"),
        lambda: npx.audit(model, order="rows-from-top-left"),
    ):
        with pytest.raises(ValueError, match="this pixelcnn has the raster order only"):
            call()
    with pytest.raises(ValueError, match="this pixelcnn has no mirror orders"):
        npx.compress(model, EVERY[:1], orders="best")


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((1, 3, 4), {"orders": 8}, "orders must be 4 for images that are not square"),
        ((1, 4, 4), {"orders": 3}, "orders must be 1, 4 or 8, got 3"),
        ((1, 4, 4), {"orders": 4, "condition": npx.MapCondition(1)}, "they do not turn"),
    ],
)
def test_orders_that_a_model_cannot_have_are_refused(
    shape: tuple[int, int, int], options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        npx.build("pixelcnn", shape=shape, levels=2, features=4, layers=1, **options)


def test_the_order_is_kept_with_the_model(tmp_path: object) -> None:
    model = random_model()
    npx.save(model, f"{tmp_path}/m")
    loaded = npx.load(f"{tmp_path}/m")
    assert torch.equal(log_probs(loaded, EVERY, 5), log_probs(model, EVERY, 5))
