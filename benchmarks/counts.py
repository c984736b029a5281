"""What the house style counts: files, lengths of functions, parameters, words that were replaced.

    python benchmarks/counts.py           the figures, the offenders, and one line of JSON
    python benchmarks/counts.py --brief   without the offenders

`LIMITS` are those of the style; tests/test_counts.py holds them.
"""

import argparse
import ast
import io
import json
import keyword
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "nextpixel"
LIMITS = {"median": 6, "p90": 25, "longest": 60, "parameters": 7, "words": 0}
KERNELS = {"compiled", "inlined", "intrinsic", "njit", "vectorize", "overload"}
"""Decorators of functions that numba compiles: arrays have no dataclass there."""


# Functions


class Function(NamedTuple):
    """A function of the package: where it is, its lines without docstring, its parameters."""

    place: str
    name: str
    lines: int
    parameters: int
    is_kernel: bool


def functions() -> list[Function]:
    """All functions and methods of the package, nested ones too."""
    return [found for path in sources() for found in _of_tree(_tree(path), path)]


def sources() -> list[Path]:
    """The source files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _of_tree(tree: ast.Module, path: Path) -> Iterator[Function]:
    compiled = {id(inner) for kernel in _kernels(tree) for inner in ast.walk(kernel)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            yield Function(place, node.name, length(node), _parameters(node), id(node) in compiled)


def _kernels(tree: ast.Module) -> Iterator[ast.AST]:
    """Functions with a compiling decorator, and those that such a decorator is called with."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    wrapped = {ast.unparse(call.args[0]) for call in calls if _name(call) in KERNELS}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if node.name in wrapped or any(_name(word) in KERNELS for word in node.decorator_list):
                yield node


def _name(decorator: ast.expr) -> str:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(call).rpartition(".")[2]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring's."""
    first = function.body[0]
    saved = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0
    return function.end_lineno - function.lineno + 1 - saved


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Of any kind, without `self` and `cls`."""
    words = function.args
    named = [word.arg for word in (*words.posonlyargs, *words.args, *words.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")]) + sum(
        word is not None for word in (words.vararg, words.kwarg)
    )


def lengths() -> dict[str, float]:
    """Median, 90th percentile and maximum of the lines of functions."""
    ordered = sorted(function.lines for function in functions())
    return {
        "functions": len(ordered),
        "median": statistics.median(ordered),
        "p90": ordered[-(-9 * len(ordered) // 10) - 1],
        "longest": ordered[-1],
    }


def long_functions() -> list[str]:
    """Functions above the longest that the style allows."""
    return [
        f"{one.place} {one.name}: {one.lines} lines"
        for one in functions()
        if one.lines > LIMITS["longest"]
    ]


def crowded_functions() -> list[str]:
    """Functions outside of compiled kernels with too many parameters."""
    return [
        f"{one.place} {one.name}: {one.parameters} parameters"
        for one in functions()
        if one.parameters > LIMITS["parameters"] and not one.is_kernel
    ]


# Words


@dataclass(frozen=True)
class Word:
    """A word that was replaced.

    Args:
        pattern: Regular expression of the word, for a word cut out at underscores and humps.
        now: What is said instead.
        in_text: Whether it counts in texts too: comments, docstrings, messages, pages. If not, it
            is plain English there, and counts as a name in code only.
        only: Folders and files, from the root, where it counts; everywhere if there are none.
        but: Folders and files where it means something else.
        phrases: Ordinary phrases with the word, which are allowed.
    """

    pattern: str
    now: str
    in_text: bool = True
    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()

    def counts_in(self, path: Path) -> bool:
        """Whether the word means the replaced thing in a file."""
        place = path.relative_to(ROOT).as_posix()
        return (not self.only or place.startswith(self.only)) and not (
            self.but and place.startswith(self.but)
        )


NETS = tuple(
    f"src/nextpixel/{part}" for part in ("accelerate", "engine", "heads", "models", "nn", "program")
)
WORDS = [
    Word("told", "condition, is conditioned on, is given"),
    Word(
        "hear|hears|heard|hearing",
        "inject, input",
        but=(  # names of weights on the disk, which never change
            "src/nextpixel/checkpoint.py",
            "tests/test_checkpoint.py",
        ),
    ),
    Word(
        "given",
        "condition, embedding",
        in_text=False,  # a preposition of English
        but=(
            "src/nextpixel/sampling/region.py",
            "src/nextpixel/cli/measure.py",
            "src/nextpixel/playground/completing.py",
            "tests/test_particles.py",
            "tests/test_playground_completing.py",
            "tests/test_mirror_orders.py",
            "tests/test_any_order.py",
            "benchmarks/completion.py",
        ),  # p(a | given b)
    ),
    Word("known", "phase", in_text=False, only=("src/nextpixel/program",)),  # else the user's mask
    Word(
        "lanes?",
        "threads",
        but=(
            "src/nextpixel/accelerate",
            "src/nextpixel/runtime/vectors.py",
            "src/nextpixel/engine",
            "benchmarks/tiles.py",
        ),  # of a vector register
    ),
    Word("ranks", "processes, distributed"),  # one rank is torch's word
    Word(
        "launcher",
        "distributed",
        in_text=False,
        but=(  # torch's word for torchrun
            "src/nextpixel/runtime",
            "tests/test_launcher.py",
        ),
    ),
    Word("desk", "job queue"),
    Word("shelf", "model cache"),
    Word("ground", "app state", phrases=("ground truth",)),
    Word("wire", "serialization"),
    Word("easel", "editor"),
    Word("sight", "inspector", phrases=("at first sight",)),
    Word("looks", "validation", in_text=False),
    Word("points", "resume", in_text=False, only=("src/nextpixel/training", "tests/test_train")),
    Word("surroundings", "signals"),
    Word("identity", "fingerprint", in_text=False, only=("src/nextpixel/training",)),
    Word("manner", "options"),
    Word("sharpness", "truncation"),
    Word("feed|flow", "of data: batches, stream", in_text=False),
    Word("pays", "should_fuse", in_text=False),
    Word("at_once", "fused", in_text=False),
    Word("stretch|stretches", "spans", in_text=False),
    Word("beside", "left", in_text=False),
    Word("beside", "left", only=NETS),
    Word("behind", "after", in_text=False),
    Word("behind", "after", only=NETS),
    Word("cannot be meant|cannot_be_meant", "is invalid"),
]
"""The table of the design, as patterns.

