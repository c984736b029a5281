"""The one error of our own: a file or a job that failed through no fault of an argument.

Wrong arguments are `ValueError` or `TypeError`. The command line answers those with exit status 2
and `NextPixelError` with exit status 1, each in one line.
"""

import difflib
from collections.abc import Iterable
from typing import TypeVar

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
