"""The step engine in torch gives what the network gives, in float64 to the last digits.

A CUDA graph replays the operations of one row for every row. On the CPU the same is put to the test
by tracing one row and replaying the trace, in which neither Python nor the host takes part.
"""

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from nextpixel.engine import OnRow, lowering, torch_engine
from nextpixel.engine.torch_scan import Ring, Scan
from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.models import PixelModel
from nextpixel.program.schedule import Schedule
from nextpixel.runtime import device as devices
from nextpixel.sampling import complete, sample
from nextpixel.sampling.draw import draw_uniforms
from tests.laws.cases import BY_ROWS, CASES, Case, condition_for, own_order, params
from tests.laws.test_engine import FAULTS, spoil_lowering
from tests.laws.test_exactness import random_levels

IMAGES = 4
HEIGHT, WIDTH = 5, 6
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
DEVICES = [
    pytest.param("cpu"),
    pytest.param("cuda", marks=[pytest.mark.gpu, CUDA]),
]


@pytest.fixture(params=params(BY_ROWS))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def build(case: Case, device: str, dtype: torch.dtype = torch.float64) -> PixelModel:
    return case.build(HEIGHT, WIDTH).to(device, dtype).eval()


def uniforms(model: PixelModel, count: int = IMAGES) -> Tensor:
    return draw_uniforms(count, model.shape, torch.Generator().manual_seed(0))


