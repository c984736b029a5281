"""The table of mutants fits the tree, and mutants are what they say."""

import ast
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
MUTANTS = runpy.run_path(str(ROOT / "benchmarks" / "mutants.py"))


def changes(code: str) -> set[str]:
    tree = ast.parse(code)
    return {
        ast.unparse(MUTANTS["_replaced"](tree, node, new))
        for node, _ in MUTANTS["_nodes"](tree, compiled=False)
        for _, new in MUTANTS["CHANGES"].get(type(node), lambda _: ())(node)
    }


@pytest.mark.parametrize("part", MUTANTS["TESTS"])
def test_every_part_and_its_tests_are_there(part):
    assert MUTANTS["_files"](part), part
    missing = [name for name in MUTANTS["TESTS"][part] if not (ROOT / name).is_file()]
    assert missing == []


def test_there_are_more_than_two_hundred():
    assert len(MUTANTS["chosen"](12, 3, "")) >= 200


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a and (not b)", {"a or not b", "a and b"}),
        ("x = a[1:]", {"x = a[1 + 1:]", "x = a[1:-1]", "x = a[2:]", "x = a[0:]"}),
        ("f(a, b, t=c)", {"f(b, a, t=c)", "f(a, b)", "pass"}),
        ("def f(x):\n    return -x", {"def f(x):\n    return x"}),
        ("raise ValueError(a + 1)", set()),
        ('def f(x: int = a + b):\n    """1 + 1"""', {'def f(x: int=a - b):\n    """1 + 1"""'}),
    ],
)
def test_mutants_are_small_faults_of_what_runs(code, expected):
    assert changes(code) == expected


def test_every_test_has_its_turn_before_any_has_a_second():
    items = [SimpleNamespace(nodeid=name) for name in ("f[1]", "f[2]", "f[3]", "g", "h[1]", "h[2]")]
    turns = lambda cases: [item.nodeid for item in MUTANTS["by_turns"](items, cases)]  # noqa: E731
    assert turns(None) == ["f[1]", "g", "h[1]", "f[3]", "h[2]", "f[2]"]
    assert turns(1) == ["f[1]", "g", "h[1]"]


def test_constants_next_to_compiled_functions_are_compiled_with_them():
    code = "A = 1\n{}def f(x):\n    return x"
    for decorator, expected in (("@compiled\n", {True}), ("", {False})):
        nodes = MUTANTS["_nodes"](ast.parse(code.format(decorator)), compiled=False)
        assert {compiled for _, compiled in nodes} == expected
