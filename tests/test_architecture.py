"""The tree: a part imports only from parts above it, and files stay small."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

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
    "nn",
    "heads",
    "models",
    "engine",
    "accelerate",
    "checkpoint",
    "evaluation",
    "likelihood",
    "audit",
    "receptive",
    "classify",
    "health",
    "training",
    "sampling",
    "codec",
    "recipes",
    "gallery",
    "exhibit",
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


def offenders(check: Callable[[Path, ast.Module], Iterator[str]]) -> list[str]:
    """What a rule says against each file of the package."""
    return [
        f"{path.relative_to(PACKAGE)}: {fault}"
        for path in FILES
        for fault in check(path, ast.parse(path.read_text(encoding="utf-8")))
    ]


def imported_parts(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
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


def reach_forward(path: Path, tree: ast.Module) -> Iterator[str]:
    later = PARTS[PARTS.index(part_of(path)) + 1 :]
    yield from (f"imports {name}" for name in imported_parts(tree) if name in later)


def too_long(path: Path, tree: ast.Module) -> Iterator[str]:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > 400:
        yield f"{lines} lines"


def unpickle(path: Path, tree: ast.Module) -> Iterator[str]:
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        said = {f"{word.arg}={ast.unparse(word.value)}" for word in call.keywords}
        forbidden = said & {"allow_pickle=True", "weights_only=False"}
        if forbidden or ast.unparse(call.func) == "pickle.load":
            yield f"line {call.lineno}"


def test_a_part_imports_only_parts_above_it():
    assert offenders(reach_forward) == []


def test_the_rule_has_a_place_for_every_part():
    assert {part_of(path) for path in FILES} == set(PARTS)


def test_a_file_stays_within_400_lines():
    assert offenders(too_long) == []


def test_no_file_is_unpickled():
    assert offenders(unpickle) == []


def test_the_rules_see_what_they_forbid():
    later = ast.parse("import nextpixel.cli.app\nfrom nextpixel import codec")
    assert set(reach_forward(PACKAGE / "order.py", later)) == {"imports cli", "imports codec"}
    pickled = "pickle.load(f)\ntorch.load(f)\ntorch.load(f, weights_only=False)"
    assert list(unpickle(PACKAGE, ast.parse(pickled))) == ["line 1", "line 3"]
