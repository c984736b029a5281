"""Fixtures of the laws: every case of the registry, in the sizes that the laws can afford."""

import pytest

from nextpixel.models import PixelModel
from tests.laws.cases import CASES, Case, params


@pytest.fixture(params=params(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


COLORED = {name: case for name, case in CASES.items() if case.colors > 1}
GRAY = {name: case for name, case in CASES.items() if case.colors == 1}


@pytest.fixture(params=params(COLORED))
def color_case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=params(GRAY))
def gray_case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> PixelModel:
    """5x6 pixels, float64."""
    return case.build(5, 6)


@pytest.fixture
def tiny_model(case: Case) -> PixelModel:
    """2x2 pixels of two levels, float64: few enough images to count them all."""
    return case.with_levels(2).build(2, 2)
