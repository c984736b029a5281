"""Small faults in the exact core, one at a time: does a test of that part see each?

    python benchmarks/mutants.py --list                  the mutants, none is run
    python benchmarks/mutants.py --out mutants.jsonl     run those that have no line in the file yet
    python benchmarks/mutants.py --shard 0/4 --per-file 20 --only src/nextpixel/heads
    python benchmarks/mutants.py --survivors mutants.jsonl

A mutant lives in memory only: a fork of this process imports its module from a changed syntax tree,
and runs the tests that `TESTS` names for the file until one fails. Nothing is written into the
tree. What tests start as processes of their own does not see the mutant, so those do not count.
Verdicts on survivors are in docs/mutants.md.
"""

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice, zip_longest
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
LAWS = "tests/laws"
HEADS = ["tests/test_heads.py", f"{LAWS}/test_sampling.py", f"{LAWS}/test_exactness.py"]
PROGRAM = [f"{LAWS}/test_lowering.py", f"{LAWS}/test_engine.py", "tests/test_extension_points.py"]
ENGINE = [f"{LAWS}/test_engine.py", "tests/test_engine.py", "tests/test_extension_points.py"]
BY_TORCH = [f"{LAWS}/test_torch_engine.py", f"{LAWS}/test_sampling.py"]
CODEC = [f"{LAWS}/test_codec_sizes.py", f"{LAWS}/test_codec.py", "tests/test_codec_golden.py"]
FILES = ["tests/test_codec_container.py", *CODEC[:1], "tests/test_codec_damage.py", *CODEC[1:]]
ORDERS = ["tests/test_mirror_orders.py", "tests/test_any_order.py", "tests/test_cli_orders.py"]
TESTS = {
    "nn/masks.py": ["tests/test_nn.py", f"{LAWS}/test_exactness.py"],
    "nn/conv.py": ["tests/test_nn.py", "tests/test_condition.py", f"{LAWS}/test_exactness.py",
                   f"{LAWS}/test_lowering.py", f"{LAWS}/test_engine.py"],
    "nn/gated.py": ["tests/test_gated.py", f"{LAWS}/test_exactness.py", f"{LAWS}/test_lowering.py",
                    f"{LAWS}/test_engine.py"],
    "nn/conditioner.py": ["tests/test_condition.py", f"{LAWS}/test_exactness.py", *PROGRAM],
    "nn/orders.py": ORDERS,
    "nn/local.py": ["tests/test_any_order.py", f"{LAWS}/test_exactness.py"],
    "heads": [*HEADS, "tests/test_likelihood.py", f"{LAWS}/test_engine.py"],
    "sampling/orders.py": ORDERS,
    "sampling/region.py": [*ORDERS, "tests/test_particles.py"],
    "sampling/known.py": [*ORDERS, "tests/test_particles.py"],
    "sampling": [f"{LAWS}/test_engine.py", f"{LAWS}/test_sampling.py", *ENGINE,
                 f"{LAWS}/test_torch_engine.py"],
    "likelihood": ["tests/test_likelihood.py", "tests/test_threads.py", "tests/test_sizes.py",
                   "tests/test_data_streaming.py", *HEADS],
    "images.py": ["tests/test_images.py", *HEADS],
    "order.py": ["tests/test_order.py", *ORDERS, "tests/test_audit.py", *HEADS],
    "engine/torch_scan.py": [*BY_TORCH, "tests/test_extension_points.py"],
    "engine/torch_engine.py": BY_TORCH,
    "engine/lowering.py": ["tests/test_extension_points.py", *ENGINE, *BY_TORCH],
    "engine/cpu": [*ENGINE, f"{LAWS}/test_sampling.py", *CODEC],
    "program/ops": [*PROGRAM, "tests/test_engine.py", *BY_TORCH],
    "program": [*PROGRAM, "tests/test_engine.py", *BY_TORCH],
    "codec/scans.py": [f"{LAWS}/test_codec_tables.py", *CODEC],
    "codec/range_coder.py": ["tests/test_codec_coder.py", *CODEC],
    "codec/tables.py": ["tests/test_codec_frequency.py", f"{LAWS}/test_codec_tables.py", *CODEC],
    "codec/coder.py": ["tests/test_codec_coder.py", *CODEC],
    "codec/metadata.py": ["tests/test_codec_metadata.py", "tests/test_cli_codec.py", *FILES],
    "codec/header.py": ["tests/test_codec_model_damage.py", *FILES],
    "codec/files.py": ["tests/test_cli_codec.py", "tests/test_cli_codec_refusals.py", *FILES],
    "codec": [*FILES, "tests/test_codec_model_damage.py", "tests/test_cli_codec.py"],
}  # fmt: skip
"""What tests each file or folder of the package, cheapest first; the first line that fits holds."""
NOTHING_RAN = 5
"""Exit status of pytest where no test was found."""
CASES = 2
"""Cases of each test that a sieve runs."""
COMPILED = ("compiled", "inlined", "njit")
"""Decorators of what is compiled."""
WRITTEN = ("nextpixel/program/attention.py", "nextpixel/program/products.py")
"""Files that write compiled code: all of them must be compiled again."""