def fill(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    truncation: Truncation = PLAIN,
    *,
    on_row: OnRow | None = None,
    use_graph: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """By the torch engine, with the condition of the laws."""
    count = len(levels)
    with torch.inference_mode():
        embedding = model.condition(condition_for(model, count), count)
    engine = torch_engine.TorchEngine(model, truncation=truncation, use_graph=use_graph)
    return engine.fill(levels, known, uniforms(model, count), embedding, on_row=on_row)


def draw(model: PixelModel, count: int = IMAGES, **options) -> tuple[Tensor, Tensor]:
    nothing = torch.zeros(count, *model.shape, dtype=torch.int64)
    return fill(model, nothing, nothing.bool(), **options)


def score(model: PixelModel, levels: Tensor, **options) -> Tensor:
    return fill(model, levels, torch.ones_like(levels).bool(), **options)[1]


@torch.inference_mode()
def exact(model: PixelModel, levels: Tensor) -> Tensor:
    """Log-probability of one pass in float64, on the CPU."""
    model = model.cpu().double()
    return model.log_prob(levels, condition_for(model, len(levels)))


@pytest.mark.parametrize("device", DEVICES)
def test_the_log_prob_along_the_scan_is_that_of_one_pass(case, device):
    """In float32; the next law has it in float64."""
    model = build(case, device, torch.float32)
    levels = random_levels(model, IMAGES)
    found = score(model, levels)
    torch.testing.assert_close(found, exact(model, levels), rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_it_draws_the_oracles_levels_and_scores_them(case, device):
    model = build(case, device)
    drawn, log_p = draw(model)
    rng, condition = torch.Generator().manual_seed(0), condition_for(model, IMAGES)
    oracle = sample(model.cpu(), IMAGES, rng=rng, condition=condition, method="recompute")
    assert torch.equal(drawn, oracle.long())
    torch.testing.assert_close(log_p, exact(model, drawn), rtol=0, atol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_its_completions_are_the_oracles(case, device):
    model = build(case, device)
    levels = random_levels(model, IMAGES, seed=1)
    known = torch.rand(levels.shape, generator=torch.Generator().manual_seed(2)) < 0.4
    truncation = Truncation(temperature=0.7, top_k=2, top_p=0.8)
    drawn, _ = fill(model, levels, known, truncation)
    options = {
        "condition": condition_for(model, IMAGES),
        "method": "recompute",
        "order": own_order(model),
        **truncation._asdict(),
    }
    rng = torch.Generator().manual_seed(0)
    oracle = complete(model.cpu(), levels, known, rng=rng, **options)
    assert torch.equal(drawn[known], levels[known])
    assert torch.equal(drawn, oracle.long())


@pytest.mark.parametrize("name", ["plain-map", "gated-label-and-map"])
def test_one_trace_of_a_row_serves_every_row(name):
    model = CASES[name].build(HEIGHT, 2).eval()
    levels = random_levels(model, IMAGES)
    torch.testing.assert_close(
        score_by_trace(model, levels), exact(model, levels), rtol=0, atol=1e-9
    )


def test_a_trace_of_rows_that_change_their_address_is_seen(monkeypatch):
    def move(ring: Ring, turn: int) -> None:
        ring.values = torch.cat([ring.values[:, 1:], ring.values[:, :1]], 1)

    monkeypatch.setattr(Ring, "shift", move)
    model = CASES["plain-map"].build(HEIGHT, 2).eval()
    levels = random_levels(model, IMAGES)
    assert (score_by_trace(model, levels) - exact(model, levels)).abs().max() > 1e-3


def score_by_trace(model: PixelModel, levels: Tensor) -> Tensor:
    scan = new_scan(model)
    scan.draw = lambda pixel, u: pixel.icdf(u, Truncation(0.7, top_k=2, top_p=0.8))
    advance = trace(scan)
    scan.start(levels, torch.ones_like(levels).bool(), uniforms(model))
    for _ in range(HEIGHT):
        advance()
    return scan.log_prob


@torch.no_grad()
def trace(scan: Scan) -> Callable[[], object]:
    """A row as a list of tensor operations; an error where the host asks for a value."""
    return torch.no_grad()(make_fx(lambda: scan.row())())


@torch.no_grad()
def new_scan(model: PixelModel, count: int = IMAGES) -> Scan:
    embedding = model.condition(condition_for(model, count), count)
    return Scan(model, embedding, count, Distribution.icdf)


def test_a_row_that_asks_the_device_for_a_value_is_seen():
    scan = new_scan(CASES["plain"].build(2, 2).eval())
    scan.draw = lambda pixel, u: torch.zeros_like(u).long() + int(u.sum().item())
    with pytest.raises(RuntimeError, match="trying to get value out of a tracing tensor"):
        trace(scan)


def test_what_the_row_knows_is_added_before_its_first_pixel():
    """Of a gated layer a pixel costs two convolutions, a gate and an addition."""
    program = build(CASES["gated-class-gate"], "cpu").lower()
    _, at_pixel, _ = Schedule(program, fold=True).tasks
    assert [task.op.name for task in at_pixel] == [
        *("conv", "gate", "conv"),
        *("conv", "gate", "conv", "add") * 2,
        *("conv", "relu", "conv"),
    ]


@pytest.mark.parametrize(("name", "kind"), FAULTS.items())
def test_a_fault_in_lowering_is_seen(name, kind, monkeypatch):
    """A tap off by one, a batch norm left out, a condition added twice: refused, and seen."""
    model = build(CASES[name], "cpu")
    levels = random_levels(model, IMAGES)
    spoil_lowering(monkeypatch, model, kind)
    with pytest.raises(NextPixelError, match="does not compute what the model does"):
        score(model, levels)
    monkeypatch.setattr(lowering, "check_program", lambda model, program: None)
    assert (score(model, levels) - exact(model, levels)).abs().max() > 1e-3


def test_rows_that_do_not_move_up_are_seen(monkeypatch):
    model = build(CASES["gated"], "cpu")
    levels = random_levels(model, IMAGES)
    monkeypatch.setattr(Ring, "shift", lambda self, turn: None)
    assert (score(model, levels) - exact(model, levels)).abs().max() > 1e-3


def test_a_start_that_keeps_the_rows_of_other_images_is_seen(monkeypatch):
    """Warming up before a graph is recorded writes into the rings."""
    model = build(CASES["gated"], "cpu")
    scan, levels = new_scan(model), random_levels(model, IMAGES)
    expected = exact(model, levels)

    def score_again() -> Tensor:
        scan.start(levels, torch.ones_like(levels).bool(), uniforms(model))
        for _ in range(HEIGHT):
            scan.row()
        return scan.log_prob.clone()

    assert [torch.allclose(score_again(), expected) for _ in range(2)] == [True, True]
    monkeypatch.setattr(Ring, "clear", lambda self: None)
    assert not torch.allclose(score_again(), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["plain-map", "gated-label-and-map"])
def test_batches_of_one_size_share_a_recording_and_have_their_own_conditions(name, device):
    model = build(CASES[name], device)
    engine, levels = torch_engine.TorchEngine(model), random_levels(model, IMAGES)
    known, conditions = (
        torch.ones_like(levels).bool(),
        [condition_for(model, IMAGES, n) for n in (7, 8, 8)],
    )
    scans, found = set(), []
    for condition, count in zip(conditions, (IMAGES, IMAGES, 1), strict=True):
        with torch.inference_mode():
            embedding = model.condition(condition, IMAGES).part(slice(0, count))
        part = levels[:count]
        found.append(engine.fill(part, known[:count], uniforms(model, count), embedding)[1])
        scans.add(engine._ready[0])
    assert len(scans) == 2
    model = model.cpu()
    with torch.inference_mode():
        expected = [model.log_prob(levels, condition) for condition in conditions]
    expected[2] = expected[2][:1]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_what_the_memory_cannot_hold_is_refused_with_the_figures(monkeypatch):
    monkeypatch.setattr(devices, "available", lambda device: 3 * 2**20)
    nothing = torch.zeros(4000, 1, HEIGHT, WIDTH).long()
    model = build(CASES["plain"], "cpu")
    expected = r"the scan of 4000 images needs \d+ MiB of memory, and 3 MiB are available"
    with pytest.raises(NextPixelError, match=expected):
        fill(model, nothing, nothing.bool())


def test_the_memory_that_is_asked_for_is_the_memory_that_is_taken(case):
    scan = new_scan(build(case, "cpu"))
    numbers = scan.schedule.numbers(scan.program, scan.model.shape[2])
    assert scan.nbytes == IMAGES * numbers * 8


def test_free_memory_is_known_or_not():
    found = devices.available()
    assert found is None or found > 2**20


@pytest.mark.parametrize("device", DEVICES)
def test_finished_rows_are_reported_one_by_one(device):
    model, reported = build(CASES["plain"], device), []
    drawn, _ = draw(model, on_row=lambda done, so_far: reported.append((done, so_far)))
    assert [done for done, _ in reported] == list(range(1, HEIGHT + 1))
    assert all(torch.equal(part[:, :, :row], drawn[:, :, :row]) for row, part in reported)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_images_smaller_than_the_kernels(size):
    model = CASES["gated-dependent-colors"].build(*size).eval()
    levels = random_levels(model, IMAGES)
    torch.testing.assert_close(score(model, levels), exact(model, levels), rtol=0, atol=1e-9)


def test_weights_that_are_no_numbers_are_refused_by_name():
    model = build(CASES["plain"], "cpu")
    with torch.no_grad():
        model.last.weight[0, 0] = torch.nan
    with pytest.raises(NextPixelError, match=r"the weights last.weight of pixelcnn are not all"):
        draw(model)


@pytest.mark.parametrize("device", DEVICES)
def test_predictions_that_overflow_are_refused(device):
    model = build(CASES["plain-batch-norm"], device, torch.float32)
    with torch.no_grad():
        model.last.weight.fill_(3e38)
        model.last.bias.fill_(3e38)
    with pytest.raises(NextPixelError, match="pixelcnn predicts what is no number"):
        draw(model)


def test_a_model_of_any_order_is_refused_by_name_and_recomputed(monkeypatch):
    model = build(CASES["local-class"], "cpu")
    with pytest.raises(NextPixelError, match="locally-masked visits pixels in any order"):
        new_scan(model)
    monkeypatch.setattr("nextpixel.sampling.draw._on_cpu", lambda model: False)
    condition = condition_for(model, 1)
    with pytest.warns(UserWarning, match="by compiled steps on the CPU only"):
        sample(model, 1, condition=condition)


def test_other_devices_are_refused():
    model = build(CASES["plain"], "meta")
    with pytest.raises(NextPixelError, match="the step engine runs on cpu or cuda, not on meta"):
        torch_engine.TorchEngine(model)


def test_a_model_elsewhere_than_on_the_cpu_is_sampled_by_it(monkeypatch, recwarn):
    """Which engine `sample` takes is seen by the devices that each refuses."""
    model = replace(CASES["plain"], levels=3).build(HEIGHT, WIDTH).to("meta")
    with pytest.raises(NextPixelError, match="the step engine runs on cpu or cuda"):
        sample(model, 1, rng=torch.Generator())
    assert not recwarn.list


def test_batches_of_a_model_elsewhere_are_sampled_as_on_the_cpu(monkeypatch):
    model = build(CASES["gated-label-and-map"], "cpu")
    options = {"condition": condition_for(model, 5), "batch_size": 2}
    rng, method = torch.Generator().manual_seed(0), "recompute"
    expected = sample(model, 5, rng=rng, method=method, **options)
    monkeypatch.setattr("nextpixel.sampling.draw._on_cpu", lambda model: False)
    found = sample(model, 5, rng=torch.Generator().manual_seed(0), **options)
    assert torch.equal(found, expected)


@pytest.mark.gpu
@CUDA
def test_sampling_on_a_gpu_takes_the_graph_and_draws_what_the_cpu_draws(case):
    model = build(case, "cuda")
    options = {"condition": condition_for(model, IMAGES)}
    there = sample(model, IMAGES, rng=torch.Generator().manual_seed(0), **options)
    options["method"] = "recompute"
    here = sample(model.cpu(), IMAGES, rng=torch.Generator().manual_seed(0), **options)
    assert torch.equal(there, here)


@pytest.mark.gpu
@CUDA
@pytest.mark.parametrize("use_graph", [False, True])
@pytest.mark.parametrize("truncation", [PLAIN, Truncation(0.7, top_k=2, top_p=0.8)])
def test_nothing_in_a_scan_waits_for_the_device(case, use_graph, truncation):
    model = build(case, "cuda")
    scan = new_scan(model)
    scan.draw = lambda pixel, u: pixel.icdf(u, truncation)
    with torch.no_grad():
        carry_out = torch_engine.record if use_graph else torch_engine.without_a_graph
        turns = [carry_out(scan, turn) for turn in range(scan.turns)]
        nothing = torch.zeros_like(scan.levels)
        scan.start(nothing, nothing.bool(), uniforms(model))
        torch.cuda.set_sync_debug_mode("error")
        try:
            for row in range(HEIGHT):
                turns[row % len(turns)]()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(scan.levels.cpu(), draw(model, truncation=truncation)[0])


@pytest.mark.gpu
@CUDA
def test_a_graph_and_no_graph_agree(case):
    model = build(case, "cuda")
    with_graph, without = draw(model, use_graph=True), draw(model, use_graph=False)
    assert torch.equal(with_graph[0], without[0])
    torch.testing.assert_close(with_graph[1], without[1], rtol=0, atol=1e-9)


def test_no_older_graph_is_freed_while_one_is_recorded():
    assert gc.isenabled()
    with torch_engine.nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled()