Not counted, since only a reader can tell: `rows`, `columns`, `parts` and `table` (plain words),
`weights` of levels against weights of a net, `known` outside of `program`.
"""
IMPORTED = {
    "given": "hypothesis",  # its decorator
}
"""Names of other libraries that are such words."""
MODULES = {"told", "hearing", "lanes", "ranks", "desk", "shelf", "ground", "wire", "easel",
           "sight", "looks", "points", "surroundings", "identity", "manner", "sharpness", "parts",
           "rows", "flow", "column", "table", "feed", "stream_feed"}  # fmt: skip
"""No file is called so."""

TEXTS = ("*.py", "*.md", "*.js", "*.mjs", "*.css", "*.html", "*.yaml", "*.yml", "*.toml", "*.cff")
PLACES = ("src", "tests", "docs", "benchmarks", "examples")
SKIPPED = ("src/nextpixel/data/files", "src/nextpixel/shipped", "tests/files")
"""Licenses of others and files on the disk."""
OWN = {"benchmarks/counts.py", "tests/test_counts.py"}
"""They hold the words themselves."""


class Hit(NamedTuple):
    """An old word where it should not be."""

    place: str
    word: str
    now: str
    line: str


def hits() -> list[Hit]:
    """Every line and every file name with a word that was replaced."""
    return [hit for path in texts() for hit in (*_of_name(path), *_of_lines(path))]


def texts() -> list[Path]:
    """Files that a reader may read: code, tests, pages, messages."""
    inside = (found for part in PLACES for kind in TEXTS for found in (ROOT / part).rglob(kind))
    at_root = (found for kind in TEXTS for found in ROOT.glob(kind))
    return [path for path in sorted({*inside, *at_root}) if _is_ours(path)]


def _is_ours(path: Path) -> bool:
    place = path.relative_to(ROOT).as_posix()
    return place not in OWN and not place.startswith(SKIPPED) and "__pycache__" not in place


def _of_name(path: Path) -> Iterator[Hit]:
    place, stem = path.relative_to(ROOT).as_posix(), path.stem.removeprefix("test_")
    if stem in MODULES:
        yield Hit(f"{place}:0", stem, "another name of the file", path.name)


def _of_lines(path: Path) -> Iterator[Hit]:
    text = path.read_text(encoding="utf-8")
    names = _names(text, is_python=path.suffix == ".py")
    for word in (word for word in WORDS if _pattern(word).search(text) and word.counts_in(path)):
        pattern, allowed = _pattern(word), re.compile("|".join(word.phrases) or "(?!)", re.I)
        for number, line in enumerate(text.splitlines(), 1):
            found = allowed.sub("", line) if word.in_text else " ".join(names.get(number, ()))
            for match in pattern.finditer(found):
                place = f"{path.relative_to(ROOT).as_posix()}:{number}"
                yield Hit(place, match[0], word.now, line.strip())


@cache
def _pattern(word: Word) -> re.Pattern[str]:
    """The word alone, or between underscores and humps of a name: `toldRows`, `is_told`, `TOLD`."""
    small, humps = word.pattern, "|".join(map(str.capitalize, word.pattern.split("|")))
    return re.compile(
        rf"(?<![A-Za-z])(?:{small})(?![a-z])|(?:{humps})(?![a-z])|"
        rf"(?<![A-Za-z])(?:{small.upper()})(?![A-Za-z])"
    )


def _names(text: str, *, is_python: bool) -> dict[int, list[str]]:
    """Names in Python code by line; those that other libraries gave are left out."""
    found: dict[int, list[str]] = {}
    if is_python:
        foreign = {name for name, library in IMPORTED.items() if f"from {library} import" in text}
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                if token.string not in foreign:
                    found.setdefault(token.start[0], []).append(token.string)
    return found


# Output


def counts() -> dict[str, float]:
    """All figures."""
    return {
        "files": len(sources()),
        "lines": sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources()),
        **lengths(),
        "above_60_lines": len(long_functions()),
        "above_7_parameters": len(crowded_functions()),
        "words": len(hits()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brief", action="store_true", help="without the offenders")
    brief, figures = parser.parse_args().brief, counts()
    if not brief:
        for hit in hits():
            print(f"{hit.place}: {hit.word} -> {hit.now}: {hit.line[:80]}")
        print(*long_functions(), *crowded_functions(), sep="\n")
    for name, value in figures.items():
        limit = f"   at most {LIMITS[name]}" if name in LIMITS else ""
        print(f"{name:20} {value:8g}{limit}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
