"""The one error of our own: a file or a job that failed through no fault of an argument.

Wrong arguments are `ValueError` or `TypeError`. The command line answers those with exit status 2
and `NextPixelError` with exit status 1, each in one line.
"""

import difflib
from collections.abc import Iterable
from types import UnionType
from typing import SupportsIndex, TypeVar

Failure = TypeVar("Failure", bound=Exception)

RAISED_BY_ALL = "All processes of the run raise this error."
"""Note on an error that every process raises, so that one of them may say it for all."""


class NextPixelError(Exception):
    """A file could not be read or written, or a job failed."""


class LostTouch(NextPixelError):
    """Another process of the run is gone."""


def shared_with_all(error: Failure) -> Failure:
    """Note on an error that every process of the run raises it."""
    error.add_note(RAISED_BY_ALL)
    return error


def check_keywords(keywords: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a keyword that a function does not take.

    Raises:
        TypeError: Naming the nearest one that it takes.

    Example:
        >>> check_keywords(["temprature"], ["temperature", "top_k"])
        Traceback (most recent call last):
            ...
        TypeError: unknown option 'temprature'; did you mean 'temperature'?
    """
    known = list(known)
    for name in keywords:
        if name not in known:
            raise TypeError(f"unknown option {name!r}; {nearest(name, known)}")


def check_kind(name: str, value: object, kinds: type | UnionType, what: str) -> None:
    """Refuse a value of another type.

    Args:
        name: Of the argument.
        value: What was passed.
        kinds: As `isinstance` takes them.
        what: What it must be; after a semicolon, what makes one.

    Raises:
        TypeError: If it is of none of these types.

    Example:
        >>> check_kind("out", 3, str | None, "a path; str(out) is one")
        Traceback (most recent call last):
            ...
        TypeError: out must be a path, got int; str(out) is one
    """
    if not isinstance(value, kinds):
        must, *remedy = what.split("; ")
        raise TypeError("; ".join([f"{name} must be {must}, got {type(value).__name__}", *remedy]))


def check_count(name: str, value: object, least: int = 1) -> None:
    """Refuse what is no integer from `least` on; NumPy's are integers, truth values are none.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is too small.

    Example:
        >>> check_count("count", 4.0)
        Traceback (most recent call last):
            ...
        TypeError: count must be an integer, got 4.0
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value.__index__() < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for a name that is not known: the nearest known one, else all of them.

    Args:
        name: What the user wrote.
        known: The names there are.

    Returns:
        The end of an error message.

    Example:
        >>> nearest("mnits", ["mnist", "digits"])
        "did you mean 'mnist'?"
        >>> nearest("faces", ["mnist", "digits"])
        'known: digits, mnist'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + (", ".join(names) or "none")
