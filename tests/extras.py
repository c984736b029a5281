"""Optional libraries: tests that lack one are skipped, visibly; in CI, where all are, they fail."""

import os
from importlib import import_module
from types import ModuleType

import pytest


def need(name: str) -> ModuleType:
    """A library of the extra [dev]; without it the tests that ask are skipped, visibly.

    Where the variable CI is set, as `.ci/run` and hosted runners do, a missing one is an error.
    """
    if os.environ.get("CI"):
        return import_module(name)
    return pytest.importorskip(name, reason=f"{name} is missing: pip install 'nextpixel[dev]'")
