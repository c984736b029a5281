"""The package offers its public names, and imports them only when they are used."""

import os
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


@pytest.mark.slow
@pytest.mark.long  # mypy reads torch first
def test_types_tell_a_user_what_a_model_gives(tmp_path):
    script = tmp_path / "user.py"
    script.write_text(
        "import torch\n"
        "import nextpixel as npx\n"
        "levels = torch.zeros(1, 1, 8, 8, dtype=torch.int64)\n"
        "model = npx.build('pixelcnn', shape=(1, 8, 8), levels=2)\n"
        "reveal_type(model(levels))\n"
        "reveal_type(npx.load_data('digits').test[0])\n"
        "model(3)\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, script],
        env={**os.environ, "MYPYPATH": str(Path(npx.__file__).parents[1])},
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert 'user.py:5: note: Revealed type is "nextpixel.heads.base.Distribution"' in checked
    assert "user.py:6: note: Revealed type is" in checked
    assert "Tensor | tuple[" in checked
    assert "user.py:7: error: Argument 1" in checked
    assert checked.count("error") == 2, checked
