"""YAML and TOML files, read into a mapping with errors that name file and line."""

import tomllib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml


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
