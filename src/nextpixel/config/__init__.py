"""Settings: what a file or a command line says, turned into a frozen dataclass, strictly.

The annotations of the dataclass are the only description there is: an unknown key, or a value of
another type, is an error that says where it stands, what was expected and what was found.

This part reads settings; what they mean, and which values are sensible, the dataclasses know.
"""

from nextpixel.config.build import build, check, check_keys, dotted, merge, section
from nextpixel.config.convert import convert
from nextpixel.config.files import read_file

__all__ = [
    "build",
    "check",
    "check_keys",
    "convert",
    "dotted",
    "merge",
    "read_file",
    "section",
]
