"""Every example runs in its quick form."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
DEMO = FOLDER / "demo.py"  # has a test of its own, below
NO_SCRIPTS = {FOLDER / "browser.py", FOLDER / "common.py"}
IMPORT = FOLDER / "import_seed.py"  # needs weights: tests/test_import_seed.py runs it
EXAMPLES = sorted({*FOLDER.glob("*.py")} - {DEMO, IMPORT} - NO_SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_in_its_quick_form(path, tmp_path):
    done = subprocess.run(
        [sys.executable, str(path), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_the_demo_writes_all_that_it_names(tmp_path):
    done = subprocess.run(
        [sys.executable, str(DEMO), "--quick", "--out", "here"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    named = [
        line.split(":")[0].strip() for line in done.stdout.split("is in here:")[1].splitlines()
    ]
    assert len([name for name in named if name]) == 6
    assert all((tmp_path / name).is_file() for name in named if name)
    assert "nats per image" in done.stdout
    assert "protocol threshold" in done.stdout
