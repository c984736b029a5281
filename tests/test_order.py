"""The scan order: rows, then columns, then colors; every view of it agrees with the others."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextpixel.order import Step, from_sequence, index_of, step_at, steps, to_sequence

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))


@given(SHAPES)
def test_steps_visit_every_sub_pixel_once(shape):
    colors, height, width = shape
    visited = set(steps(shape))
    assert len(visited) == len(list(steps(shape))) == colors * height * width
    assert visited <= {
        Step(row, column, color)
        for row in range(height)
        for column in range(width)
        for color in range(colors)
    }


@given(SHAPES)
def test_index_of_counts_the_steps_before(shape):
    assert [index_of(step, shape) for step in steps(shape)] == list(range(len(list(steps(shape)))))


@given(SHAPES)
def test_step_at_undoes_index_of(shape):
    assert [step_at(index_of(step, shape), shape) for step in steps(shape)] == list(steps(shape))


def test_colors_change_first_then_columns_then_rows():
    assert [tuple(step) for step in steps((2, 2, 2))] == [
        (0, 0, 0),
        (0, 0, 1),
        (0, 1, 0),
        (0, 1, 1),
        (1, 0, 0),
        (1, 0, 1),
        (1, 1, 0),
        (1, 1, 1),
    ]


@given(SHAPES)
def test_a_sequence_holds_the_sub_pixels_in_the_order_of_the_steps(shape):
    images = torch.randint(256, (2, *shape), generator=torch.Generator().manual_seed(0))
    expected = [images[:, step.color, step.row, step.column] for step in steps(shape)]
    assert torch.equal(to_sequence(images), torch.stack(expected, dim=1))


@given(SHAPES)
def test_from_sequence_undoes_to_sequence(shape):
    images = torch.randint(256, (3, *shape), generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_sequence(to_sequence(images), shape), images)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float64])
def test_sequences_keep_the_dtype(dtype):
    assert to_sequence(torch.zeros(1, 3, 2, 2, dtype=dtype)).dtype == dtype
