"""One value, converted to the type of an annotation.

Integers do for floats, lists for tuples, None for what is optional. A word does for whatever it
spells ("1e-3", "true", "none", "0,0.99"), since a command line has nothing but words and YAML reads
1e-3 as one. Nothing else is converted: true is not 1, and 2.5 is no integer.
"""

import math
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from nextpixel.errors import nearest


def convert(value: object, expected: object, name: str) -> object:
    """Convert one value to the type of an annotation.

    Args:
        value: What a file or a command line says.
        expected: str, int, float, bool, Path, a tuple or Literal of these, or a union with None.
        name: How an error names the value.

    Raises:
        ValueError: If the value does not spell one of that type.

    Example:
        >>> convert("0,0.99", tuple[float, float], "betas")
        (0.0, 0.99)
        >>> convert(True, int, "steps")
        Traceback (most recent call last):
            ...
        ValueError: steps must be an integer, got True
    """
    try:
        return _read(value, expected)
    except (ValueError, OverflowError):
        text = f"{name} must be {describe(expected)}, got {value!r}"
    if get_origin(expected) is Literal and isinstance(value, str):
        text += "; " + nearest(value, map(str, get_args(expected)))
    raise ValueError(text)


def describe(expected: object) -> str:
    """What a type is called in an error message.

    Example:
        >>> describe(float | None)
        'a number or none'
    """
    origin, members = get_origin(expected), get_args(expected)
    if origin in _UNIONS:
        return " or ".join(describe(member) for member in members)
    if origin is Literal:
        return "one of " + ", ".join(map(str, members))
    if origin is tuple and members[-1] is Ellipsis:
        return f"a list, each {describe(members[0])}"
    if origin is tuple:
        return f"a list of {len(members)} ({', '.join(map(describe, members))})"
    return _NAMES.get(expected, "a section of settings")


def _read(value: object, expected: object) -> object:
    origin, members = get_origin(expected), get_args(expected)
    if origin in _UNIONS:
        return _read_union(value, members)
    if origin is tuple:
        return _read_tuple(value, members)
    if origin is Literal:
        return _read_choice(value, members)
    if is_dataclass(expected):
        return _read_made(value, expected)
    return _READERS[expected](value)


def _read_made(value: object, expected: object) -> object:
    """A section that was made into its dataclass already."""
    if isinstance(expected, type) and isinstance(value, expected):
        return value
    raise ValueError


def _read_union(value: object, members: tuple[object, ...]) -> object:
    none = value is None or (isinstance(value, str) and value.lower() in ("none", "null"))
    if none and types.NoneType in members:
        return None
    for member in members:
        if member is not types.NoneType:
            try:
                return _read(value, member)
            except ValueError:
                continue
    raise ValueError


def _read_tuple(value: object, members: tuple[object, ...]) -> tuple[object, ...]:
    items = _split(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError
    if members[-1] is Ellipsis:
        members = (members[0],) * len(items)
    return tuple(_read(item, member) for item, member in zip(items, members, strict=True))


def _split(text: str) -> list[str]:
    inner = text.strip().removeprefix("[").removesuffix("]").strip()
    return [item.strip() for item in inner.split(",")] if inner else []


def _read_choice(value: object, choices: tuple[object, ...]) -> object:
    for choice in choices:
        if isinstance(value, str) and value == str(choice):
            return choice
        if type(value) is type(choice) and value == choice:
            return choice
    raise ValueError


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _read_path(value: object) -> Path:
    return value if isinstance(value, Path) else Path(_read_text(value))


def _read_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    return int(value)


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_flag(value: object) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    flag = words.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise ValueError
    return flag


_UNIONS = (Union, types.UnionType)
_READERS: dict[object, Callable[[object], object]] = {
    str: _read_text,
    int: _read_integer,
    float: _read_number,
    bool: _read_flag,
    Path: _read_path,
    Any: lambda value: value,
}
_NAMES: dict[object, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    types.NoneType: "none",
}
