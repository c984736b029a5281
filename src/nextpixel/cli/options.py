"""Options of a command from a file, and options that only name a dataclass's fields."""

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

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
        _check_integers(arguments)
        known = _own(arguments)
        self.sections = self._take_sections() if "file" in known else {}
        options = {name: argument for name, argument in known.items() if argument.parse}
        names = {str(key).replace("-", "_"): key for key in self.content}
        rest = {name: self.content[key] for name, key in names.items() if name not in self.sections}
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


def _own(arguments: "ArgumentCollection") -> dict[str, "Argument"]:
    """The options of a command by name, those of a group (a dataclass of options) among them."""
    found = [argument for argument in arguments if not argument.keys]
    groups = [argument for argument in found if argument.name == "*"]
    members = [member for group in groups for member in group.children]
    own = [argument for argument in found if argument not in groups]
    return {argument.field_info.name: argument for argument in (*own, *members)}


def _check_sections(arguments: "ArgumentCollection") -> None:
    """Refuse a section that is one word, which cyclopts would take for its first field.

    All but one: `--data NAME` is short for `--data.name NAME`.
    """
    for argument in arguments:
        if argument.name == "--data" and argument.children:
            _name_data(argument)
        for token in argument.tokens:
            if argument.children:
                example = argument.children[0].name
                raise ValueError(
                    f"{argument.name} must be set one by one, as in {example}, got {token.value!r}"
                )
            if plain_type(argument.hint) == "SETTINGS" and not token.keys:
                raise ValueError(
                    f"{argument.name} must be set one by one, as in {argument.name}.name NAME, "
                    f"got {token.value!r}"
                )
            if len(token.keys) > 1:
                raise ValueError(f"{argument.name} has no sections, got {'.'.join(token.keys)}")


def _check_integers(arguments: "ArgumentCollection") -> None:
    """Refuse 2.5 where an integer must stand, which cyclopts would round."""
    for argument in arguments:
        if plain_type(argument.hint).split(",")[0] != "INTEGER":
            continue
        for token in argument.tokens:
            if "." in token.value:
                raise ValueError(f"{argument.name} must be an integer, got {token.value!r}")


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
        parameter = Parameter(name=names, help=text, metavar=plain_type(hints[setting.name]))
        options.append((setting.name, Annotated[str | None, parameter], None))
    words = make_dataclass(f"{config.__name__}Words", options)
    words.__module__ = __name__  # Python 3.11 says "types", which cyclopts takes for no dataclass
    return words


def height_and_width(size: str) -> tuple[int, int]:
    """Rows and columns of a size as pictures are named, WIDTHxHEIGHT.

    Raises:
        ValueError: If it is none.

    Example:
        >>> height_and_width("64x48")
        (48, 64)
    """
    found = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", size)
    if found is None:
        raise ValueError(f"size must be WIDTHxHEIGHT in pixels, such as 64x48, got {size!r}")
    return int(found[2]), int(found[1])


def plain_type(hint: object) -> str:
    """What the help calls the value of an option.

    Example:
        >>> plain_type(int | None), plain_type(tuple[float, float]), plain_type(str)
        ('INTEGER', 'FLOAT,FLOAT', 'TEXT')
    """
    members = [member for member in get_args(hint) if member is not types.NoneType]
    if get_origin(hint) in (Union, types.UnionType):
        return "|".join(dict.fromkeys(map(plain_type, members)))
    if get_origin(hint) is tuple:
        return ",".join("..." if member is Ellipsis else plain_type(member) for member in members)
    if get_origin(hint) is Literal:
        return "CHOICE"
    return _PLAIN.get(hint, "SETTINGS")


_PLAIN: dict[object, str] = {
    int: "INTEGER",
    float: "FLOAT",
    bool: "BOOLEAN",
    str: "TEXT",
    Path: "PATH",
}


def chosen(words: object) -> dict[str, str]:
    """Those fields of a `words_of` that were set; of None, none.

    Example:
        >>> chosen(words_of(OptionFile)(where="here"))
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
    parents = [parent for parent in reversed(config.__mro__) if is_dataclass(parent)]
    for line in "\n".join(inspect.getdoc(parent) or "" for parent in parents).splitlines():
        start = re.fullmatch(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif line.startswith(" " * 8) and name:
            found[name] += " " + line.strip()
        else:
            name = ""
    return found
