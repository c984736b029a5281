"""PixelRNNs: who sees whom, counted; the paper's equations; faults that the laws must see."""

import pytest
import torch
import torch.nn.functional as F

import nextpixel as npx
from nextpixel.audit import audit, field_of
from nextpixel.engine.lowering import lowered
from nextpixel.nn import NO_EMBEDDING
from nextpixel.nn.lstm import DiagonalLSTM, Recurrence, RowLSTM, skew, unskew
from nextpixel.order import Step
from nextpixel.program import PIXEL, Program, Schedule
from nextpixel.program.ops import Cell, Conv
from tests.laws.cases import CASES, disturb
from tests.laws.test_exactness import all_images, random_levels

SMALL = {"features": 4, "cells": 4, "layers": 1, "first_side": 3, "head_features": 4}


def net(name, side, **options):
    model = npx.build(name, shape=(1, side, side), levels=2, **{**SMALL, **options})
    return disturb(model.double())


def past(count: int) -> torch.Tensor:
    return torch.ones(count, count, dtype=torch.bool).tril(-1)


def test_a_row_sees_its_triangle():
    """From one row to the next a cell sees one column further to the right, no more."""
    model = net("row-lstm", 9)
    seen = field_of(model, Step(8, 4, 0), probes=6)[0]
    right = [int(seen[row].nonzero().max()) - 4 for row in range(7, 3, -1)]
    assert right == [1, 2, 3, 4]
    assert seen[:4].all(dim=1)[:4].tolist() == [True] * 4


def test_the_triangle_counted():
    """5x5, kernel 3, one layer: k rows up, k columns to the right and k + 2 to the left are seen.

    Of 300 pairs of the past 35 lie to the right of the triangle, and 19 to its left.
    """
    unseen = past(25) & ~audit(net("row-lstm", 5), probes=8).sees
    up = torch.arange(25).div(5, rounding_mode="floor")
    up, left = up[:, None] - up, torch.arange(25)[:, None] % 5 - torch.arange(25) % 5
    right_of_it, left_of_it = past(25) & (-left > up), past(25) & (left > up + 2)
    assert torch.equal(unseen, right_of_it | left_of_it)
    assert (int(right_of_it.sum()), int(left_of_it.sum())) == (35, 19)


def test_diagonals_see_all_but_the_last_pixel_of_the_row_above():
    """Mask A hides it for good: only cells of its own row, from there on, ever hold it.

    A kernel of reach 1 shows it to the last two columns of the row below.
    """
    for layers in (1, 3):
        unseen = past(25) & ~audit(net("diagonal-bilstm", 5, layers=layers), probes=8).sees
        pairs = [tuple(pair) for pair in unseen.nonzero().tolist()]
        assert pairs == [
            (5 * row + column, 5 * row - 1) for row in range(1, 5) for column in range(3)
        ]


def test_the_paper_s_kernel_leaves_the_same_blind_spot():
    """7x7 at the width of a digit's half: 3 columns at the right see it, the others never."""
    model = net("diagonal-bilstm", 14, first_side=7, layers=1)
    blind = [not field_of(model, Step(9, c, 0), probes=4)[0, 8, 13] for c in range(14)]
    assert blind == [True] * 10 + [False] * 4


def test_whole_rows_leave_no_blind_spot():
    sees = audit(net("diagonal-bilstm", 5, whole_rows=True), probes=8).sees
    assert torch.equal(sees, past(25))


def test_skewing_puts_diagonals_into_columns():
    x = torch.arange(12.0).view(1, 3, 4, 1)
    skewed = skew(x)
    assert skewed[..., 0].squeeze(1).T.tolist() == [
        [0, 1, 2, 3, 0, 0], [0, 4, 5, 6, 7, 0], [0, 0, 8, 9, 10, 11],
    ]  # fmt: skip
    assert torch.equal(unskew(skewed), x)


