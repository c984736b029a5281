"""The site has a page for everything: its pages are in the menu, public names in the reference."""

import importlib.util
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import nextpixel
from nextpixel.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def from_docs(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return from_docs("pages").pages()


def menu():
    """Paths in the menu of the site."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return re.findall(r"(\S+\.md)$", text.split("\nnav:")[1], re.MULTILINE)


def test_the_menu_has_every_page_and_no_other(pages):
    assert sorted(menu()) == sorted(pages)


def test_every_link_between_pages_leads_somewhere(pages):
    for name, text in pages.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#:\s]+)\)", prose):
            path = (Path(name).parent / target).as_posix()
            assert path in pages or (DOCS / path).is_file(), f"{name} links to {target}"


@pytest.mark.parametrize("name", nextpixel.__all__)
def test_the_reference_has_every_public_name(name, pages):
    page = pages["reference/library.md"]
    assert f".{name}\n" in page or f"npx.{name}`" in page


def test_the_reference_has_the_public_parts_and_no_other(pages):
    script, package = from_docs("pages"), Path(nextpixel.__file__).parent
    listed = {part for _, parts in script.GROUPS.values() for part in parts}
    files = [path for path in package.iterdir() if not path.stem.startswith("_")]
    parts = {path.stem for path in files if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {part for part in listed if "." not in part} | set(script.INNER) == parts
    assert not listed & set(script.INNER)
    shown = re.findall(r"^::: nextpixel\.(\S+)$", "\n".join(pages.values()), re.MULTILINE)
    inner = [name for name in shown if name.split(".")[0] in script.INNER]
    assert set(inner) == {part for part in listed if "." in part}


def test_the_reference_has_every_name_that_a_part_exports(pages):
    script = from_docs("pages")
    for name, (_, parts) in script.GROUPS.items():
        shown = re.findall(r"members: \[(.*)\]", pages[f"reference/{name}.md"])
        names = {name for line in shown for name in line.split(", ")}
        packages = [
            part for part in parts if hasattr(import_module(f"nextpixel.{part}"), "__path__")
        ]
        assert names == {name for part in packages for name in script.public_names(part)}


def test_the_reference_has_every_command(pages):
    text = pages["reference/commands.md"]
    commands = [name for name in app if not name.startswith("-")]
    assert commands
    assert all(f"## nextpixel {name}\n" in text for name in commands)
    assert text.count("Usage: nextpixel") == len(commands) + 1


def test_formulas_and_examples_of_docstrings_become_code():
    pytest.importorskip("griffe")
    rewritten = from_docs("docstrings").rewritten
    assert rewritten("Example:\n    >>> 1") == "Examples:\n    >>> 1"
    assert rewritten("It is\n\n.. math:: a = b.\n\nso.") == "It is\n\n```text\na = b.\n```\n\nso."
    assert rewritten("For Example: none") == "For Example: none"


def test_the_citation_names_this_version():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["version"] == nextpixel.__version__
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
