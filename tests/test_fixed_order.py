"""Convolutions summed in one order are torch's, and reach what conditions become."""

import pytest
import torch
import torch.nn.functional as F

from nextpixel.engine.cpu import fixed_order as own
from tests.laws.cases import CASES

SIZES = [((1, 1), (3, 3), 1, 0), ((3, 5), (4, 4), 2, 1), ((4, 4), (2, 3), (1, 2), (0, 1))]


@pytest.mark.parametrize(("size", "side", "stride", "padding"), SIZES)
def test_they_are_those_of_torch(size, side, stride, padding):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, *size, generator=rng).double()
    weight = torch.randn(5, 3, *side, generator=rng).double()
    bias = torch.randn(3, generator=rng).double()
    wanted = F.conv_transpose2d(x, weight, bias, stride, padding)
    found = own.conv_transpose2d(x, weight, bias, stride, padding)
    assert torch.allclose(found, wanted, atol=1e-12)
    back = F.conv2d(wanted, weight, None, stride, padding)
    assert torch.allclose(own.conv2d(wanted, weight, None, stride, padding), back, atol=1e-12)


def test_sums_go_tap_by_tap():
    rng = torch.Generator().manual_seed(1)
    x, weight = torch.randn(1, 60, 1, 1, generator=rng), torch.randn(1, 60, 1, 1, generator=rng)
    total = torch.zeros(())
    for product in (x * weight).flatten():
        total = total + product
    with own.fixed_order():
        assert torch.conv2d(x, weight).item() == total.item()


@pytest.mark.parametrize("name", [name for name in CASES if "map" in name or "vector" in name])
def test_conditions_become_what_they_do_by_torch(name):
    model = CASES[name].build(6, 7)
    value = model.conditioner.example(3, torch.Generator().manual_seed(0))
    plain = model.condition(value, 3)
    with own.fixed_order():
        ordered = model.condition(value, 3)
    for one, other in zip(plain.parts, ordered.parts, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_it_ends_with_its_block():
    with own.fixed_order():
        pass
    x = torch.ones(1, 1, 4, 4)
    assert torch.conv2d(x, x, groups=1).item() == 16
    with pytest.raises(AssertionError), own.fixed_order():
        torch.conv2d(torch.ones(1, 2, 4, 4), torch.ones(2, 1, 2, 2), groups=2)
