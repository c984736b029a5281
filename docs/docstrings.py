"""What the site makes of our docstrings before they are read as Google docstrings.

- `Example:` becomes `Examples:`, the section whose lines `>>>` are shown as code.
- A line or block `.. math::` becomes a block of code: the site loads no typesetting of formulas.
"""

import re
from typing import Any

import griffe

_MATH = re.compile(r"^\.\. math::[ \t]*(.*\n(?:(?:[ \t]+.*)?\n)*)", re.MULTILINE)


def rewritten(text: str) -> str:
    r"""A docstring, as the site shows it.

    Example:
        >>> rewritten("Example:\n    >>> 1")
        'Examples:\n    >>> 1'
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return _MATH.sub(_as_code, text + "\n").rstrip("\n")


def _as_code(found: re.Match[str]) -> str:
    lines = [line.strip() for line in found[1].splitlines() if line.strip()]
    return "\n".join(["```text", *lines, "```", "", ""])


class Rewritten(griffe.Extension):
    """Rewrites each docstring once, when it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)