# Making mutants


@dataclass(frozen=True)
class Mutant:
    """A change of one node: where, what, and what it was before."""

    path: str
    line: int
    column: int
    number: int
    kind: str
    before: str
    after: str
    is_compiled: bool

    @property
    def key(self) -> str:
        """Its name in the file of results."""
        return f"{self.path}:{self.line}:{self.column}:{self.number} {self.kind}"


Make = Callable[[], ast.Module]
Changes = Iterator[tuple[str, ast.AST]]
FLIPS: dict[type, list[type]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
SIGNS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def of_compare(node: ast.Compare) -> Changes:
    for place, operator in enumerate(node.ops):
        for flipped in FLIPS.get(type(operator), ()):
            ops = [*node.ops[:place], flipped(), *node.ops[place + 1 :]]
            yield "comparison", _with(node, ops=ops)


def of_bool(node: ast.BoolOp) -> Changes:
    yield "and/or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def of_unary(node: ast.UnaryOp) -> Changes:
    if not isinstance(node.op, ast.UAdd):
        yield f"removed {type(node.op).__name__}", node.operand


def of_binary(node: ast.BinOp | ast.AugAssign) -> Changes:
    if type(node.op) in SIGNS:
        yield "operator", _with(node, op=SIGNS[type(node.op)]())


def of_constant(node: ast.Constant) -> Changes:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int | float):
        yield "constant", ast.Constant(value + 1)
        if value > 0:
            yield "constant", ast.Constant(value - 1)


def of_call(node: ast.Call) -> Changes:
    plain = [not isinstance(word, ast.Starred | ast.Constant) for word in node.args[:2]]
    if plain == [True, True]:
        yield "swapped arguments", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    for word in node.keywords:
        if word.arg:
            rest = [other for other in node.keywords if other is not word]
            yield f"dropped {word.arg}", _with(node, keywords=rest)


def of_slice(node: ast.Slice) -> Changes:
    one = ast.Constant(1)
    lower = ast.BinOp(node.lower, ast.Add(), one) if node.lower else one
    yield "slice from one later", _with(node, lower=lower)
    upper = ast.BinOp(node.upper, ast.Sub(), one) if node.upper else ast.Constant(-1)
    yield "slice to one earlier", _with(node, upper=upper)


def of_function(node: ast.FunctionDef) -> Changes:
    """Return the first argument as it came, in place of the last result."""
    names = [word.arg for word in node.args.args if word.arg not in ("self", "cls")]
    last = node.body[-1]
    if names and isinstance(last, ast.Return) and last.value and not _is_name(last.value, names[0]):
        unchanged = ast.Return(ast.Name(names[0], ast.Load()))
        yield "returns its argument", _with(node, body=[*node.body[:-1], unchanged])


def of_statement(node: ast.Expr) -> Changes:
    if isinstance(node.value, ast.Call):
        yield "dropped statement", ast.Pass()


