"""A lowered network is the network."""

import pytest
import torch

from nextpixel.program import PIXEL, Program, Schedule
from tests.laws.cases import CASES, NETS, Case, condition_for, params
from tests.laws.test_exactness import random_levels


@pytest.fixture(params=params(NETS))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@torch.inference_mode()
def test_the_program_gives_what_the_network_gives(case):
    model = case.build(7, 8)
    levels = random_levels(model, 2)
    embedding = model.condition(condition_for(model, 2), 2)
    x = model.encode(levels)
    torch.testing.assert_close(
        model.lower().run(x, embedding), model.network(x, embedding), rtol=0, atol=1e-10
    )


@torch.inference_mode()
def test_what_nothing_reads_can_be_left_out(case):
    model = case.build(7, 8)
    levels = random_levels(model, 2)
    embedding, x = model.condition(condition_for(model, 2), 2), model.encode(levels)
    whole, pruned = model.lower(), model.lower().pruned()
    assert len(pruned.ops) <= len(whole.ops)
    read = {known.number for op in pruned.ops for known in op.inputs} | {pruned.output.number}
    assert all(op.output.number in read for op in pruned.ops)
    torch.testing.assert_close(pruned.run(x, embedding), whole.run(x, embedding), rtol=0, atol=0)


def test_the_last_gate_of_the_vertical_stack_is_left_out():
    model = CASES["gated"].build(7, 8)
    assert len(model.lower().pruned().ops) == len(model.lower().ops) - 1


def test_maps_that_are_read_at_their_own_pixel_only_are_kept_as_one_column():
    program, one = Program(inputs=1, groups=1), torch.ones(1, 1, 1)
    first = program.conv(program.image, one, [(0, -1)], None, phase=PIXEL)
    second = program.conv(first, one, [(0, 0)], None, phase=PIXEL)
    third = program.output = program.conv(second, one, [(0, -1)], None, phase=PIXEL)
    assert Schedule(program).brief == {first.number, third.number}
