"""The help of every command ends with examples, and they can be typed."""

import shlex

import pytest

from nextpixel.cli.app import app, main
from nextpixel.cli.examples import EXAMPLES, FIRST

COMMANDS = [name for name in app if not name.startswith("-")]
LINES = [*FIRST, *(line for lines in EXAMPLES.values() for line in lines)]


def shown(capsys, monkeypatch, *words):
    """The text of a help, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def parse(line):
    """Bind the words of an example as the command line does, and run nothing."""
    return app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_an_example_of_it_whole(command, capsys, monkeypatch):
    lines = EXAMPLES[command]
    help_text = shown(capsys, monkeypatch, command)
    assert lines
    assert all(line.split()[:2] == ["nextpixel", command] for line in lines)
    assert set(lines) <= set(help_text)


def test_the_first_help_shows_where_to_begin(capsys, monkeypatch):
    assert set(FIRST) <= set(shown(capsys, monkeypatch))


@pytest.mark.parametrize("line", LINES)
def test_an_example_parses(line):
    command, bound, _ = parse(line)
    assert command.__name__ == line.split()[1]
    assert bound.arguments or len(line.split()) == 2


def test_a_wrong_example_does_not():
    with pytest.raises(Exception, match="colour"):
        parse("nextpixel sample mnist2-gated --out a.png --colour 3")


def test_there_is_no_example_of_what_is_no_command():
    assert set(EXAMPLES) <= set(COMMANDS)
