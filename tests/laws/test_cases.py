"""The cases of the fast tests stand for all: what any case has, one of them has too."""

from collections.abc import Iterator

import pytest

from tests.laws.cases import CASES, COVERING, Case


def traits(case: Case) -> Iterator[tuple[str, ...]]:
    """What a case has that laws may depend on."""
    model = case.build(2, 3)
    yield "model", case.model
    yield "colors", case.options.get("colors", "dependent") if case.colors > 1 else "gray"
    yield "head", type(model.head).__name__, "coupled" if model.head.sees_colors else "alone"
    yield "levels", "two" if case.levels == 2 else "more"
    for condition in model.conditioner.conditions:
        yield "condition", type(condition).__name__, condition.form
    for name, value in case.options.items():
        yield ("option", name, value) if isinstance(value, str) else ("option", name)


@pytest.fixture(scope="module")
def covered() -> set[tuple[str, ...]]:
    return {trait for name in COVERING for trait in traits(CASES[name])}


@pytest.mark.parametrize("name", [name for name in CASES if name not in COVERING])
def test_what_a_slow_case_has_a_fast_one_has(name, covered):
    assert set(traits(CASES[name])) - covered == set()


@pytest.mark.parametrize("name", COVERING)
def test_no_fast_case_could_be_left_out(name):
    """Each has something that no other fast case has."""
    others = {trait for other in COVERING if other != name for trait in traits(CASES[other])}
    assert set(traits(CASES[name])) - others != set()
