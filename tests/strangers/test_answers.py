"""Each call of `docs/wrong-calls.md` is answered as the page says, and leaves nothing."""

from pathlib import Path

import pytest

from tests.strangers import answers, world

ROWS = answers.rows(answers.PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The folder in which calls are made."""
    folder = tmp_path_factory.mktemp("world")
    world.build(folder)
    return folder


def state():
    """Files and folders here, with the times when they were written."""
    return {path: path.stat().st_mtime_ns for path in Path().rglob("*")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call)
def test_a_wrong_call_is_answered_as_the_page_says(place, monkeypatch, row):
    monkeypatch.chdir(place)
    if answers.may_all(row):
        pytest.skip("this user may write everywhere")
    before = state()
    found, rest = answers.ask(row.call)
    assert row.fits(found), f"{found}\nafter a change of messages: python -m {answers.__name__}"
    assert (rest, state()) == ("", before)


def test_the_page_has_calls_of_every_command():
    from nextpixel.cli.app import app

    commands = {name for name in app if not name.startswith("-")} - {"data"}
    assert {row.call.split()[1] for row in ROWS} >= commands
    assert len(ROWS) >= 75
