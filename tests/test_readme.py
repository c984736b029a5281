"""The code blocks of README, CONTRIBUTING and docs run as printed, page by page.

A page's blocks run in their order, in a folder of their own, and share their names. CONTRIBUTING
says what becomes of a block of each language.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

import nextpixel as npx
from nextpixel.cli.app import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FAST = {"compression.md", "files.md"}
"""Pages whose blocks take no more than seconds."""

LANGUAGES = {"python", "sh", "yaml", "text", ""}
QUICK = {
    "--train.steps": "3",
    "--train.previews": "0",
    "--train.batch-size": "16",
    "--train.validate-every": "3",
    "--data.limit": "64",
}
"""What makes a training of a page one of seconds."""

LIMIT = ("--limit", "50")
"""What makes an evaluation one."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page where the text begins."""

    language: str
    text: str
    line: int


def blocks_of(path):
    """Blocks of a page, in order."""
    page = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [Block(m[1], m[2], page.count("\n", 0, m.start(2))) for m in found]


def that_run(path):
    return [block for block in blocks_of(path) if block.language not in ("text", "")]


def quick(words):
    """A command in its quick form: training takes a few steps, evaluation a few images."""
    if words[0] == "evaluate":
        return [*words, *(() if LIMIT[0] in words else LIMIT)]
    if words[0] != "train":
        return words
    options = dict(QUICK)
    kept = []
    for word in words:
        if kept and kept[-1] in options:
            kept.pop()
        else:
            kept.append(word)
    return kept + [word for option in options.items() for word in option]


def run(block, page, names):
    """Run a block; a fault in it is shown with the page's own lines."""
    if block.language == "python":
        exec(compile("\n" * block.line + block.text, page.name, "exec"), names)
    elif block.language == "yaml":
        assert yaml.safe_load(block.text)
    else:
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            words = shlex.split(line, comments=True)
            assert not words or words[0] == "nextpixel", f"{page.name}:{number}: {line}"
            status = main(quick(words[1:])) if words else 0
            assert status == 0, f"{page.name}:{number}: status {status}: {line}"


RUNNING = [
    pytest.param(page, id=page.name, marks=() if page.name in FAST else pytest.mark.slow)
    for page in PAGES
    if that_run(page)
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to be in, but for the digits that pages may use."""
    monkeypatch.chdir(tmp_path)
    np.save("digits.npy", npx.load_data("mnist", levels=2).test.levels[:20].numpy())
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", RUNNING)
def test_the_blocks_of_a_page_run_as_printed(page, capsys):
    names = {"__name__": page.stem}
    for block in that_run(page):
        run(block, page, names)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_of_what_language_its_blocks_are(page):
    others = [block for block in blocks_of(page) if block.language not in LANGUAGES]
    assert others == []
    assert page.read_text(encoding="utf-8").count("\n```") % 2 == 0


def test_the_texts_have_code():
    """A guard of the tests above: if no block were found, they would pass."""
    found = [block for page in PAGES for block in that_run(page)]
    assert len(found) >= 20
    assert {block.language for block in found} == {"python", "sh", "yaml"}
    assert all(that_run(ROOT / name) for name in ("README.md", "CONTRIBUTING.md"))


def test_a_fault_in_a_block_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```sh\nnextpixel info nothing.npx\n```\n\n```python\n1 / 0\n```\n")
    shell, python = blocks_of(page)
    with pytest.raises(AssertionError, match=r"page\.md:4: status 1"):
        run(shell, page, {})
    with pytest.raises(ZeroDivisionError) as fault:
        run(python, page, {})
    assert fault.traceback[-1].lineno + 1 == 8


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_two_commands(command):
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