def cells_one_by_one(layer: DiagonalLSTM, x: torch.Tensor) -> torch.Tensor:
    """Eq. 3 for one image, place by place, from the left: (inputs, H, W) -> (features, H, W)."""
    _, height, width = x.shape
    weight = layer.recur.weight[:, :, 0]
    size = weight.shape[1]
    out, cells = x.new_zeros(size, height + 1, width + 1), x.new_zeros(size, height + 1, width + 1)
    for row in range(height):
        for column in range(width):
            gates = layer.read.weight[:, :, 0, 0] @ x[:, row, column] + layer.read.bias
            gates = gates + weight[..., 0] @ out[:, row + 1, column]  # to the left
            gates = gates + weight[..., 1] @ out[:, row, column + 1]  # above
            o, f, i, g = gates.chunk(4)
            cell = torch.sigmoid(f) * cells[:, row + 1, column] + torch.sigmoid(i) * torch.tanh(g)
            cells[:, row + 1, column + 1] = cell
            out[:, row + 1, column + 1] = torch.sigmoid(o) * torch.tanh(cell)
    return out[:, 1:, 1:]


@torch.inference_mode()
def test_diagonals_are_the_paper_s_cells():
    for backward in (False, True):
        none = npx.build("pixelcnn", shape=(1, 4, 5), levels=2).conditioner
        layer = disturb(DiagonalLSTM(3, 4, 1, none, backward=backward).double())
        x = torch.randn(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        expected = cells_one_by_one(layer, x.flip(2) if backward else x)
        if backward:
            expected = F.pad(expected.flip(2), (0, 0, 1, 0))[:, :-1]
        found = layer(x[None], NO_EMBEDDING)[0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@torch.inference_mode()
def test_rows_are_the_paper_s_cells():
    none = npx.build("pixelcnn", shape=(1, 4, 5), levels=2).conditioner
    layer = disturb(RowLSTM(3, 4, 1, none).double())
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    read = layer.read(x)[0]
    out = cells = x.new_zeros(4, 5)
    for row in range(4):
        above = F.conv1d(out[None], layer.recur.weight[:, :, 0], padding=1)[0]
        o, f, i, g = (read[:, row] + above).chunk(4)
        cells = torch.sigmoid(f) * cells + torch.sigmoid(i) * torch.tanh(g)
        out = torch.sigmoid(o) * torch.tanh(cells)
        torch.testing.assert_close(layer(x, NO_EMBEDDING)[0, :, row], out, rtol=0, atol=1e-12)


def look_right(model):
    """A cell that reads what is let out to its right, in its own row."""
    recur = next(part for part in model.modules() if isinstance(part, Recurrence))
    plain = recur.forward

    def forward(gates, inside=None):
        out = plain(gates, inside)
        return out + F.pad(out, (0, 0, 0, 1))[:, :, 1:]

    recur.forward = forward


def forget_the_shift(model):
    """The direction from the right not moved down: a pixel sees its own row, to the right."""
    layer = next(
        part for part in model.modules() if isinstance(part, DiagonalLSTM) and part.backward
    )
    plain = layer.forward
    layer.forward = lambda *inputs: F.pad(plain(*inputs), (0, 0, 0, 1))[:, :, 1:]


@pytest.mark.parametrize(("name", "fault"), [
    ("row-lstm", look_right), ("diagonal", look_right), ("diagonal", forget_the_shift),
])  # fmt: skip
def test_the_laws_see_a_planted_leak(name, fault):
    model = CASES[name].with_levels(2).build(3, 3)
    assert audit(model).causal
    fault(model)
    assert not audit(model, probes=4).causal
    assert model.log_prob(all_images(model)).logsumexp(0).abs() > 1e-6


def test_a_program_that_forgets_the_shift_is_refused(monkeypatch):
    model = CASES["diagonal"].build(5, 5)
    lstm = Program.lstm
    monkeypatch.setattr(
        Program, "lstm", lambda *inputs, **how: lstm(*inputs, **{**how, "first_row": 0})
    )
    with pytest.raises(npx.NextPixelError, match="does not compute what the model does"):
        npx.sample(model, 1)


def test_a_cell_that_reads_to_the_right_is_refused_by_name():
    program = Program(inputs=1, groups=1)
    gates = program.conv(program.image, torch.ones(4, 1, 1), [(0, -1)], None, phase=PIXEL)
    program.output = program.lstm(gates, torch.ones(4, 1, 1), [(0, -1)], (0, 1), groups=1)
    with pytest.raises(npx.NextPixelError, match=r"cell reads at \(0, 1\) what is made later"):
        Schedule(program)
    program = Program(inputs=1, groups=1)
    gates = program.conv(program.image, torch.ones(4, 1, 1), [(0, -1)], None, phase=PIXEL)
    program.output = program.lstm(gates, torch.ones(4, 1, 1), [(0, 0)], (0, -1), groups=1)
    with pytest.raises(npx.NextPixelError, match=r"conv reads at \(0, 0\) what is made later"):
        Schedule(program)


def test_a_cell_that_reads_its_neighbour_wrongly_draws_other_images(monkeypatch):
    """In the compiled step alone: what the comparison of steps with the oracle rests on."""
    model = CASES["row-lstm"].build(5, 6).float()
    levels = random_levels(model, 8)
    exact = model.log_prob(levels)
    place = Schedule._place

    def shifted(self, op):
        if isinstance(op, Cell):
            op.taps = ((-1, 1),)
        place(self, op)

    monkeypatch.setattr(Schedule, "_place", shifted)
    from nextpixel.engine.cpu import executor
    from tests.laws.test_engine import score

    executor.PREPARED.clear()
    assert (score(model, levels) - exact).abs().max() > 1e-4


def test_state_of_padded_cells_is_empty():
    """Biases of cells outside the image must not enter it."""
    recur = disturb(Recurrence(3, 1, (0, -1)).double())
    gates = torch.ones(1, 4, 5, 12, dtype=torch.float64)
    inside = skew(torch.ones(1, 4, 5, 1, dtype=torch.bool)).flatten(1)
    found = unskew(recur(skew(gates), inside))
    skewed = skew(gates)
    skewed[~inside.unsqueeze(1)] = 7.0
    torch.testing.assert_close(unskew(recur(skewed, inside)), found, rtol=0, atol=0)


@pytest.mark.parametrize(("options", "message"), [
    ({"cells": 0}, "cells must be at least 1"),
    ({"first_side": 4}, "first_side must be odd"),
    ({"layers": 1.5}, "layers must be an integer"),
    ({"condition": npx.ClassCondition(3, form="gate")}, "form must be input, bias or map"),
])  # fmt: skip
def test_options_are_refused_by_name(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        npx.build("row-lstm", shape=(1, 5, 5), levels=2, **{**SMALL, **options})


def test_sizes_of_the_paper():
    """Table 1 and section 4: 7x7, layers of h cells with 2h features, two 1x1 layers."""
    model = npx.build("diagonal-bilstm", shape=(1, 28, 28), levels=2)
    directions = [part for part in model.modules() if isinstance(part, DiagonalLSTM)]
    assert (len(directions), sum(part.backward for part in directions)) == (14, 7)
    assert all(part.recur.weight.shape == (64, 16, 1, 2) for part in directions)
    assert model.blocks[0].up.conv.weight.shape[:2] == (32, 16)


NO_TAPS = {
    "row-lstm": {**SMALL, "first_side": 1},
    "diagonal-bilstm": {**SMALL, "first_side": 1},
    "residual-pixelcnn": {"features": 6, "inner": 3, "blocks": 1, "first_side": 1},
    "pixelcnn": {"features": 6, "layers": 1, "side": 1},
}


@pytest.mark.parametrize("name", NO_TAPS)
def test_a_first_kernel_that_sees_nothing_is_refused(name):
    with pytest.raises(ValueError, match="side must be at least 3"):
        npx.build(name, shape=(1, 3, 4), levels=3, **NO_TAPS[name])


@torch.inference_mode()
def test_a_convolution_without_taps_is_its_bias():
    program = Program(inputs=1, groups=1)
    program.output = program.conv(
        program.image, torch.ones(2, 1, 0), [], torch.ones(2), phase=PIXEL
    )
    assert program.run(torch.zeros(3, 1, 4, 5)).shape == (3, 2, 4, 5)
    assert [len(tasks) for tasks in Schedule(program).tasks] == [1, 0, 0]


def test_comparing_a_program_with_loops_costs_as_much_at_any_size(monkeypatch):
    calls = []
    reference = Conv.reference
    monkeypatch.setattr(Conv, "reference", lambda *x: calls.append(1) or reference(*x))
    counts = []
    for side in (20, 40):
        calls.clear()
        lowered(net("diagonal-bilstm", side))
        counts.append(len(calls))
    assert counts[0] == counts[1]
