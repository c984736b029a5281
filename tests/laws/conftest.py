"""Fixtures of the laws: every case of the registry, in the sizes that the laws can afford."""

import pytest

from nextpixel.models import PixelModel
from tests.laws.cases import CASES, Case, params


@pytest.fixture(params=params(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


COLORED = {name: case for name, case in CASES.items() if case.colors > 1}


@pytest.fixture(params=params(COLORED))
def color_case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> PixelModel:
    """5x6 pixels, float64."""
    return case.build(5, 6)


SMALL = {name: case for name, case in CASES.items() if case.multiple == 1}
"""Those of any size; `test_exactness` counts all images of the others where they are gray."""


@pytest.fixture(params=params(SMALL))
def tiny_model(request: pytest.FixtureRequest) -> PixelModel:
    """2x2 pixels of two levels, float64: few enough images to count them all."""
    return request.param.with_levels(2).build(2, 2)


@pytest.fixture(params=params({name: case for name, case in SMALL.items() if case.colors == 1}))
def tiny_gray_case(request: pytest.FixtureRequest) -> Case:
    return request.param
