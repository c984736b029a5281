"""The tree: a part imports only from parts above it, and files stay small."""

import ast
from pathlib import Path

import pytest

import nextpixel

PACKAGE = Path(nextpixel.__file__).parent
PARTS = [
    "errors",
    "config",
    "runtime",
    "order",
    "images",
    "data",
    "program",
    "accelerate",
    "nn",
    "heads",
    "models",
    "engine",
    "checkpoint",
    "likelihood",
    "audit",
    "classify",
    "health",
    "training",
    "sampling",
    "codec",
    "recipes",
    "gallery",
    "playground",
    "cli",
]
"""In the order of DESIGN: data, model, likelihood, training, sampling, output."""

OUTSIDE = {"__init__", "__main__"}
"""The package itself and its command stand above the parts."""

FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.stem not in OUTSIDE
]


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= (
                {node.module}
                if node.module != "nextpixel"
                else {f"nextpixel.{alias.name}" for alias in node.names}
            )
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    own = [name.split(".") for name in names if name.split(".")[0] == "nextpixel"]
    return {parts[1] for parts in own if len(parts) > 1}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_part_imports_only_parts_above_it(path):
    here = PARTS.index(part_of(path))
    later = {name for name in imported_parts(path) if name in PARTS and PARTS.index(name) > here}
    assert not later, f"{path.name} reaches forward to {sorted(later)}"


def test_the_rule_has_a_place_for_every_part():
    assert {part_of(path) for path in FILES} == set(PARTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_stays_within_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            said = {f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords}
            assert not said & {"allow_pickle=True", "weights_only=False"}
            assert ast.unparse(node.func) != "pickle.load"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_function_stays_within_60_lines_without_its_docstring(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            docstring = node.body[0] if ast.get_docstring(node) else None
            saved = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
            assert node.end_lineno - node.lineno + 1 - saved <= 60, node.name
