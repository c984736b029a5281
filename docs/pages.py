"""The pages that zensical builds: those of docs/, and those made of docstrings and of --help.

    python docs/pages.py        fills build/docs; `make docs` runs it, then zensical

What is made here: the reference, from the docstrings; the commands, from their own help; and the
texts of the repository's root, as pages. Nothing of it is written by hand, so it cannot go stale.
"""

import contextlib
import io
import os
import shutil
import sys
from importlib import import_module
from pathlib import Path

import nextpixel
from nextpixel.cli.app import app, main

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "docs"
PACKAGE = Path(nextpixel.__file__).parent
WIDTH = 76  # columns of a help text

GROUPS = {
    "data": ("Data", ("order", "images", "data")),
    "models": (
        "Models",
        ("nn", "heads", "models", "checkpoint", "program", "runtime.compiling"),
    ),
    "likelihood": (
        "Likelihood and audit",
        ("likelihood", "evaluation", "audit", "receptive", "classify", "health"),
    ),
    "training": (
        "Training",
        ("training", "recipes", "accelerate", "runtime.device", "runtime.distributed"),
    ),
    "sampling": ("Sampling", ("sampling",)),
    "codec": ("Compression", ("codec",)),
    "output": ("Pictures, settings, errors", ("gallery", "config", "errors")),
}
"""Pages of the reference: name -> title and public parts of the package, or files of them."""

INNER = ("cli", "engine", "exhibit", "playground", "runtime")
"""Parts that are no interface: the reference leaves them out, but for the files named above."""

ROOT_PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}


def public_names(part: str) -> list[str]:
    """Names that a package exports."""
    package = import_module(f"nextpixel.{part}")
    return sorted(getattr(package, "__all__", None) or package._HOMES)


def defined_in(part: str, name: str) -> str:
    """The module that defines a name of a package; the package itself for constants."""
    own = getattr(getattr(import_module(f"nextpixel.{part}"), name), "__module__", None) or ""
    return own if own.startswith("nextpixel.") else f"nextpixel.{part}"


def directives(part: str) -> list[str]:
    """A file as a whole; of a package its text, and each module with the names it exports."""
    if (PACKAGE / f"{part.replace('.', '/')}.py").is_file():
        return [f"::: nextpixel.{part}"]
    exported: dict[str, list[str]] = {f"nextpixel.{part}": []}
    for name in public_names(part):
        exported.setdefault(defined_in(part, name), []).append(name)
    return [directive(module, names) for module, names in sorted(exported.items())]


def directive(module: str, names: list[str]) -> str:
    """A module's text, and some of its members."""
    members = f" [{', '.join(names)}]" if names else " false"
    return f"::: {module}\n    options:\n      members:{members}"


def reference(title: str, parts: tuple[str, ...]) -> str:
    """A page of the reference."""
    found = [found for part in parts for found in directives(part)]
    return "\n\n".join([f"# {title}", *found]) + "\n"


def home(name: str) -> str:
    """Where a public name of the library is defined."""
    value = getattr(nextpixel, name)
    return f"{value.__module__}.{name}" if hasattr(value, "__module__") else value.__name__


def library() -> str:
    """The page of the names in `nextpixel.__all__`: objects in full, modules in a line."""
    lines = ["# The library", "`import nextpixel as npx` gives these names."]
    parts = [
        name for name in nextpixel.__all__ if not hasattr(getattr(nextpixel, name), "__module__")
    ]
    for name in parts:
        text = (getattr(nextpixel, name).__doc__ or "").splitlines()[0]
        lines.append(f"- `npx.{name}`, a module: {text}")
    lines += [f"::: {home(name)}" for name in nextpixel.__all__ if name not in parts]
    return "\n\n".join(lines) + "\n"


def help_of(*words: str) -> str:
    """What a command says of itself."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        main([*words, "--help"])
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def commands() -> str:
    """The page of the command line: each command's own help."""
    pieces = ["# The command line", "What `nextpixel --help` and each command's `--help` print."]
    for words in [(), *((name,) for name in app if not name.startswith("-"))]:
        pieces.append(f"## {' '.join(['nextpixel', *words])}\n\n```text\n{help_of(*words)}\n```")
    return "\n\n".join(pieces) + "\n"


def index() -> str:
    """The first page of the reference."""
    rows = ["# Reference", "Made from the docstrings and from the commands' own help."]
    rows.append("- [The library](library.md): the names of `import nextpixel`")
    rows.append("- [The command line](commands.md): every command and option")
    for name, (title, parts) in GROUPS.items():
        rows.append(f"- [{title}]({name}.md): `{'`, `'.join(parts)}`")
    return "\n\n".join(rows[:2]) + "\n\n" + "\n".join(rows[2:]) + "\n"


def from_root(text: str) -> str:
    """A text of the repository's root, with links as they are among the pages."""
    return text.replace("](docs/", "](")


def to_root(text: str) -> str:
    """A page of docs/, with its links to texts of the root turned to their pages."""
    for name, page in ROOT_PAGES.items():
        text = text.replace(f"](../{name}", f"]({page}")
    return text


def pages() -> dict[str, str]:
    """All pages by their path."""
    own = {path.name: to_root(path.read_text("utf-8")) for path in (ROOT / "docs").glob("*.md")}
    root = {page: from_root((ROOT / name).read_text("utf-8")) for name, page in ROOT_PAGES.items()}
    made = {f"{name}.md": reference(*group) for name, group in GROUPS.items()}
    made |= {"index.md": index(), "library.md": library(), "commands.md": commands()}
    return own | root | {f"reference/{name}": text for name, text in made.items()}


def fill(folder: Path = OUT) -> None:
    """Write all pages, pictures and the exhibit, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", folder / "images")
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert main(["exhibit", "--out", str(folder / "exhibit")]) == 0


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(WIDTH)
    fill()
    print(f"{len(pages())} pages in {OUT.relative_to(ROOT)}", file=sys.stderr)
