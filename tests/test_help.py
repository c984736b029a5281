"""The help of every command ends with examples, and they can be typed."""

import re
import shlex

import pytest

from nextpixel.cli.app import app, main
from nextpixel.cli.help import EXAMPLES, FIRST

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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_names_types_as_people_say_them(command, capsys, monkeypatch):
    text = "\n".join(shown(capsys, monkeypatch, command))
    assert not re.search(r"\b(INT|STR|BOOL|DICT|TUPLE|LIST|UNION|OPTIONAL|NONETYPE)\b", text)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("train", ["--train.steps INTEGER", "--train.minutes FLOAT", "--train.betas FLOAT,FLOAT"]),
        ("train", ["--out PATH", "--data.name TEXT", "--data.levels INTEGER", "--device CHOICE"]),
        ("sample", ["--count INTEGER", "--label INTEGER...", "--top-p FLOAT", "--method TEXT"]),
        ("complete", ["--images TEXT", "--import MODULE"]),
    ],
)
def test_the_help_says_what_kind_of_value_an_option_takes(words, options, capsys, monkeypatch):
    text = re.sub(r"[\s│*]+", " ", "\n".join(shown(capsys, monkeypatch, words)))
    for option in options:
        assert option in text


def test_the_options_of_a_model_are_listed_with_their_kinds(capsys):
    assert main(["models", "gated-pixelcnn"]) == 0
    text = capsys.readouterr().out
    for option in ("--model.features INTEGER", "--model.dropout FLOAT", "--model.skip BOOLEAN"):
        assert option in text


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
