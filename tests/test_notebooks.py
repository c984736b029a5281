"""The notebooks are those of their scripts, and they run."""

import importlib.util
from pathlib import Path

import pytest

import nextpixel

FOLDER = Path(__file__).parents[1] / "examples"
NAMES = ("first_digit", "look_inside")


def built(name):
    pytest.importorskip("jupytext")
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.NAMES == NAMES
    return module.notebook(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_that_of_its_script(name):
    kept = (FOLDER / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert kept == built(name), "run `make notebooks`"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_its_quick_form(name, tmp_path, monkeypatch):
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("NEXTPIXEL_QUICK", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(nextpixel.__file__).parents[1]))  # what is tested
    book = nbformat.read(FOLDER / "notebooks" / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    client.NotebookClient(book, timeout=300, resources=resources).execute()
    kinds = {
        kind
        for cell in book.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    }
    assert "image/png" in kinds
