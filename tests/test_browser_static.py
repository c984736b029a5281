"""The files of the page, without a browser: what they may not hold, and how much they may weigh."""

import gzip
import re
from pathlib import Path

import pytest

import nextpixel

STATIC = Path(nextpixel.__file__).parent / "playground" / "static"
FILES = sorted(STATIC.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
NAMESPACES = {"http://www.w3.org/2000/svg"}
"""Addresses that are names only, and that nobody asks."""


def text(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_names_no_other_host(path):
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w[\w./-]*", text(path)))
    assert found <= NAMESPACES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_in_lines_and_columns(path):
    lines = text(path).splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_is_and_imports_what_is_there(path):
    assert text(path).startswith("/** ")
    for names, file in re.findall(r'import \{([^}]*)\} from "\./([\w.]+)"', text(path)):
        source = text(STATIC / file)
        for name in (word.strip() for word in names.split(",") if word.strip()):
            assert re.search(rf"export (async )?(function\*?|class|const) {name}\b", source)
            assert len(re.findall(rf"\b{name}\b", text(path))) > 1, f"{name} is not used"


def test_the_page_holds_no_script_and_no_style_of_its_own():
    page = text(STATIC / "index.html")
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="module" src="static/main.js">',
    ]
    assert "<style" not in page
    assert not re.search(r"\s(style|on\w+)=", page)


def test_a_script_sets_no_style_attribute_and_opens_no_alert():
    written = "".join(map(text, SCRIPTS))
    assert not re.search(r"\b(style: \"|alert\(|confirm\(|prompt\(|innerHTML|eval\()", written)


def test_every_file_is_asked_for_by_the_page():
    named = "".join(map(text, FILES))
    assert [path.name for path in FILES if path.name not in named] == ["index.html"]


def test_the_page_weighs_little():
    """As it is sent, packed."""
    assert sum(len(gzip.compress(path.read_bytes())) for path in FILES) < 100_000