CHANGES: dict[type, Callable[..., Changes]] = {
    ast.Compare: of_compare,
    ast.BoolOp: of_bool,
    ast.UnaryOp: of_unary,
    ast.BinOp: of_binary,
    ast.AugAssign: of_binary,
    ast.Constant: of_constant,
    ast.Call: of_call,
    ast.Slice: of_slice,
    ast.FunctionDef: of_function,
    ast.Expr: of_statement,
}


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def mutants(path: Path) -> list[tuple[Mutant, Make]]:
    """Every mutant of a file, and what makes its syntax tree."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(SRC).as_posix()
    return [
        (
            Mutant(place, node.lineno, node.col_offset, number, kind, *_texts(node, new), compiled),
            partial(_replaced, tree, node, new),
        )
        for node, compiled in _nodes(tree, compiled=place in WRITTEN)
        for number, (kind, new) in enumerate(CHANGES.get(type(node), lambda _: ())(node))
    ]


def _texts(node: ast.AST, new: ast.AST) -> tuple[str, str]:
    before, after = (ast.unparse(ast.fix_missing_locations(copy.deepcopy(one))) for one in
                     (node, new))  # fmt: skip
    if isinstance(node, ast.FunctionDef):
        return before.splitlines()[-1].strip(), after.splitlines()[-1].strip()
    return before, after


def _nodes(node: ast.AST, *, compiled: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Nodes that do something: no messages, annotations, docstrings, decorators or imports."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_said(child, name):
                inside = compiled or _is_compiled(child) or _is_frozen(node, child)
                if hasattr(child, "lineno"):
                    yield child, inside
                yield from _nodes(child, compiled=inside)


def _is_said(node: ast.AST, field: str) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    warned = isinstance(node, ast.Expr) and ast.unparse(node).startswith("warnings.")
    silent = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Assert)
    return (
        docstring
        or warned
        or field in ("annotation", "returns", "decorator_list", "bases")
        or isinstance(node, silent)
    )


def _is_compiled(node: ast.AST) -> bool:
    words = getattr(node, "decorator_list", [])
    return any(ast.unparse(word).partition("(")[0] in COMPILED for word in words)


def _is_frozen(node: ast.AST, child: ast.AST) -> bool:
    """Whether compiled functions of a module may hold a value of it."""
    assigned = isinstance(node, ast.Module) and isinstance(child, ast.Assign)
    return assigned and any(map(_is_compiled, node.body))


def _replaced(tree: ast.Module, node: ast.AST, new: ast.AST) -> ast.Module:
    """A copy of the tree in which a node is another."""
    twins: dict[int, object] = {id(node): ast.copy_location(copy.deepcopy(new), node)}
    return ast.fix_missing_locations(copy.deepcopy(tree, twins))


def chosen(per_file: int, compiled_per_file: int, only: str) -> list[tuple[Mutant, Make]]:
    """A sample of each file's mutants, the same each time; fewer of those that must be compiled."""
    found = []
    for path in sorted(path for part in TESTS for path in _files(part)):
        every = mutants(path)
        random.Random(path.name).shuffle(every)
        slow = [one for one in every if one[0].is_compiled][:compiled_per_file]
        found += [one for one in every if not one[0].is_compiled][:per_file] + slow
    wanted = [one for one in found if f"src/nextpixel/{one[0].path[10:]}".startswith(only)]
    return list({one[0].key: one for one in wanted}.values())


def _files(part: str) -> list[Path]:
    path = SRC / "nextpixel" / part
    return [path] if path.is_file() else sorted(path.glob("*.py"))


# Running them


class Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from a syntax tree in place of its file."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self.tree = tree

    def get_code(self, fullname: str) -> CodeType:
        """See the base class."""
        return compile(self.tree, self.path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, mutated."""

    def __init__(self, mutant: Mutant, tree: ast.Module) -> None:
        name = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self.name, self.path, self.tree = name, str(SRC / mutant.path), tree

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See the base class."""
        if fullname != self.name:
            return None
        loader = Mutated(fullname, self.path, self.tree)
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


def tests_of(path: str, first: int | None) -> list[str]:
    """The tests that concern a file, those that there are; of these the first so many."""
    inside = path.removeprefix("nextpixel/")
    named = next(tests for part, tests in TESTS.items() if inside.startswith(part))
    own = f"src/{path}"  # its doctests
    return [name for name in dict.fromkeys([own, *named]) if (ROOT / name).exists()][:first]


def verdict(
    mutant: Mutant | None,
    tree: ast.Module | None,
    tests: list[str],
    limit: float,
    cases: int | None = None,
) -> str:
    """Run tests on a mutant, or on none, in a fork: "survived", "killed: ..." or "timeout"."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        child = os.fork()
        if not child:
            _become(mutant, tree, said, folder)
            os._exit(_test(tests, said, folder, cases))
        ended = _wait(child, limit)
        text = said.read_text(encoding="utf-8") if said.exists() else ""
    if ended is None:
        return "timeout"
    if ended in (0, NOTHING_RAN):
        return "survived"
    return f"killed: {text.strip() or f'status {ended}'}"


def fair_verdict(
    mutant: Mutant, tree: ast.Module, tests: list[str], limit: float, cases: int | None
) -> str:
    """As `verdict`, by those tests that pass without the mutant."""
    while (ended := verdict(mutant, tree, tests, limit, cases)).startswith("killed: tests/"):
        killer = ended.removeprefix("killed: ")
        if passes(killer, limit):
            break
        tests = [*tests, f"--deselect={killer}"]
    return ended


@cache
def passes(test: str, limit: float) -> bool:
    """Whether a test passes without any mutant."""
    return verdict(None, None, [test], limit) == "survived"


def _become(mutant: Mutant | None, tree: ast.Module | None, said: Path, folder: str) -> None:
    os.setsid()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.dont_write_bytecode = True
    if mutant is not None:
        if mutant.is_compiled:  # what is kept was made from the file
            os.environ["NUMBA_CACHE_DIR"] = folder
            importlib.reload(sys.modules["numba.core.config"])
        sys.meta_path.insert(0, finder := Finder(mutant, tree))
        _import(finder.name, said)
    _shrink_nothing()


def _shrink_nothing() -> None:
    """A failure is enough: hypothesis need not look for the smallest."""
    from hypothesis import Phase, settings

    found = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", phases=found, database=None, deadline=None)
    settings.load_profile("mutants")


def _import(name: str, said: Path) -> None:
    """Import the mutated module, before pytest does it for a file that it is given by its own."""
    try:
        importlib.import_module(name)
    except Exception as error:
        said.write_text(f"import: {error!r}", encoding="utf-8")
        os._exit(1)


def by_turns(items: list["pytest.Item"], cases: int | None) -> list["pytest.Item"]:
    """The first case of every test, then the second of each, and so on up to so many."""
    same: dict[str, list[pytest.Item]] = {}
    for item in items:
        same.setdefault(item.nodeid.partition("[")[0], []).append(item)
    turns = zip_longest(*(every[::2] + every[1::2] for every in same.values()))
    return [item for turn in islice(turns, cases) for item in turn if item is not None]


def _test(tests: list[str], said: Path, folder: str, cases: int | None) -> int:
    import pytest

    class Note:
        """Writes down which test failed first; every test has its turn before any has a second."""

        @pytest.hookimpl(trylast=True)  # after slow ones are left out
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = by_turns(items, cases)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                said.write_text(report.nodeid, encoding="utf-8")

    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/t"]
    with contextlib.chdir(ROOT):
        return int(pytest.main([*options, *tests], plugins=[Note()]))


def _wait(child: int, limit: float) -> int | None:
    """The status with which a child ended; None if it took too long."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def prepare() -> None:
    """Import what all tests need, but nothing of the package: forks begin there."""
    for name in ("torch", "torch.fx.experimental.proxy_tensor", "numba", "llvmlite", "hypothesis",
                 "pytest", "PIL.Image", "safetensors.torch", "constriction", "yaml"):  # fmt: skip
        importlib.import_module(name)
    sys.path[:0] = [str(SRC), str(ROOT)]
    os.environ["PYTHONPATH"] = str(SRC)
    assert "nextpixel" not in sys.modules


def run(found: list[tuple[Mutant, Make]], out: Path, limit: float, first: int | None) -> None:
    """Run what has no line in `out` yet, and add one line each.

    What survived some tests only is run again by all.
    """
    done = {line["key"] for line in read(out) if first or not line["first"] or not alive(line)}
    prepare()
    for number, (mutant, make) in enumerate(found):
        if mutant.key in done:
            continue
        start = time.monotonic()
        seconds = limit * (3 if mutant.is_compiled else 1)
        tests, cases = tests_of(mutant.path, first), first and CASES
        ended = fair_verdict(mutant, make(), tests, seconds, cases)
        line = {"key": mutant.key, **vars(mutant), "verdict": ended, "first": first,
                "seconds": round(time.monotonic() - start, 1)}  # fmt: skip
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{number + 1}/{len(found)} {line['seconds']:6} s {mutant.key}: {ended}", flush=True)


def read(out: Path) -> list[dict[str, object]]:
    """Results so far, the last of each mutant."""
    if not out.exists():
        return []
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return list({line["key"]: line for line in lines}.values())


def alive(line: dict[str, object]) -> bool:
    """Whether no test saw the mutant."""
    return line["verdict"] == "survived"


def show_survivors(out: Path) -> None:
    lines = read(out)
    survivors = [line for line in lines if alive(line)]
    for line in survivors:
        print(f"{line['key']}\n    - {line['before']}\n    + {line['after']}")
    print(json.dumps({"mutants": len(lines), "survived": len(survivors)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--list", action="store_true", help="show the mutants and run none")
    parser.add_argument("--survivors", type=Path, help="show what survived, of a file of results")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th mutant from the i-th on")
    parser.add_argument("--per-file", type=int, default=12)
    parser.add_argument("--compiled-per-file", type=int, default=3)
    parser.add_argument("--first", type=int, help="run so many files of tests only: a quick sieve")
    parser.add_argument("--only", default="", help="a path, from the root")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a mutant; three times "
                        "as many where code must be compiled")  # fmt: skip
    options = parser.parse_args()
    if options.survivors:
        return show_survivors(options.survivors)
    first, step = map(int, options.shard.split("/"))
    found = chosen(options.per_file, options.compiled_per_file, options.only)[first::step]
    if options.list:
        for mutant, _ in found:
            print(f"{mutant.key}: {mutant.before} -> {mutant.after}")
        return print(json.dumps({"mutants": len(found)}))
    run(found, options.out, options.limit, options.first)
    return show_survivors(options.out)


if __name__ == "__main__":
    main()
