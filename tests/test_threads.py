"""Threads share out work and change nothing else."""

import threading

import pytest
import torch

from nextpixel import build, evaluate, sample
from nextpixel.runtime.threads import Threads
from nextpixel.training.gradient import Gradient


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def tiny(**options):
    model = build(
        "pixelcnn", seed=0, shape=(1, 5, 5), levels=3, features=4, layers=2, side=3, **options
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    return model.double()


def levels(count: int) -> torch.Tensor:
    return torch.randint(0, 3, (count, 1, 5, 5), generator=torch.Generator().manual_seed(1))


def test_each_thread_runs_torch_on_one_core_and_outcomes_keep_their_order():
    meet = threading.Barrier(2, timeout=10)

    def job(item: int) -> tuple[int, int, str]:
        meet.wait()  # both threads are at work at once
        return item, torch.get_num_threads(), threading.current_thread().name

    done = list(Threads(2).map(job, range(4)))
    assert [item for item, _, _ in done] == [0, 1, 2, 3]
    assert {threads for _, threads, _ in done} == {1}
    assert len({name for _, _, name in done}) == 2


def test_one_thread_works_in_place():
    name = threading.current_thread().name
    assert list(Threads(1).map(lambda _: threading.current_thread().name, [0])) == [name]


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(Threads(2).map(lambda item: 1 // item, [1, 0]))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_gradient_of_two_threads_is_that_of_one_pass(two_threads, count):
    model, batch = tiny(), levels(count)
    nats = Gradient(model).set(batch)
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    loss = -model.log_prob(batch).mean()
    (loss / 25).backward()
    assert nats == pytest.approx(loss.item(), abs=1e-9)
    for parameter, gradient in zip(model.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=1e-12)


def test_a_model_with_batch_norm_sees_its_batch_as_a_whole(two_threads):
    assert Gradient(tiny()).threads.count == 2
    assert Gradient(tiny(batch_norm=True)).threads.count == 1


def test_scores_and_samples_do_not_depend_on_the_number_of_threads(two_threads):
    model = tiny()
    draw = [sample(model, 5, rng=torch.Generator().manual_seed(0))]
    score = [evaluate(model, levels(9), batch_size=2).nats]
    torch.set_num_threads(1)
    draw.append(sample(model, 5, rng=torch.Generator().manual_seed(0)))
    score.append(evaluate(model, levels(9), batch_size=2).nats)
    assert torch.equal(*draw)
    assert score[0] == pytest.approx(score[1], abs=1e-12)
