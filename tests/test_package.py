"""The package offers its public names, and imports them only when they are used."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nextpixel as npx


@pytest.mark.parametrize("name", npx.__all__)
def test_a_public_name_is_there(name):
    assert getattr(npx, name) is not None
    assert name in dir(npx)


def test_a_function_keeps_its_name_when_its_module_is_imported():
    code = (
        "import nextpixel.audit, nextpixel as npx; print(callable(npx.audit), npx.audit.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "audit"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'nextpixel' has no attribute 'sampel'"):
        npx.sampel  # noqa: B018


def test_importing_the_package_imports_none_of_its_dependencies():
    code = "import sys, nextpixel; print({'torch', 'numpy', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_version_is_that_of_the_project():
    project = Path(__file__).parent.parent / "pyproject.toml"
    assert tomllib.loads(project.read_text())["project"]["version"] == npx.__version__
