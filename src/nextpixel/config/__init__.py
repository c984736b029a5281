"""Settings: what a file or a command line says, turned into a frozen dataclass, strictly.

The annotations of the dataclass are the only description there is: an unknown key, or a value of
another type, is an error that says where it stands, what was expected and what was found.

This part reads settings; what they mean, and which values are sensible, the dataclasses know.
"""

import tomllib
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from nextpixel.config.convert import convert, describe
from nextpixel.errors import nearest

__all__ = [
    "build",
    "check",
    "check_keys",
    "convert",
    "dotted",
    "merge",
    "read_file",
    "section",
    "spelled",
]

Settings = TypeVar("Settings")


def build(cls: type[Settings], mapping: Mapping[str, object], where: str = "") -> Settings:
    """Make a dataclass of the settings in a mapping.

    Args:
        cls: A dataclass; its annotations are the types that are asked for (see `convert`).
        mapping: Settings by name.
        where: How an error names the place, such as "digits.yaml: train".

    Returns:
        An instance of `cls`.

    Raises:
        ValueError: If a key is unknown or missing, a value is of another type, or `cls` refuses it.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Walk:
        ...     steps: int = 1
        ...     speed: float | None = None
        >>> build(Walk, {"speed": "1e-3"})
        Walk(steps=1, speed=0.001)
        >>> build(Walk, {"stepz": 3}, "walk.yaml")
        Traceback (most recent call last):
            ...
        ValueError: walk.yaml: unknown key 'stepz'; did you mean 'steps'?
        >>> build(Walk, {"steps": 2.5}, "walk.yaml")
        Traceback (most recent call last):
            ...
        ValueError: walk.yaml: steps must be an integer, got 2.5
    """
    values = check(cls, mapping, where)
    missing = [field.name for field in fields(cls) if _is_required(field)]  # type: ignore[arg-type]
    missing = [name for name in missing if name not in values]
    if missing:
        raise ValueError(f"{_at(where)}{', '.join(missing)} must be given")
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_at(where)}{error}") from error


def check(cls: type, mapping: Mapping[str, object], where: str = "") -> dict[str, Any]:
    """Convert some settings of a dataclass without making one, so that keys may be missing.

    Returns:
        The values in the types that `cls` asks for.

    Raises:
        ValueError: If a key is unknown or a value is of another type.
    """
    check_keys(mapping, [field.name for field in fields(cls)], where)
    hints = get_type_hints(cls)
    return {key: convert(value, hints[key], _at(where) + key) for key, value in mapping.items()}


def check_keys(mapping: Mapping[str, object], known: Iterable[str], where: str = "") -> None:
    """Refuse a key that is not known.

    Raises:
        ValueError: Naming the place, the key and the nearest known one.
    """
    known = list(known)
    for key in mapping:
        if key not in known:
            raise ValueError(f"{_at(where)}unknown key {key!r}; {nearest(str(key), known)}")


def section(mapping: Mapping[str, object], key: str, where: str = "") -> dict[str, Any]:
    """One section of a mapping; empty if there is none.

    Raises:
        ValueError: If what stands there is not a section.
    """
    content = mapping.get(key)
    if content is not None and not isinstance(content, Mapping):
        raise ValueError(f"{_at(where)}{key} must be {describe(dict)}, got {content!r}")
    return dict(content or {})


def merge(base: Mapping[str, object], *overrides: Mapping[str, object]) -> dict[str, Any]:
    """Lay settings over others, section by section; later ones win.

    Example:
        >>> merge({"train": {"steps": 5, "seed": 0}}, {"train": {"steps": 9}})
        {'train': {'steps': 9, 'seed': 0}}
    """
    merged = dict(base)
    for override in overrides:
        for key, value in override.items():
            old = merged.get(key)
            if isinstance(old, Mapping) and isinstance(value, Mapping):
                value = merge(old, value)
            merged[key] = value
    return merged


def spelled(word: str) -> object:
    """What a word spells that stands for settings: pairs, none, or a list or section of YAML.

    Example:
        >>> spelled("classes=3,form=gate"), spelled("[{size: 8}]"), spelled("none")
        ({'classes': '3', 'form': 'gate'}, [{'size': 8}], None)
    """
    pairs = [item.partition("=") for item in word.split(",")]
    if all(key.strip() and sign for key, sign, _ in pairs):
        return {key.strip(): value.strip() for key, _, value in pairs}
    try:
        return None if word.lower() in ("none", "null") else _parse_yaml(word)
    except yaml.YAMLError:
        return word


def dotted(options: Mapping[str, object]) -> dict[str, Any]:
    """Nest settings whose names say where they belong.

    Raises:
        ValueError: If a name is both a section and a setting.

    Example:
        >>> dotted({"train.batch-size": "5", "train.seed": "1"})
        {'train': {'batch_size': '5', 'seed': '1'}}
    """
    nested: dict[str, Any] = {}
    for name, value in options.items():
        *sections, key = name.replace("-", "_").split(".")
        place = nested
        for part in sections:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError(f"{part} must be a section or a setting, not both")
        if isinstance(place.get(key), dict):
            raise ValueError(f"{key} must be a section or a setting, not both")
        place[key] = value
    return nested


def _at(where: str) -> str:
    return f"{where}: " if where else ""


def _is_required(field: Field[Any]) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING


def read_file(path: str | Path) -> dict[str, Any]:
    """Read a YAML or TOML file, by its suffix, into a mapping; an empty file is an empty one.

    Raises:
        ValueError: If the file is missing, malformed or not a mapping; names the file and the line.
    """
    path = Path(path)
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise ValueError(f"{path}: a settings file must end in .yaml, .yml or .toml")
    text = _read_text(path)
    try:
        content = parse(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: malformed settings: {_one_line(error)}") from error
    if not isinstance(content, dict | None):
        raise ValueError(f"{path}, line 1: must be sections of settings, got {content!r:.60}")
    return content or {}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 (the signature of PyYAML)
        """Build a mapping of a node whose keys differ."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"{key.value!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _parse_yaml(text: str) -> object:
    return yaml.load(text, Loader=_Loader)


_PARSERS: dict[str, Callable[[str], object]] = {
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".toml": tomllib.loads,
}
