"""Options of a command from a file, and options that only name a dataclass's fields."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from cyclopts import Parameter, Token

from nextpixel.config import check_keys, read_file
from nextpixel.config import convert as convert_value
from nextpixel.config import section as read_section
from nextpixel.config.convert import describe

if TYPE_CHECKING:
    from cyclopts import App, Argument, ArgumentCollection

SECTIONS = ("data", "model", "train")
Device = Literal["auto", "cpu", "cuda"]


@dataclass
class OptionFile:
    """Options of a command, read from a file; the command line wins.

    An instance is what cyclopts calls a config: it is called with the arguments of the command
    after the command line has filled in its own.

    Attributes:
        where: The file, as errors name it.
        content: What it says.
        sections: Of a command that takes sections: those in the file.
    """

    where: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> "OptionFile":
        """Read a YAML or TOML file; None gives no options.

        Raises:
            ValueError: If it is missing or malformed.
        """
        return cls() if path is None else cls(str(path), read_file(path))

    def __call__(
        self, app: "App", commands: tuple[str, ...], arguments: "ArgumentCollection"
    ) -> None:
        """Fill in the arguments that the command line has left out.

        Raises:
            ValueError: If the file has a key that the command does not know, or a wrong type.
        """
        del app, commands
        _check_sections(arguments)
        known = {argument.field_info.name: argument for argument in arguments if not argument.keys}
        self.sections = self._take_sections() if "file" in known else {}
        options = {name: argument for name, argument in known.items() if argument.parse}
        given = {str(key).replace("-", "_"): key for key in self.content}
        rest = {name: self.content[key] for name, key in given.items() if name not in self.sections}
        check_keys(rest, options, self.where)
        for name, value in rest.items():
            hint = options[name].hint
            converted = convert_value(value, hint, f"{self.where}: {name}")
            if not options[name].tokens:
                token = Token(keyword=name, source=self.where, implicit_value=converted)
                options[name].append(token)

    def _take_sections(self) -> dict[str, Any]:
        found = [key for key in SECTIONS if key in self.content]
        return {key: read_section(self.content, key, self.where) for key in found}


def _check_sections(arguments: "ArgumentCollection") -> None:
    """Refuse a section that is given as one word, which cyclopts would take for its first field.

    All but one: `--data NAME` is short for `--data.name NAME`.
    """
    for argument in arguments:
        if argument.name == "--data" and argument.children:
            _name_data(argument)
        for token in argument.tokens:
            if argument.children:
                example = argument.children[0].name
                raise ValueError(
                    f"{argument.name} must be given setting by setting, as in {example}, "
                    f"got {token.value!r}"
                )
            if len(token.keys) > 1:
                raise ValueError(f"{argument.name} has no sections, got {'.'.join(token.keys)}")


def _name_data(section: "Argument") -> None:
    (name,) = (child for child in section.children if child.name == "--data.name")
    words = [token for token in section.tokens if not token.keys]
    if words and name.tokens:
        raise ValueError(
            f"--data and --data.name must not both be given, got {words[0].value!r} and "
            f"{name.tokens[0].value!r}"
        )
    for token in words:
        section.tokens.remove(token)
        name.append(Token(keyword="--data.name", value=token.value, source=token.source))


def words_of(config: type, also: Mapping[str, str] | None = None) -> type:
    """A dataclass with a field of text for each setting of `config`, explained in the help.

    Args:
        config: The dataclass.
        also: Other names of some settings.

    The command line only has words; `settings` converts and checks them, as it does those of files.
    """
    hints, texts = get_type_hints(config), explanations(config)
    options = []
    for setting in fields(config):
        what = [describe(hints[setting.name])]
        if setting.default is not MISSING and setting.default is not None:
            what.append(f"default {setting.default}")
        text = f"{texts.get(setting.name, '')} [{'; '.join(what)}]"
        other = (also or {}).get(setting.name)
        names = [setting.name, other] if other else None  # None: the name as an option has it
        options.append(
            (setting.name, Annotated[str | None, Parameter(name=names, help=text)], None)
        )
    words = make_dataclass(f"{config.__name__}Words", options)
    words.__module__ = __name__  # Python 3.11 says "types", which cyclopts takes for no dataclass
    return words


def given(words: object) -> dict[str, str]:
    """Those fields of a `words_of` that were given; of None, none.

    Example:
        >>> given(words_of(OptionFile)(where="here"))
        {'where': 'here'}
    """
    fields_of = vars(words) if words is not None else {}
    return {name: word for name, word in fields_of.items() if word is not None}


def explanations(config: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each field.

    Example:
        >>> explanations(OptionFile)["content"]
        'What it says.'
    """
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(config) or "").splitlines():
        start = re.fullmatch(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif line.startswith(" " * 8) and name:
            found[name] += " " + line.strip()
        else:
            name = ""
    return found
